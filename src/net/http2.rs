//! A connection of HTTP/2.
//!
//! Owns: hyper's knobs for it. A stream that was upgraded is a socket beside the others.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;

use http::{Method, Request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::connection::{Answer, Connection, Edge};
use super::counted::Counted;
use super::drive::{Fault, drive};
use super::stall::Streams;
use super::stream::Stream;
use super::upgrade::{Socket, Upgrade};
use crate::limits;

/// Serves the connection until it ends.
///
/// # Errors
/// If it ended as it should not have.
pub(super) async fn serve<A: Answer>(connection: Rc<Connection<A>>, stream: Stream) -> Result<(), Fault> {
    let Connection { tasks, clock, peer, edge, .. } = &*connection;
    let streams = Streams::new(tasks.clone(), clock.clone(), *peer, edge.limits.send_timeout);
    let service = service_fn(|mut request: Request<Incoming>| {
        let in_flight = clock.begin(request.body().is_end_stream());
        let (connection, streams) = (Rc::clone(&connection), streams.clone());
        async move {
            let tether = (*request.method() == Method::CONNECT).then(|| streams.tether());
            let on_upgrade = tether.is_some().then(|| hyper::upgrade::on(&mut request));
            let (request, upgrade) = (request.map(Into::into), Upgrade::default());
            let response = connection.answer(request, &in_flight, None, &upgrade).await;
            if let (Some(tether), Some(on_upgrade)) = (tether, on_upgrade) {
                tether.hand_over();
                if let Some(work) = upgrade.take() {
                    let in_flight = in_flight.clone();
                    connection.tasks.spawn_small(async move {
                        let upgraded = on_upgrade.await.map_err(|error| error.to_string());
                        work(upgraded.map(|io| Socket::Stream { io: TokioIo::new(io), in_flight, tether }));
                    });
                }
            }
            Ok::<_, Infallible>(response.map(|body| Counted::new(body, in_flight, Some(streams))))
        }
    });
    let stream = TokioIo::new(stream.multiplexed());
    let mut serving = pin!(builder(edge, streams.clone()).serve_connection(stream, service));
    if peer.over_cap {
        serving.as_mut().graceful_shutdown();
    }
    drive(serving, |c| c.graceful_shutdown(), &connection).await.map(drop)
}

fn builder(edge: &Edge, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::H2_STREAMS)
        .max_header_list_size(u32::try_from(edge.limits.header_size).unwrap_or(u32::MAX))
        .max_send_buf_size(limits::H2_SEND_BUFFER)
        .initial_stream_window_size(limits::H2_STREAM_WINDOW)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
        .keep_alive_interval(edge.limits.keepalive_timeout)
        .keep_alive_timeout(edge.limits.header_timeout);
    if edge.websocket_h2 {
        builder.enable_connect_protocol();
    }
    builder
}
