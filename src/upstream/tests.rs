//! Upstreams against servers that do as they are told.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::standing::State;
use super::testing::*;
use super::{
    Balance, Failure, Health, Scheme, Sent, Server, SetupError, Shared, Upstream, Upstreams, connect, resolve,
};
use crate::limits;
use crate::message::Body;
use crate::telemetry::Metrics;

fn states(upstream: &Upstream) -> Vec<State> {
    upstream.group.members.iter().map(|member| member.standing.state()).collect()
}

fn loads(upstream: &Upstream) -> Vec<usize> {
    upstream.group.members.iter().map(|member| member.load()).collect()
}

fn named(server: &Server) -> String {
    server.to_string()
}

fn server_named(host: &str) -> Server {
    Server::Tcp { scheme: Scheme::Http, host: host.to_owned(), port: 80 }
}

fn port(server: &Server) -> u16 {
    let Server::Tcp { port, .. } = server else { panic!("{server}") };
    *port
}

#[test]
fn an_answer_comes_with_the_servers_name() {
    run(async {
        let app = Answering::start("one").await;
        let upstream = upstream(&options(std::slice::from_ref(&app.server)));
        let sent = upstream.send(CLIENT, get()).await.unwrap();
        assert_eq!(*sent.server, *named(&app.server));
        assert_eq!(loads(&upstream), [1]);
        assert_eq!(text(sent).await, "one");
        assert_eq!(loads(&upstream), [0]);
        let heads = app.seen.heads.borrow();
        assert_eq!(*heads, ["GET /path?query HTTP/1.1\r\nhost: app.test\r\n\r\n"]);
    });
}

#[test]
fn a_connection_is_kept_for_the_next_request_and_a_body_goes_along() {
    run(async {
        let app = Answering::start("one").await;
        let upstream = upstream(&options(std::slice::from_ref(&app.server)));
        for request in [get(), post(), get(), post()] {
            assert_eq!(ask(&upstream, request).await.unwrap(), "one");
        }
        assert_eq!((app.seen.connections.get(), app.seen.requests()), (1, 4));
    });
}

#[test]
fn a_request_beside_another_has_a_connection_of_its_own() {
    run(async {
        let app = Answering::start("one").await;
        let upstream = upstream(&options(std::slice::from_ref(&app.server)));
        for _ in 0..2 {
            let sent = join_all((0..5).map(|_| upstream.send(CLIENT, get()))).await;
            join_all(sent.into_iter().map(|sent| text(sent.unwrap()))).await;
        }
        assert_eq!((app.seen.connections.get(), app.seen.requests()), (5, 10));
    });
}

#[test]
fn a_kept_connection_that_its_server_has_just_closed_is_not_used() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let first = async {
            let (mut stream, _) = app.asked().await;
            answer(&mut stream, "first").await;
            stream
        };
        let (sent, stream) = tokio::join!(ask(&upstream, post()), first);
        assert_eq!((sent.unwrap().as_str(), upstream.pools[0].idle_count()), ("first", 1));
        // Just before the next request, which could not be said twice.
        drop(stream);
        let second = async {
            let (mut stream, _) = app.asked().await;
            answer(&mut stream, "second").await;
        };
        let (sent, ()) = tokio::join!(ask(&upstream, post()), second);
        assert_eq!(sent.unwrap(), "second");
    });
}

#[test]
fn a_kept_connection_that_dies_over_a_request_is_replaced_once_by_a_new_one() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let script = async {
            let (mut stream, _) = app.asked().await;
            answer(&mut stream, "first").await;
            // Takes the second request and goes without a word, as one whose keep-alive ran out would.
            head(&mut stream).await.unwrap();
            drop(stream);
            let (mut stream, _) = app.asked().await;
            answer(&mut stream, "second").await;
        };
        let asking = async {
            assert_eq!(ask(&upstream, get()).await.unwrap(), "first");
            assert_eq!(ask(&upstream, get()).await.unwrap(), "second");
        };
        tokio::join!(script, asking);
        assert_eq!(states(&upstream), [State::Up]);
    });
}

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
fn what_is_no_http_is_an_answer_that_no_other_server_is_asked_for() {
    run(async {
        let app = Manual::start().await;
        let other = Answering::start("other").await;
        let upstream = upstream(&options(&[app.server(Scheme::Http), other.server.clone()]));
        let script = async {
            let (mut stream, _) = app.asked().await;
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        };
        let (sent, ()) = tokio::join!(ask(&upstream, get()), script);
        assert!(matches!(sent, Err(Failure::Broken { .. })));
        assert_eq!(other.seen.requests(), 0);
    });
}

#[test]
fn a_head_beyond_the_bound_is_no_answer() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let script = async {
            let (mut stream, _) = app.asked().await;
            let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(limits::UPSTREAM_HEAD));
            let _ = stream.write_all(head.as_bytes()).await;
        };
        let (sent, ()) = tokio::join!(ask(&upstream, get()), script);
        assert!(matches!(&sent, Err(Failure::Broken { error, .. }) if error.is_answer()), "{sent:?}");
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
fn an_upgrade_is_handed_over_with_its_bytes_and_counts_while_it_is_open() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let script = async {
            let (mut stream, head) = app.asked().await;
            assert!(head.contains("upgrade: echo\r\n"), "{head}");
            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly";
            stream.write_all(switch.as_bytes()).await.unwrap();
            stream.read_u8().await.unwrap()
        };
        let asking = async {
            let mut request = get();
            request.headers_mut().insert("connection", "upgrade".parse().unwrap());
            request.headers_mut().insert("upgrade", "echo".parse().unwrap());
            let Sent { response, permit, switched, .. } = upstream.upgrade(CLIENT, request).await.unwrap();
            assert_eq!(response.status(), 101);
            let (mut io, early) = switched.unwrap().taken().await.unwrap();
            let mut early = early.to_vec();
            while early.len() < 5 {
                early.push(io.read_u8().await.unwrap());
            }
            assert_eq!(early, b"early");
            assert_eq!(loads(&upstream), [1]);
            io.write_all(b"!").await.unwrap();
            drop(permit);
            assert_eq!(loads(&upstream), [0]);
            io
        };
        let (heard, _io) = tokio::join!(script, asking);
        assert_eq!(heard, b'!');
        assert_eq!(upstream.pools[0].idle_count(), 0);
    });
}

#[test]
fn a_refused_upgrade_is_an_answer_like_any_other() {
    run(async {
        let app = Answering::start("no").await;
        let upstream = upstream(&options(std::slice::from_ref(&app.server)));
        assert_eq!(text(upstream.upgrade(CLIENT, get()).await.unwrap()).await, "no");
        assert_eq!(upstream.pools[0].idle_count(), 0, "its connection is not kept");
    });
}

#[test]
fn a_client_that_leaves_before_the_answer_ends_its_request() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let mut sending = Box::pin(upstream.send(CLIENT, get()));
        let (mut stream, _) = tokio::select! {
            asked = app.asked() => asked,
            sent = sending.as_mut() => panic!("{sent:?}"),
        };
        drop(sending);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "its connection ends");
        assert_eq!((loads(&upstream), upstream.pools[0].idle_count()), (vec![0], 0));
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_an_answer_ends_its_connection() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let script = async {
            let (mut stream, _) = app.asked().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart").await.unwrap();
            stream
        };
        let (sent, mut stream) = tokio::join!(upstream.send(CLIENT, get()), script);
        let mut sent = sent.unwrap();
        assert_eq!(sent.response.frame().await.unwrap().unwrap().into_data().unwrap(), "part");
        drop(sent);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "its connection ends");
        assert!(upstream.pools[0].take().is_none(), "and is not used again");
    });
}

#[test]
fn a_connection_whose_answer_is_still_read_is_not_given_to_another_request() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let script = async {
            let (mut first, _) = app.asked().await;
            first.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npart").await.unwrap();
            let (mut second, _) = app.asked().await;
            answer(&mut second, "second").await;
            first.write_all(b"part").await.unwrap();
            (first, second)
        };
        let asking = async {
            // A permit that goes before its body is a mistake that costs a connection, and nothing else.
            let Sent { response, permit, .. } = upstream.send(CLIENT, get()).await.unwrap();
            drop(permit);
            assert_eq!(ask(&upstream, get()).await.unwrap(), "second");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "partpart");
        };
        tokio::join!(script, asking);
    });
}

#[test]
fn idle_connections_are_kept_up_to_the_bound_and_for_a_bounded_time() {
    run(async {
        let app = Answering::start("one").await;
        let upstream = upstream(&options(std::slice::from_ref(&app.server)));
        let pool = &upstream.pools[0];
        let sent = join_all((0..limits::UPSTREAM_IDLE + 5).map(|_| upstream.send(CLIENT, get()))).await;
        join_all(sent.into_iter().map(|sent| text(sent.unwrap()))).await;
        assert_eq!(pool.idle_count(), limits::UPSTREAM_IDLE);
        (1..limits::UPSTREAM_SWEEPS).for_each(|_| pool.sweep());
        assert_eq!(ask(&upstream, get()).await.unwrap(), "one");
        pool.sweep();
        assert_eq!(pool.idle_count(), 1, "the one that was used last");
    });
}

#[test]
fn a_server_at_a_unix_socket_answers() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let app = Answering::unix(&folder.path().join("app.sock"), "unix");
        let upstream = upstream(&options(&[app.server.clone(), Server::Unix(folder.path().join("none.sock"))]));
        for _ in 0..3 {
            assert_eq!(ask(&upstream, get()).await.unwrap(), "unix");
        }
        assert_eq!(app.seen.connections.get(), 1);
    });
}

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
fn tls_chooses_the_protocol_by_alpn_and_an_upgrade_asks_for_http1() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (cert, config) = certificate(folder.path());
        let mut app = Multiplexing::start(None, Some(config)).await;
        let upstream = trusting(
            &options(&[app.server(Scheme::Https, "127.0.0.1"), app.server(Scheme::Https, "localhost")]),
            &cert,
        );
        // No address is in the certificate: the first server is passed over.
        upstream.group.members[1].addresses.set(&[SocketAddr::from(([127, 0, 0, 1], app.port))]);
        let script = async { respond(app.asked.recv().await.unwrap(), "h2 over TLS") };
        let (answer, ()) = tokio::join!(ask(&upstream, post()), script);
        assert_eq!(answer.unwrap(), "h2 over TLS");
        assert_eq!(states(&upstream), [State::Marked, State::Up]);
        let connected = connect::connect(&upstream.group.members[1], connect::Wanted::Http1, Duration::from_secs(20));
        assert_eq!(connected.await.unwrap().protocol, connect::Protocol::Http1);
    });
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_a_failure_to_connect() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (_, config) = certificate(folder.path());
        let (other, _) = certificate(tempfile::tempdir().unwrap().keep().as_path());
        let app = Multiplexing::start(None, Some(config)).await;
        let upstream = trusting(&options(&[app.server(Scheme::Https, "localhost")]), &other);
        upstream.group.members[0].addresses.set(&[SocketAddr::from(([127, 0, 0, 1], app.port))]);
        let failure = ask(&upstream, get()).await.unwrap_err();
        assert!(matches!(&failure, Failure::Connect { .. }), "{failure}");
        assert!(failure.to_string().contains("certificate"), "{failure}");
    });
}

#[test]
fn a_server_that_does_not_answer_in_time_is_not_asked_again() {
    run(async {
        let app = Manual::start().await;
        let other = Answering::start("other").await;
        let mut options = options(&[app.server(Scheme::Http), other.server.clone()]);
        options.response_timeout = Duration::from_millis(50);
        let upstream = upstream(&options);
        let (sent, (mut stream, _)) = tokio::join!(ask(&upstream, get()), app.asked());
        assert!(matches!(sent, Err(Failure::ResponseTimeout { .. })));
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "it is told that nobody waits");
        assert_eq!(other.seen.requests(), 0);
    });
}

#[test]
fn a_server_that_does_not_finish_its_handshake_is_left_for_another_in_time() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (cert, _) = certificate(folder.path());
        let app = Manual::start().await;
        let other = Answering::start("other").await;
        let mut options = options(&[app.server(Scheme::Https), other.server.clone()]);
        options.connect_timeout = Duration::from_millis(50);
        let upstream = trusting(&options, &cert);
        let began = Instant::now();
        assert_eq!(ask(&upstream, post()).await.unwrap(), "other");
        assert!(began.elapsed() >= options.connect_timeout);
        options.servers.pop();
        let alone = trusting(&options, &cert);
        assert!(matches!(ask(&alone, get()).await, Err(Failure::ConnectTimeout { .. })));
    });
}

#[test]
fn an_upload_takes_as_long_as_its_client_needs() {
    run(async {
        let app = Answering::start("done").await;
        let mut options = options(std::slice::from_ref(&app.server));
        options.response_timeout = Duration::from_millis(50);
        let upstream = upstream(&options);
        let started = Instant::now();
        let piece = futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Bytes::from_static(b"body")
        });
        let mut slow = request(Method::POST, Body::stream(piece));
        slow.headers_mut().insert("content-length", "4".parse().unwrap());
        assert_eq!(ask(&upstream, slow).await.unwrap(), "done");
        assert!(started.elapsed() > options.response_timeout * 2);
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
        shared.run(&tasks);
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

#[test]
fn every_address_of_a_name_is_tried_and_the_one_that_answered_first_next_time() {
    run(async {
        let app = Answering::start("app").await;
        let refused = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port(&nobody().await)));
        let upstream = upstream(&options(&[server_named("app.invalid")]));
        let addresses = &upstream.group.members[0].addresses;
        let answers = SocketAddr::from(([127, 0, 0, 1], port(&app.server)));
        addresses.set(&[refused, answers]);
        assert_eq!(addresses.round().await.unwrap().addresses, [refused, answers]);
        assert_eq!(ask(&upstream, post()).await.unwrap(), "app");
        assert_eq!(addresses.round().await.unwrap().addresses, [answers, refused]);
    });
}

#[test]
fn a_kept_connection_to_where_a_name_no_longer_leads_is_not_used() {
    run(async {
        let (old, new) = (Answering::start("old").await, Answering::start("new").await);
        let at = |app: &Answering| SocketAddr::from(([127, 0, 0, 1], port(&app.server)));
        let upstream = upstream(&options(&[server_named("app.invalid")]));
        let addresses = &upstream.group.members[0].addresses;
        addresses.set(&[at(&old)]);
        assert_eq!(ask(&upstream, get()).await.unwrap(), "old");
        addresses.set(&[at(&new), at(&old)]);
        assert_eq!(ask(&upstream, get()).await.unwrap(), "old", "it is still one of its addresses");
        addresses.set(&[at(&new)]);
        assert_eq!(ask(&upstream, get()).await.unwrap(), "new");
        assert_eq!(upstream.pools[0].idle_count(), 1);
    });
}

#[test]
fn a_container_that_comes_back_at_another_address_is_found_by_the_first_request() {
    run(async {
        let old = nobody().await;
        let new = Answering::start("new").await;
        let upstream = upstream(&options(&[server_named("app.invalid")]));
        let leads_to = Cell::new(port(&old));
        let lookup = async |_: &str, _| Ok(vec![SocketAddr::from(([127, 0, 0, 1], leads_to.get()))]);
        let addresses = &upstream.group.members[0].addresses;
        let looked_up = resolve::keep(addresses, "app", Duration::from_millis(50), lookup);
        let asking = async {
            assert_eq!(addresses.round().await.unwrap().addresses.len(), 1);
            leads_to.set(port(&new.server));
            assert_eq!(ask(&upstream, post()).await.unwrap(), "new");
        };
        tokio::select! {
            () = looked_up => unreachable!("never ends"),
            () = asking => {}
        }
    });
}

#[test]
fn a_name_that_does_not_resolve_is_a_failure_to_connect_that_says_so() {
    run(async {
        let options = options(&[server_named("app.invalid")]);
        let (shared, tasks) = (Shared::new([&options], &Metrics::new()).unwrap(), tasks());
        let upstreams = Upstreams::new(Arc::clone(&shared), tasks.clone());
        shared.run(&tasks);
        let failure = ask(upstreams.get("app").unwrap(), get()).await.unwrap_err();
        let said = failure.to_string();
        assert!(said.starts_with("cannot connect to http://app.invalid:80: app.invalid does not resolve: "), "{said}");
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

#[test]
fn an_https_server_without_a_name_for_its_certificate_or_a_machine_without_trust_is_no_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, _) = certificate(folder.path());
    let https = |host: &str| Server::Tcp { scheme: Scheme::Https, host: host.to_owned(), port: 443 };
    let set_up = |host, roots| Shared::with_roots([&options(&[https(host)])], &Metrics::new(), Some(roots));
    assert!(set_up("app", roots(&cert)).is_ok());
    assert!(matches!(set_up("a b", roots(&cert)), Err(SetupError::Name { .. })));
    assert!(matches!(set_up("app", rustls::RootCertStore::empty()), Err(SetupError::NoRoots { .. })));
}
