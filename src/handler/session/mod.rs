//! Sessions: a WebSocket whose messages are understood, with one upstream socket a client.
//!
//! Owns: what a client and its upstream socket say to each other. Never: shares an upstream socket between clients.

pub mod options;

use http::Request;
use hyper::body::Incoming;

pub use options::{Held, Options};

use super::{Answering, Call, Proxy};

/// A route's sessions; what is no WebSocket is forwarded.
#[derive(Debug)]
pub struct Session {
    pub proxy: Proxy,
    pub options: Options,
}

impl Session {
    pub fn handle<'a>(&'a self, call: &'a Call<'a>, request: Request<Incoming>) -> Answering<'a> {
        self.proxy.handle(call, request)
    }
}
