//! Connections over HTTP/1.1: which are kept, which are used again, and when one ends.

use futures_util::future::join_all;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{loads, states};
use crate::limits;
use crate::upstream::standing::State;
use crate::upstream::testing::{Answering, CLIENT, Manual, answer, ask, get, head, options, post, run, text, upstream};
use crate::upstream::{Scheme, Sent};

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
