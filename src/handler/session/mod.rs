//! Sessions: a WebSocket whose messages are understood, with one upstream socket a client.
//!
//! Owns: what a client and its upstream socket say to each other. The session itself is `state` (and `due`, its
//! deadlines), which knows no socket; `attendance` (and `turn`) moves the bytes; `open` and `dial` shake hands.
//! Never: shares an upstream socket between clients, or closes a client because its upstream restarts.

mod attendance;
mod dial;
mod due;
mod ending;
mod identity;
mod open;
pub mod options;
mod outbox;
mod parts;
mod state;
mod terms;
mod turn;
mod unread;
mod upward;

use std::sync::Arc;

use http::Request;

pub use dial::Forwarding;
pub use options::{Held, Options};

use super::tunnel::{self, Wanted};
use super::{Answering, Call, Failure, Proxy};
use crate::message::Incoming;
use crate::telemetry::SessionMeters;
use terms::Terms;

/// A route's sessions; what is no WebSocket is forwarded.
#[derive(Debug)]
pub struct Session {
    proxy: Proxy,
    terms: Arc<Terms>,
}

impl Session {
    /// `forwarding` is how the client's own token is passed on, if it is.
    #[must_use]
    pub fn new(proxy: Proxy, options: &Options, forwarding: Option<Forwarding>, meters: SessionMeters) -> Session {
        Session { proxy, terms: Arc::new(Terms::new(options, forwarding, meters)) }
    }

    /// Opens the session that is asked for, or forwards the request.
    ///
    /// # Errors
    /// If there is no answer to pass on.
    pub fn handle<'a>(&'a self, call: &'a Call<'a>, request: Request<Incoming>) -> Answering<'a> {
        let (parts, body) = request.into_parts();
        let wanted = tunnel::wanted(&parts).is_some_and(|wanted| match wanted {
            Wanted::Stream => true,
            // Whatever else is wrong with it, it is no tunnel past the session's rules.
            Wanted::Upgrade(protocols) => names_websocket(protocols.as_bytes()),
        });
        let request = Request::from_parts(parts, body);
        if !wanted {
            return self.proxy.handle(call, request);
        }
        let Some(upstream) = call.upstreams.get(&self.proxy.upstream) else {
            return Answering::Done(Some(Err(Failure::NoUpstream(self.proxy.upstream.clone()))));
        };
        // A client that closes its side has left: then nobody waits for the upstream's answer either.
        call.asked.in_flight.streams();
        Answering::Later(Box::pin(open::open(self, upstream, call, request)))
    }
}

fn names_websocket(protocols: &[u8]) -> bool {
    let names = protocols.split(|byte| *byte == b',').map(|one| one.split(|byte| *byte == b'/').next());
    names.flatten().any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

#[cfg(test)]
mod tests {
    use super::names_websocket;

    #[test]
    fn a_websocket_is_known_among_other_protocols() {
        for asked in ["websocket", "WebSocket", "chat, websocket", "websocket/13"] {
            assert!(names_websocket(asked.as_bytes()), "{asked}");
        }
        for asked in ["", "chat", "websockets", "web,socket"] {
            assert!(!names_websocket(asked.as_bytes()), "{asked}");
        }
    }
}
