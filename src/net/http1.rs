//! A connection of HTTP/1.1.
//!
//! Owns: hyper's knobs for it, and taking the socket back out of hyper once it was upgraded.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::Limits;
use super::clock::InFlight;
use super::connection::{Answer, Connection};
use super::counted::Counted;
use super::drive::{Ended, Fault, drive};
use super::first::{self, Left};
use super::interim::Interims;
use super::stream::Stream;
use super::upgrade::{Socket, Upgrade};
use crate::limits;
use crate::message::Body;
use crate::message::framing::Verdict;

/// Serves the connection until it ends or is upgraded.
///
/// # Errors
/// If it ended as it should not have.
pub(super) async fn serve<A: Answer>(connection: Rc<Connection<A>>, stream: Stream) -> Result<(), Fault> {
    let (stream, answered) = match first::serve(&connection, stream).await {
        Left::Nothing => return Ok(()),
        Left::All(stream) => (stream, None),
        Left::Answer(stream, answered) => (stream, Some(answered)),
    };
    // Boxed: most sockets of a crowd come here never.
    Box::pin(go_on(connection, stream, answered)).await
}

/// The same; the first request may be `answered` already.
async fn go_on<A: Answer>(
    connection: Rc<Connection<A>>,
    stream: Stream,
    answered: Option<Box<(Response<Body>, InFlight)>>,
) -> Result<(), Fault> {
    if stream.writable().await.is_err() {
        return Ok(());
    }
    let (verdict, requests) = (Arc::new(Verdict::default()), Cell::new(0));
    let is_answered = answered.is_some();
    let (upgrade, answered) = (Rc::new(Upgrade::default()), Cell::new(answered));
    let service = service_fn(|request: Request<Incoming>| {
        let ambiguous = verdict.of(requests.replace(requests.get() + 1));
        let answered = answered.take().ok_or_else(|| connection.clock.begin(request.body().is_end_stream()));
        let (connection, upgrade) = (Rc::clone(&connection), Rc::clone(&upgrade));
        async move {
            let (response, in_flight) = match answered {
                Ok(answered) => *answered,
                Err(in_flight) => {
                    let (request, interims) = (request.map(Into::into), Interims::Http1(&in_flight));
                    let response = connection.answer(request, &in_flight, interims, ambiguous, &upgrade).await;
                    (response, in_flight)
                }
            };
            Ok::<_, Infallible>(response.map(|body| Counted::new(body, in_flight)))
        }
    });
    let mut builder = builder(&connection.edge.limits);
    // A drain that began while the first request was answered is told with that answer.
    let last = is_answered && connection.tasks.stages().is_draining();
    builder.keep_alive(!connection.peer.over_cap && !last);
    let mut serving = builder.serve_connection(TokioIo::new(stream.watched(Arc::clone(&verdict))), service);
    let outcome = drive(Pin::new(&mut serving), |c| c.graceful_shutdown(), &connection).await;
    if !upgrade.is_wanted() {
        return outcome.map(drop);
    }
    let taken = match outcome {
        Ok(Ended::Done) => Ok(raw(serving.into_parts())),
        Ok(Ended::Dropped) => Err("the client left".to_owned()),
        Err(fault) => Err(fault.reason),
    };
    upgrade.end(|| taken);
    Ok(())
}

/// The connection that was upgraded, and what the client has said already: what hyper read ahead, then what was never given
/// to it.
fn raw<S>(parts: Parts<TokioIo<Stream>, S>) -> Socket {
    let (io, unread, permit) = parts.io.into_inner().into_parts();
    // A copy: hyper's buffer would be kept whole for it.
    let said = [parts.read_buf.as_ref(), &unread].concat().into();
    Socket::Connection { io, said, permit }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The clock does this: hyper's own would also end idle connections.
        .header_read_timeout(None)
        .half_close(false)
        .max_headers(limits::HEADER_FIELDS)
        .max_header_size(limits.header_size)
        // Reads at least a head, and holds as much of a response that the peer does not take.
        .max_buf_size(limits.header_size.max(limits::H1_BUFFER));
    builder
}
