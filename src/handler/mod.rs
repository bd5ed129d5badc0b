//! What serves a request once its route's guards let it in.
//!
//! Owns: one handler a file, and the one match over them. Never: checks who may ask; that was done.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, Method, Request, Response, Version};
use hyper::body::Incoming;

use crate::feed::roster::Roster;
use crate::message::{Body, headers};
use crate::net::connection::Asked;
use crate::shutdown::Tasks;
use crate::telemetry::{AccessLog, RouteMeters};
use crate::upstream::Upstreams;
use crate::ws;

pub mod feed_get;
pub mod feed_sse;
pub mod feed_ws;
pub mod fixed;
pub mod forward;
pub mod page;
pub mod redirect;
pub mod tunnel;

pub use fixed::Fixed;
pub use forward::{Failure, Proxy};
pub use page::Asset;
pub use redirect::Redirect;
pub use tunnel::Tunnels;

/// This worker's rosters, by feed.
pub type Rosters = Rc<HashMap<String, Rc<Roster>>>;

/// What a route does.
#[derive(Debug)]
pub enum Handler {
    Feed(FeedDoor),
    Page(Asset),
    Respond(Fixed),
    Redirect(Redirect),
    Proxy(Proxy),
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

/// A feed as a route serves it.
#[derive(Debug, Clone)]
pub struct FeedDoor {
    pub feed: String,
    pub delivery: Arc<crate::feed::Delivery>,
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
}

impl Handler {
    /// The response, and whose it is.
    ///
    /// # Errors
    /// If what was to be asked gave none.
    pub async fn handle(&self, call: &Call<'_>, request: Request<Incoming>) -> Result<(Response<Body>, Kind), Failure> {
        let own = |response| Ok((response, Kind::Own));
        match self {
            Handler::Feed(door) => {
                let (response, upgraded) = door.handle(call, request);
                Ok((response, if upgraded { Kind::Socket } else { Kind::Own }))
            }
            Handler::Page(asset) => own(asset.answer(&request)),
            Handler::Respond(fixed) => own(fixed.answer()),
            Handler::Redirect(redirect) => own(redirect.answer(call.authority, request.uri())),
            // Boxed: what it takes to forward is no part of what each connection keeps.
            Handler::Proxy(proxy) => Box::pin(proxy.handle(call, request)).await,
        }
    }
}

impl FeedDoor {
    fn handle(&self, call: &Call<'_>, request: Request<Incoming>) -> (Response<Body>, bool) {
        let Some(roster) = call.rosters.get(&self.feed) else {
            // The config refuses a route to a feed that does not exist.
            tracing::error!(feed = self.feed, "a route leads to a feed that this worker does not have");
            return (crate::message::respond::empty(http::StatusCode::INTERNAL_SERVER_ERROR), false);
        };
        if is_websocket(&request) {
            return feed_ws::open(self, roster, call, request);
        }
        let (parts, _body) = request.into_parts();
        let response = match parts.method {
            Method::GET if wants_events(&parts) => feed_sse::open(self, roster, &parts),
            Method::GET | Method::HEAD => feed_get::answer(self, roster, &parts),
            _ => crate::message::respond::method_not_allowed("GET, HEAD"),
        };
        (response, false)
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
        Handler::Proxy(_) => tunnel::wanted(parts).is_some(),
        Handler::Page(_) | Handler::Respond(_) | Handler::Redirect(_) => false,
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
    let protocol = extensions.get::<hyper::ext::Protocol>();
    version == Version::HTTP_2
        && method == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}
