//! A fixed answer (`respond`).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

use crate::message::{Body, respond};

/// What `respond` says.
#[derive(Debug, Clone)]
pub struct Fixed {
    pub status: StatusCode,
    pub type_: HeaderValue,
    pub body: Bytes,
}

impl Fixed {
    /// The answer to any method; hyper leaves the body out for HEAD.
    #[must_use]
    pub fn answer(&self) -> Response<Body> {
        respond::whole(self.status, self.type_.clone(), self.body.clone())
    }
}
