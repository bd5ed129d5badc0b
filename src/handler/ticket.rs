//! One-time tickets, given to whoever shows a good token.
//!
//! Owns: the answer to a POST. Never: verifies the token; the guards did.

use http::{Request, Response};
use hyper::body::Incoming;

use super::Call;
use crate::message::{Body, respond};

/// Where tickets of one `[auth.NAME]` are given.
#[derive(Debug)]
pub struct Ticket {
    pub auth: String,
}

impl Ticket {
    #[must_use]
    pub fn answer(&self, _call: &Call<'_>, _request: &Request<Incoming>) -> Response<Body> {
        respond::empty(http::StatusCode::NOT_IMPLEMENTED)
    }
}
