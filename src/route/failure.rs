//! From what went wrong to a response: one match.
//!
//! Owns: which status each failure has, and which half of it the client reads and which the log.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::guard::Denied;
use crate::message::{Body, respond};
use crate::telemetry::RouteMeters;
use crate::telemetry::log::client_warning;

/// Why a request has no other answer.
#[derive(Debug)]
pub enum Failure<'a> {
    /// `Host` is missing or said twice (RFC 9112, section 3.2).
    NoHost,
    NoRoute,
    Denied(&'a RouteMeters, Denied),
}

impl Failure<'_> {
    /// The answer; what helps to find out why goes to the log.
    #[must_use]
    pub fn answer(&self) -> Response<Body> {
        match self {
            Failure::NoHost => respond::problem(StatusCode::BAD_REQUEST, "exactly one Host header is needed"),
            Failure::NoRoute => respond::problem(StatusCode::NOT_FOUND, "nothing is served at this path"),
            Failure::Denied(meters, denied) => {
                meters.denied(denied.reason());
                explain(meters, denied);
                let mut response = respond::problem(denied.status(), &denied.to_string());
                match denied.status() {
                    StatusCode::SERVICE_UNAVAILABLE => {
                        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
                    }
                    StatusCode::UNAUTHORIZED => {
                        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                    }
                    _ => {}
                }
                response
            }
        }
    }
}

fn explain(meters: &RouteMeters, denied: &Denied) {
    let Some(unsaid) = client_warning() else { return };
    match denied {
        Denied::Origin { origin, authority } => {
            let remedy = "if the page is yours, add its origin to the route's `origins`";
            tracing::warn!(route = meters.route(), origin, host = authority, unsaid, remedy, "foreign origin refused");
        }
        Denied::Draining | Denied::OverCap | Denied::Misdirected => {
            tracing::warn!(route = meters.route(), reason = denied.reason(), unsaid, "request refused");
        }
    }
}
