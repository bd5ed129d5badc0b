//! One request on its stream, up to the head of its answer.
//!
//! Owns: dropping what answers a client that has reset the stream, and what becomes of the stream behind the head: the
//! answer's body goes out on it, or it is a socket. Never: keeps what it took to answer for as long as that lasts.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;

use super::head;
use super::outgoing::Outgoing;
use super::pace::Pace;
use super::respond::Respond;
use super::socket::StreamIo;
use crate::message::incoming::{HeldBack, Streamed};
use crate::message::{Body, Incoming, hop};
use crate::net::clock::InFlight;
use crate::net::connection::{Answer, Connection};
use crate::net::interim::Interims;
use crate::net::upgrade::{Socket, Upgrade};

/// A request, and what is known of its stream.
struct Asking {
    request: Request<Incoming>,
    respond: Respond,
    in_flight: InFlight,
    /// Where its client may wait to be told to go on.
    held: Option<Rc<HeldBack>>,
    /// Of a CONNECT, what the client will say.
    said: Option<RecvStream>,
    pace: Rc<Pace>,
}

/// What there is to do on a stream: its task. By hand, since there is one a stream and its size counts.
enum Stage<F> {
    /// Boxed: it is gone once there is a head, and the task goes on.
    Answering(Pin<Box<F>>),
    Sending(Outgoing<Body>),
}

/// Answers the request in a task of its own.
pub(super) fn begin<A: Answer>(
    connection: &Rc<Connection<A>>,
    pace: &Rc<Pace>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (parts, stream) = request.into_parts();
    let whole = stream.is_end_stream();
    let in_flight = connection.clock.begin(whole);
    let length = if whole { None } else { length(&parts.headers) };
    let (mut held, mut said) = (None, None);
    let body = if parts.method == Method::CONNECT {
        if length.is_some_and(|length| length > 0) {
            // It has no content (RFC 9110, section 9.3.6).
            return respond.send_reset(Reason::PROTOCOL_ERROR);
        }
        said = Some(stream);
        Incoming::Empty
    } else if whole {
        Incoming::Empty
    } else {
        held = hop::waits_to_continue(&parts.headers).then(Rc::default);
        Incoming::Stream(Streamed::new(stream, length, held.clone()))
    };
    let (request, respond) = (Request::from_parts(parts, body), Respond::new(respond));
    let asking = Asking { request, respond, in_flight, held, said, pace: Rc::clone(pace) };
    let answering = Box::pin(answer(Rc::clone(connection), asking));
    connection.tasks.spawn_small(Stage::Answering(answering));
}

/// Up to the head; what goes out behind it, if anything does.
async fn answer<A: Answer>(connection: Rc<Connection<A>>, asking: Asking) -> Option<Outgoing<Body>> {
    let Asking { request, respond, in_flight, held, said, pace } = asking;
    let upgrade = Upgrade::default();
    let response = {
        // Where it stays: it is large.
        let mut answer = pin!(connection.answer(request, &in_flight, Interims::Http2(&respond), None, &upgrade));
        poll_fn(|cx| poll_answer(answer.as_mut(), &respond, held.as_deref(), cx)).await?
    };
    let (parts, body) = response.into_parts();
    let mut head = Response::from_parts(parts, ());
    if let Some(work) = upgrade.take() {
        let Some(said) = said.filter(|_| head.status().is_success()) else {
            work(Err("it was not asked for, or is not the answer".to_owned()));
            return None;
        };
        head::finish(head.headers_mut(), None);
        head.headers_mut().remove(CONTENT_LENGTH);
        work(match respond.answer(head, false) {
            Ok(stream) => Ok(Socket::Stream { io: StreamIo::new(stream, said, pace), in_flight }),
            Err(error) => Err(error.to_string()),
        });
        return None;
    }
    drop(said);
    let end = body.is_end_stream();
    head::finish(head.headers_mut(), body.size_hint().exact().filter(|_| !end));
    let stream = respond.answer(head, end).ok()?;
    (!end).then(|| Outgoing::new(body, stream, pace, in_flight))
}

/// Completes when nothing is left to do on the stream.
impl<F: Future<Output = Option<Outgoing<Body>>>> Future for Stage<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let stage = self.get_mut();
        loop {
            match stage {
                Stage::Answering(answering) => match ready!(answering.as_mut().poll(cx)) {
                    Some(outgoing) => *stage = Stage::Sending(outgoing),
                    None => return Poll::Ready(()),
                },
                Stage::Sending(outgoing) => return Pin::new(outgoing).poll(cx),
            }
        }
    }
}

/// The answer, unless its client goes before there is one. Meanwhile a client is told to go on when its body is wanted.
fn poll_answer<T>(
    answer: Pin<&mut impl Future<Output = T>>,
    respond: &Respond,
    held: Option<&HeldBack>,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    // First: what its body says of a client that is gone is no matter.
    if respond.poll_gone(cx).is_ready() {
        return Poll::Ready(None);
    }
    if let Poll::Ready(answer) = answer.poll(cx) {
        return Poll::Ready(Some(answer));
    }
    if held.is_some_and(|held| held.is_wanted(cx)) {
        respond.say(StatusCode::CONTINUE, HeaderMap::new());
    }
    Poll::Pending
}

/// Of the body, as the client says; h2 holds it to that.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::future::Ready;

    use super::*;

    #[test]
    fn what_a_stream_keeps_while_its_answer_goes_out_is_small() {
        let stage = size_of::<Stage<Ready<Option<Outgoing<Body>>>>>();
        assert!(stage <= 128, "{stage}");
    }
}
