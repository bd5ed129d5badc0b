//! An upgrade that is passed on, and the tunnel that comes of it: bytes, untouched, in both directions.
//!
//! Owns: the handshake between the two sides (a WebSocket over HTTP/2, RFC 8441, becomes an upgrade over HTTP/1.1), then
//! the two directions, joined: each ends by itself, and its end is passed on. Never: reads what the other side has no room
//! for, ends a tunnel for its silence, or keeps a buffer for one that is silent.

pub(super) mod end;
mod flow;
mod registry;
mod stream;
mod term;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::{Sleep, sleep};

use self::end::End;
use self::flow::{Flow, Progress};
pub use self::registry::{Seat, Tunnels};
use self::term::Term;
use super::forward::{self, Failure, Proxy};
use super::{Call, Kind, Outcome, interim, is_extended_connect};
use crate::admission::Admission;
use crate::feed::farewell::by_order;
use crate::limits;
use crate::message::{Body, Incoming, framing, hop, trace};
use crate::net::ConnectionPermit;
use crate::net::clock::InFlight;
use crate::net::upgrade::{self, Socket, StreamIo};
use crate::shutdown::Tasks;
use crate::telemetry::SocketRecord;
use crate::upstream::{Io as ServerIo, LoadPermit, Sent, Switched, Upstream};
use crate::ws::{close, handshake};

/// A tunnel that a request asks for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// To one of these protocols.
    Upgrade(HeaderValue),
    /// A WebSocket, on a stream of HTTP/2.
    Stream,
}

/// A tunnel until it ends. A future by hand: there is one a socket, and its size counts.
#[derive(Debug)]
struct Tunnel {
    client: End,
    server: End,
    up: Flow,
    down: Flow,
    seat: Seat,
    /// Who ended its side first.
    ended: Option<&'static str>,
    record: Option<SocketRecord>,
    /// It is over, and until when a stream is heard out.
    lingering: Option<Pin<Box<Sleep>>>,
    term: Term,
    _place: Place,
    _load: LoadPermit,
}

/// What the client's side holds.
#[derive(Debug)]
pub(super) enum Place {
    Connection { _permit: ConnectionPermit },
    Stream { _in_flight: InFlight },
}

/// What a client asked for.
struct Asked {
    path: Box<str>,
    protocol: HeaderValue,
    /// Over HTTP/2: what the server is to answer its handshake with.
    proof: Option<HeaderValue>,
}

/// The server's side, and what a tunnel needs beside the client's.
struct Opening {
    server: Switched,
    load: LoadPermit,
    record: SocketRecord,
    tunnels: Rc<Tunnels>,
    admission: Rc<Admission>,
    tasks: Tasks,
}

/// The tunnel that a request asks for, if it does.
#[must_use]
pub fn wanted(parts: &Parts) -> Option<Wanted> {
    if is_extended_connect(parts.version, &parts.method, &parts.extensions) {
        return Some(Wanted::Stream);
    }
    hop::wanted_upgrade(parts).map(Wanted::Upgrade)
}

/// Asks a server for it. What it answers instead is passed on. There is one such future a socket: it is small, and holds the
/// request once.
///
/// # Errors
/// If there is nothing to ask with. The outcome is one if there is no answer to pass on.
pub fn open<'a>(
    proxy: &'a Proxy,
    upstream: &'a Upstream,
    call: &'a Call<'a>,
    request: Request<Incoming>,
    wanted: Wanted,
) -> Result<impl Future<Output = Outcome> + 'a, Failure> {
    let (mut parts, body) = request.into_parts();
    let path: Box<str> = parts.uri.path().into();
    let (protocol, proof) = match wanted {
        Wanted::Upgrade(protocol) => (protocol, None),
        Wanted::Stream => {
            let (key, accept) = handshake::key_and_accept([trace::random(), trace::random()]);
            parts.method = Method::GET;
            parts.headers.insert(SEC_WEBSOCKET_KEY, key);
            (HeaderValue::from_static("websocket"), Some(accept))
        }
    };
    let asker = interim::asker(call.asked, parts.version);
    let mut outgoing = proxy.outgoing(call, parts, body)?;
    hop::upgrade(outgoing.request.headers_mut(), protocol.clone());
    let asked = Asked { path, protocol, proof };
    let sending = upstream.upgrade_for(asker, call.asked.peer.client, outgoing);
    Ok(sending.map(move |sent| match sent {
        Ok(sent) => answered(upstream, call, asked, sent),
        Err(failure) => Err(proxy.failed(failure)),
    }))
}

/// The answer for the client; with one that switches, the tunnel is left to begin where it is out.
fn answered(upstream: &Upstream, call: &Call<'_>, asked: Asked, mut sent: Sent) -> Outcome {
    let Asked { path, protocol, proof } = asked;
    let http2 = proof.is_some();
    if sent.response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return declined(upstream, sent, http2);
    }
    let Some(server) = sent.switched.take() else { return declined(upstream, sent, http2) };
    let headers = std::mem::take(sent.response.headers_mut());
    let mut answer = switched(headers, &sent.server, &protocol, proof)?;
    if call.admission.echo_bearer {
        // What the server chose is left to it; the token's pair it never saw.
        answer.headers_mut().entry(SEC_WEBSOCKET_PROTOCOL).or_insert(handshake::BEARER);
    }
    let record = SocketRecord::tunnel(call.access, call.meters, call.asked.peer.client, &path);
    let opening = Opening {
        server,
        load: sent.permit,
        record: record.of(call.admission.subject()),
        tunnels: Rc::clone(call.tunnels),
        admission: Rc::clone(call.admission),
        tasks: call.tasks.clone(),
    };
    call.asked.upgrade.then(|client| opening.run(client));
    Ok((answer, Kind::Socket))
}

/// The server's own answer, where it does not switch. A WebSocket over HTTP/2 would be open with any that succeeds.
pub(super) fn declined(upstream: &Upstream, sent: Sent, http2: bool) -> Outcome {
    let status = sent.response.status();
    if http2 && status.is_success() {
        return Err(Failure::NoHandshake { server: sent.server, status });
    }
    Ok((forward::answer(upstream, sent)?, Kind::Forwarded))
}

/// The answer that opens the tunnel.
fn switched(
    mut headers: HeaderMap,
    server: &Arc<str>,
    asked: &HeaderValue,
    proof: Option<HeaderValue>,
) -> Result<Response<Body>, Failure> {
    let status = StatusCode::SWITCHING_PROTOCOLS;
    let server = || Arc::clone(server);
    framing::response(status, &headers, Some(asked)).map_err(|rule| Failure::BadAnswer { server: server(), rule })?;
    let protocol = headers.get(http::header::UPGRADE).cloned();
    hop::response(&mut headers);
    let mut response = Response::new(Body::Empty);
    match (proof, protocol) {
        (Some(proof), _) => {
            if headers.remove(SEC_WEBSOCKET_ACCEPT) != Some(proof) {
                return Err(Failure::NoHandshake { server: server(), status });
            }
        }
        (None, protocol) => {
            *response.status_mut() = status;
            hop::upgrade(&mut headers, protocol.unwrap_or_else(|| asked.clone()));
        }
    }
    *response.headers_mut() = headers;
    Ok(response)
}

impl Opening {
    /// The client's side is no longer HTTP; the server's is not when the request is said to its end, which may be later.
    fn run(self, client: upgrade::Outcome) {
        let client = match client {
            Ok(client) => client_side(client, End::stream),
            Err(reason) => return self.record.tunnel_closed(&format!("the client's upgrade failed: {reason}"), 0, 0),
        };
        let Opening { server, load, record, tunnels, admission, tasks } = self;
        let spawning = tasks.clone();
        server.then(&tasks, move |server| match server {
            Ok(server) => {
                let seat = Tunnels::seat(&tunnels);
                let tunnel = Tunnel::new(client, server, seat, record, Term::of(&admission), load);
                // Boxed: tasks come in steps of 128 bytes, and are copied when they end.
                spawning.spawn_small(Box::pin(tunnel));
            }
            Err(error) => record.tunnel_closed(&format!("the server's upgrade failed: {error}"), 0, 0),
        });
    }
}

/// The client's side, what it has said already, and what it holds; `stream` makes an end of a stream of HTTP/2.
pub(super) fn client_side(socket: Socket, stream: impl FnOnce(StreamIo) -> End) -> (End, Bytes, Place) {
    match socket {
        Socket::Connection { io, said, permit } => {
            (End::from_client(io), said.into(), Place::Connection { _permit: permit })
        }
        Socket::Stream { io, in_flight } => (stream(io), Bytes::new(), Place::Stream { _in_flight: in_flight }),
    }
}

impl Tunnel {
    /// Between these two, each with what was said on it already.
    fn new(
        (client, said, place): (End, Bytes, Place),
        (server, heard): (ServerIo, Bytes),
        seat: Seat,
        record: SocketRecord,
        term: Term,
        load: LoadPermit,
    ) -> Tunnel {
        Tunnel {
            client,
            server: End::from_server(server),
            up: Flow::new(said),
            down: Flow::new(heard),
            seat,
            ended: None,
            record: Some(record),
            lingering: None,
            term,
            _place: place,
            _load: load,
        }
    }

    /// Moves what can be moved; gives how it ended once it has.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        if self.seat.is_told_to_leave() {
            return Poll::Ready("draining".to_owned());
        }
        if let Some(record) = &self.record
            && let Poll::Ready(order) = record.watch().poll_told(cx)
        {
            return Poll::Ready(by_order(order).1.to_owned());
        }
        if self.term.poll_end(cx).is_ready() {
            return Poll::Ready(close::TOKEN_EXPIRED.to_owned());
        }
        let tunnels = Rc::clone(self.seat.tunnels());
        let (up, down) = tunnels.with_scratch(|scratch| {
            let up = self.up.run(cx, &mut self.client, &mut self.server, scratch, self.down.is_done());
            let down = self.down.run(cx, &mut self.server, &mut self.client, scratch, self.up.is_done());
            (up, down)
        });
        if self.ended.is_none() {
            let (up, down) = (self.up.has_ended(), self.down.has_ended());
            self.ended = up.then_some("the client left").or(down.then_some("the server left"));
        }
        let (up, down) = match (up, down) {
            (Ok(up), Ok(down)) => (up, down),
            (Err(error), _) => return Poll::Ready(format!("the client's side failed: {error}")),
            (Ok(_), Err(error)) => return Poll::Ready(format!("the server's side failed: {error}")),
        };
        if up == Progress::Done && down == Progress::Done {
            return Poll::Ready(self.ended.unwrap_or("both left").to_owned());
        }
        if up == Progress::Again || down == Progress::Again {
            cx.waker().wake_by_ref();
        }
        self.seat.wait(cx);
        Poll::Pending
    }

    /// What of either side is still open is told that no more comes, as far as it can be told at once.
    fn end(&mut self, cx: &mut Context<'_>, reason: &str) {
        let _ = self.client.poll_finish(cx);
        let _ = self.server.poll_finish(cx);
        self.server = End::Gone;
        if let Some(record) = self.record.take() {
            record.tunnel_closed(reason, self.up.bytes(), self.down.bytes());
        }
    }

    /// Completes at once for a socket, and for a stream when it says no more, or has had its time.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let tunnels = Rc::clone(self.seat.tunnels());
        if tunnels.with_scratch(|scratch| self.client.poll_discard(cx, scratch)).is_ready() {
            return Poll::Ready(());
        }
        self.lingering.get_or_insert_with(|| Box::pin(sleep(limits::CLOSE_TIMEOUT))).as_mut().poll(cx)
    }
}

/// Completes when the tunnel has ended and that is on record.
impl Future for Tunnel {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let tunnel = self.get_mut();
        if tunnel.lingering.is_none() {
            let reason = ready!(tunnel.advance(cx));
            tunnel.end(cx, &reason);
        }
        tunnel.linger(cx)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_kept_of_each_tunnel_is_small() {
        let tunnel = size_of::<super::Tunnel>();
        assert!(tunnel <= 448, "{tunnel}");
    }
}
