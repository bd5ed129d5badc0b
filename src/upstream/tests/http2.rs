//! Servers that speak HTTP/2: many requests on a connection.

use std::time::Duration;

use futures_util::future::join_all;

use super::loads;
use crate::limits;
use crate::upstream::testing::{CLIENT, Manual, Multiplexing, ask, get, options, respond, run, upstream};
use crate::upstream::{Failure, Scheme};

#[test]
fn requests_share_one_http2_connection() {
    run(async {
        let mut app = Multiplexing::start(None, None).await;
        let upstream = upstream(&options(&[app.server(Scheme::H2c, "127.0.0.1")]));
        for _ in 0..2 {
            let asking = join_all((0..50).map(|_| ask(&upstream, get())));
            let script = async {
                let mut all = Vec::new();
                for _ in 0..50 {
                    all.push(app.asked.recv().await.unwrap());
                }
                all.into_iter().for_each(|to| respond(to, "h2"));
            };
            let (answers, ()) = tokio::join!(asking, script);
            assert!(answers.into_iter().all(|answer| answer.unwrap() == "h2"));
        }
        assert_eq!(app.connections.get(), 1);
        assert_eq!(loads(&upstream), [0]);
    });
}

#[test]
fn more_http2_connections_are_opened_where_a_server_wants_few_requests_on_each_up_to_the_bound() {
    run(async {
        let most = 2;
        let mut app = Multiplexing::start(Some(most), None).await;
        let upstream = upstream(&options(&[app.server(Scheme::H2c, "127.0.0.1")]));
        let warm = async { respond(app.asked.recv().await.unwrap(), "warm") };
        let (answer, ()) = tokio::join!(ask(&upstream, get()), warm);
        assert_eq!(answer.unwrap(), "warm");
        let all = most as usize * limits::UPSTREAM_H2_CONNECTIONS + 4;
        let asking = join_all((0..all).map(|_| ask(&upstream, get())));
        let script = async {
            let mut first = Vec::new();
            for _ in 0..most as usize * limits::UPSTREAM_H2_CONNECTIONS {
                first.push(app.asked.recv().await.unwrap());
            }
            assert_eq!(app.connections.get(), limits::UPSTREAM_H2_CONNECTIONS);
            first.into_iter().for_each(|to| respond(to, "h2"));
            for _ in 0..4 {
                respond(app.asked.recv().await.unwrap(), "h2");
            }
        };
        let (answers, ()) = tokio::join!(asking, script);
        assert!(answers.into_iter().all(|answer| answer.unwrap() == "h2"));
        assert_eq!(app.connections.get(), limits::UPSTREAM_H2_CONNECTIONS);
    });
}

#[test]
fn a_client_that_leaves_resets_its_http2_stream_and_no_other() {
    run(async {
        let mut app = Multiplexing::start(None, None).await;
        let upstream = upstream(&options(&[app.server(Scheme::H2c, "127.0.0.1")]));
        let mut leaving = Box::pin(upstream.send(CLIENT, get()));
        let mut left = tokio::select! {
            asked = app.asked.recv() => asked.unwrap(),
            sent = leaving.as_mut() => panic!("{sent:?}"),
        };
        let staying = ask(&upstream, get());
        let script = async {
            let stays = app.asked.recv().await.unwrap();
            drop(leaving);
            let reason = std::future::poll_fn(|cx| left.poll_reset(cx)).await.unwrap();
            assert_eq!(reason, h2::Reason::CANCEL);
            respond(stays, "stays");
        };
        let (answer, ()) = tokio::join!(staying, script);
        assert_eq!(answer.unwrap(), "stays");
        assert_eq!(app.connections.get(), 1);
    });
}

#[test]
fn a_server_that_never_says_its_part_of_http2_is_left_in_time() {
    run(async {
        let app = Manual::start().await;
        let mut options = options(&[app.server(Scheme::H2c)]);
        options.connect_timeout = Duration::from_millis(50);
        let upstream = upstream(&options);
        let asking = join_all((0..5).map(|_| ask(&upstream, get())));
        let (sent, _stream) = tokio::join!(asking, app.accept());
        assert!(sent.iter().all(|sent| matches!(sent, Err(Failure::ConnectTimeout { .. }))), "{sent:?}");
    });
}

#[test]
fn an_http2_server_that_sets_no_bound_is_asked_as_much_as_ours_allows() {
    run(async {
        let mut app = Multiplexing::start(None, None).await;
        let upstream = upstream(&options(&[app.server(Scheme::H2c, "127.0.0.1")]));
        let count = limits::UPSTREAM_STREAMS + 1;
        let asking = join_all((0..count).map(|_| ask(&upstream, get())));
        let script = async {
            let mut all = Vec::new();
            for _ in 0..count {
                all.push(app.asked.recv().await.unwrap());
            }
            all.into_iter().for_each(|to| respond(to, "h2"));
        };
        let (answers, ()) = tokio::join!(asking, script);
        assert!(answers.into_iter().all(|answer| answer.unwrap() == "h2"));
        assert_eq!(app.connections.get(), 2);
    });
}
