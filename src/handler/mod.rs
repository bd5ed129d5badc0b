//! What serves a request once its route's guards let it in.
//!
//! Owns: one handler a file, and the one match over them. Never: checks who may ask; that was done.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Extensions, Method, Request, Response, Version};

use crate::admission::Admission;
use crate::feed::rosters;
use crate::limits;
use crate::message::{Body, Incoming, compress, headers, respond};
use crate::net::connection::Asked;
use crate::shutdown::Tasks;
use crate::telemetry::{AccessLog, RouteMeters};
use crate::upstream::Upstreams;
use crate::ws;

pub mod feed_door;
pub mod feed_get;
pub mod feed_sse;
pub mod feed_ws;
pub mod files;
pub mod fixed;
pub mod forward;
mod interim;
pub mod page;
pub mod redirect;
pub mod session;
pub mod ticket;
pub mod tunnel;
mod upgrade;

pub use feed_door::FeedDoor;
pub use files::Files;
pub use fixed::Fixed;
pub use forward::{Failure, Proxy};
pub use page::Asset;
pub use redirect::Redirect;
pub use session::{Forwarding, Held, Options as SessionOptions, Session};
pub use ticket::Ticket;
pub use tunnel::Tunnels;

/// This worker's rosters, by feed.
pub type Rosters = Rc<rosters::Rosters>;

/// What bounds the compression of answers (`compress`).
pub const COMPRESSION: compress::Bounds = compress::Bounds {
    min: limits::COMPRESS_MIN,
    turn: limits::COMPRESS_TURN,
    window_bits: limits::COMPRESS_WINDOW_BITS,
};

/// What a route does.
#[derive(Debug)]
pub enum Handler {
    Feed(FeedDoor),
    Page(Asset),
    Respond(Fixed),
    Redirect(Redirect),
    Files(Files),
    Proxy(Proxy),
    Session(Session),
    Ticket(Ticket),
}

/// Whose a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Own,
    /// A server's, which has said of itself what it wants said.
    Forwarded,
    /// The connection or stream became a socket, which is logged when it ends.
    Socket,
}

/// A response and whose it is, or why there is none.
pub type Outcome = Result<(Response<Body>, Kind), Failure>;

/// A response on its way; whoever waits for it boxes nothing.
pub enum Answering<'a> {
    /// Until it was taken.
    Done(Option<Outcome>),
    /// Boxed: what it takes to forward is no part of what each connection keeps.
    Later(Pin<Box<dyn Future<Output = Outcome> + 'a>>),
}

/// What a handler is given beside the request.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub asked: &'a Asked<'a>,
    /// The host that the request is for, with its port.
    pub authority: &'a str,
    pub rosters: &'a Rosters,
    pub upstreams: &'a Upstreams,
    pub tunnels: &'a Rc<Tunnels>,
    pub tasks: &'a Tasks,
    pub access: &'a AccessLog,
    pub meters: &'a Arc<RouteMeters>,
    /// What the guards found out.
    pub admission: &'a Rc<Admission>,
}

impl Handler {
    /// The response, and whose it is.
    ///
    /// # Errors
    /// If what was to be asked gave none.
    pub fn handle<'a>(&'a self, call: &'a Call<'a>, request: Request<Incoming>) -> Answering<'a> {
        let own = |response| Answering::Done(Some(Ok((response, Kind::Own))));
        match self {
            Handler::Feed(door) => Answering::Later(Box::pin(async move {
                let (response, upgraded) = door.handle(call, request).await;
                Ok((response, if upgraded { Kind::Socket } else { Kind::Own }))
            })),
            Handler::Page(asset) => own(asset.answer(&request)),
            // Any success would open a WebSocket over HTTP/2 (RFC 8441, section 5).
            Handler::Respond(_) if *request.method() == Method::CONNECT => {
                own(respond::method_not_allowed("GET, HEAD"))
            }
            Handler::Respond(fixed) => own(fixed.answer()),
            Handler::Redirect(redirect) => own(redirect.answer(call.authority, request.uri())),
            Handler::Files(files) => Answering::Later(Box::pin(async move {
                let (parts, _body) = request.into_parts();
                Ok((files.answer(&parts, files.path(parts.uri.path())).await, Kind::Own))
            })),
            Handler::Proxy(proxy) => proxy.handle(call, request),
            Handler::Session(session) => session.handle(call, request),
            Handler::Ticket(ticket) => own(ticket.answer(call, &request)),
        }
    }
}

impl Future for Answering<'_> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.get_mut() {
            Answering::Done(outcome) => outcome.take().map_or(Poll::Pending, Poll::Ready),
            Answering::Later(work) => work.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Answering<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answering::Done(_) => "Done",
            Answering::Later(_) => "Later",
        })
    }
}

/// Whether the answer would be a socket or an event stream.
#[must_use]
pub fn is_lasting(handler: &Handler, parts: &Parts) -> bool {
    match handler {
        Handler::Feed(_) => {
            wants_events(parts)
                || ws::handshake::wants_websocket(&parts.method, parts.version, &parts.headers)
                || parts.method == Method::CONNECT
        }
        Handler::Proxy(_) | Handler::Session(_) => tunnel::wanted(parts).is_some(),
        Handler::Page(_) | Handler::Respond(_) | Handler::Ticket(_) | Handler::Redirect(_) | Handler::Files(_) => false,
    }
}

fn wants_events(parts: &Parts) -> bool {
    parts.method == Method::GET && headers::accepts(&parts.headers, "text/event-stream")
}

/// An upgrade over HTTP/1.1, or extended CONNECT over HTTP/2 (RFC 8441, section 5).
fn is_websocket<B>(request: &Request<B>) -> bool {
    is_extended_connect(request.version(), request.method(), request.extensions())
        || ws::handshake::wants_websocket(request.method(), request.version(), request.headers())
}

/// A WebSocket over HTTP/2 (RFC 8441, section 4).
fn is_extended_connect(version: Version, method: &Method, extensions: &Extensions) -> bool {
    let protocol = extensions.get::<h2::ext::Protocol>();
    version == Version::HTTP_2
        && method == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}
