//! Which server is asked, and which next where one fails.

use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{loads, named, states};
use crate::telemetry::Metrics;
use crate::upstream::standing::State;
use crate::upstream::testing::{
    Answering, CLIENT, Manual, answer, ask, get, head, nobody, options, post, run, tasks, until, upstream,
};
use crate::upstream::{Balance, Failure, Health, Scheme, Shared, Upkeep, Upstreams};

#[test]
fn a_request_with_a_body_that_was_sent_is_not_said_twice() {
    run(async {
        let app = Manual::start().await;
        let other = Answering::start("other").await;
        let upstream = upstream(&options(&[app.server(Scheme::Http), other.server.clone()]));
        let script = async { drop(app.asked().await) };
        let (sent, ()) = tokio::join!(ask(&upstream, post()), script);
        assert!(matches!(&sent, Err(Failure::Broken { server, .. }) if **server == *named(&app.server(Scheme::Http))));
        assert_eq!(other.seen.requests(), 0);
    });
}

#[test]
fn a_get_whose_connection_breaks_goes_to_another_server() {
    run(async {
        let app = Manual::start().await;
        let other = Answering::start("other").await;
        let upstream = upstream(&options(&[app.server(Scheme::Http), other.server.clone()]));
        let script = async { drop(app.asked().await) };
        let (sent, ()) = tokio::join!(ask(&upstream, get()), script);
        assert_eq!(sent.unwrap(), "other");
    });
}

#[test]
fn a_server_that_refuses_is_passed_over_and_the_request_goes_to_the_next_whatever_it_is() {
    run(async {
        let other = Answering::start("other").await;
        let upstream = upstream(&options(&[nobody().await, other.server.clone()]));
        for _ in 0..4 {
            assert_eq!(ask(&upstream, post()).await.unwrap(), "other");
        }
        assert_eq!(states(&upstream), [State::Marked, State::Up]);
        assert_eq!(other.seen.requests(), 4);
    });
}

#[test]
fn where_every_server_refuses_each_is_tried_once_up_to_the_bound() {
    run(async {
        let servers = [nobody().await, nobody().await, nobody().await, nobody().await, nobody().await];
        let upstream = upstream(&options(&servers));
        for _ in 0..2 {
            let failure = ask(&upstream, get()).await.unwrap_err();
            let Failure::Connect { error, .. } = &failure else { panic!("{failure}") };
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(failure.is_unsent());
        }
        let marked = states(&upstream).iter().filter(|state| **state == State::Marked).count();
        assert_eq!(marked, servers.len(), "three by the first request, and the two that were left by the second");
    });
}

#[test]
fn a_marked_server_is_asked_all_the_same_where_there_is_no_other() {
    run(async {
        let app = Manual::start().await;
        let (server, port) = (app.server(Scheme::Http), app.port());
        drop(app);
        let upstream = upstream(&options(&[server]));
        ask(&upstream, get()).await.unwrap_err();
        assert_eq!(states(&upstream), [State::Marked]);
        let back = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let script = async {
            let mut stream = back.accept().await.unwrap().0;
            head(&mut stream).await.unwrap();
            answer(&mut stream, "back").await;
        };
        let (sent, ()) = tokio::join!(ask(&upstream, get()), script);
        assert_eq!(sent.unwrap(), "back");
        assert_eq!(states(&upstream), [State::Up]);
    });
}

#[test]
fn least_conn_counts_requests_until_their_answers_end() {
    run(async {
        let (one, two) = (Answering::start("one").await, Answering::start("two").await);
        let mut options = options(&[one.server.clone(), two.server.clone()]);
        options.balance = Balance::LeastConn;
        let upstream = upstream(&options);
        let mut kept = Vec::new();
        for _ in 0..6 {
            kept.push(upstream.send(CLIENT, get()).await.unwrap());
        }
        assert_eq!(loads(&upstream), [3, 3]);
        kept.retain(|sent| *sent.server == *named(&two.server));
        assert_eq!(loads(&upstream), [0, 3]);
        for _ in 0..3 {
            kept.push(upstream.send(CLIENT, get()).await.unwrap());
        }
        assert_eq!(loads(&upstream), [3, 3], "what is open counts, not what was asked");
    });
}

#[test]
fn a_server_whose_checks_fail_gets_nothing_until_they_pass_again() {
    run(async {
        let app = Answering::start("app").await;
        let mut options = options(std::slice::from_ref(&app.server));
        let every = Duration::from_millis(10);
        options.health =
            Some(Health { path: "/health".to_owned(), every, timeout: Duration::from_secs(20), fall: 2, rise: 2 });
        let metrics = Metrics::new();
        let shared = Shared::new([&options], &metrics).unwrap();
        let tasks = tasks();
        let upstreams = Upstreams::new(Arc::clone(&shared), tasks.clone());
        let upstream = Rc::clone(upstreams.get("app").unwrap());
        let mut upkeep = Upkeep::new(&tasks);
        upkeep.turn_to(&shared, &metrics);
        assert_eq!(ask(&upstream, get()).await.unwrap(), "app");
        app.seen.status.set(Some(503));
        until(|| states(&upstream) == [State::Unhealthy]).await;
        let asked = |path: &str| app.seen.heads.borrow().iter().filter(|head| head.contains(path)).count();
        assert!(matches!(ask(&upstream, get()).await, Err(Failure::NoneHealthy)));
        assert_eq!(asked("GET /path"), 1);
        let line = format!("steadfeed_upstream_up{{upstream=\"app\",server=\"{}\"}} 0", app.server);
        assert!(metrics.text().contains(&line), "{}", metrics.text());
        // A redirect is as good as any page.
        app.seen.status.set(Some(302));
        until(|| states(&upstream) == [State::Up]).await;
        app.seen.status.set(None);
        assert_eq!(ask(&upstream, get()).await.unwrap(), "app");
        assert!(metrics.text().contains(&line.replace("} 0", "} 1")), "{}", metrics.text());
        let head = app.seen.heads.borrow().iter().find(|head| head.contains("/health")).cloned().unwrap();
        let host = app.server.to_string().replace("http://", "");
        assert!(head.contains(&format!("host: {host}\r\n")), "{head}");
    });
}
