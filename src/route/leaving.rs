//! A request while it is answered, and what is said of it: once, when its answer is there, or when its client has left.
//!
//! Owns: telling the two apart. Leaving is a Drop: whoever drives the connection drops what answers the request with it.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, Request};
use tokio::time::Instant;

use crate::shutdown::Stages;
use crate::telemetry::access::{Entry, Outcome};
use crate::telemetry::{AccessLog, RouteMeters};

/// What stands for the status of a request whose client left before it was answered, as in nginx; it is never sent.
const LEFT: u16 = 499;

/// What a line of the access log says of a request.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) at: Instant,
    pub(super) method: Method,
    client: IpAddr,
    /// Where lines are written.
    path: Option<String>,
}

/// One that is being answered: dropped, its client has left.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    begun: &'a Begun,
    meters: &'a RouteMeters,
    access: &'a AccessLog,
    stages: &'a Stages,
}

impl Begun {
    pub(super) fn new<B>(client: IpAddr, request: &Request<B>, access: &AccessLog) -> Begun {
        let path = access.is_on().then(|| request.uri().path().to_owned());
        Begun { at: Instant::now(), method: request.method().clone(), client, path }
    }

    pub(super) fn write(&self, access: &AccessLog, route: &str, status: u16, took: Duration) {
        let Some(path) = &self.path else { return };
        access.write(&Entry {
            client: self.client,
            method: self.method.as_str(),
            path,
            route,
            outcome: Outcome::Response { status },
            took,
        });
    }
}

impl<'a> Waiting<'a> {
    pub(super) fn new(begun: &'a Begun, meters: &'a RouteMeters, access: &'a AccessLog, stages: &'a Stages) -> Self {
        Waiting { begun, meters, access, stages }
    }

    /// The answer is there: whoever sends it says so.
    pub(super) fn end(self) {
        // It owns nothing, and has nothing left to tell.
        std::mem::forget(self);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Neither what we end ourselves nor a panic is the client's leaving.
        if self.stages.is_ending() || std::thread::panicking() {
            return;
        }
        self.meters.count(LEFT);
        self.begun.write(self.access, self.meters.route(), LEFT, self.begun.at.elapsed());
    }
}
