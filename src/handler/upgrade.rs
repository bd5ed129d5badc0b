//! How every WebSocket begins, whatever it becomes: the client's side of the handshake.
//!
//! Never: knows what is said on it.

use http::request::Parts;
use http::{Response, Version};

use crate::message::{Body, respond};
use crate::ws::{Offer, handshake};

/// What the client of a WebSocket offers, or the answer that refuses it.
pub(super) fn shake_hands(parts: &Parts) -> Result<Offer, Box<Response<Body>>> {
    match parts.version {
        Version::HTTP_2 => handshake::check_h2(&parts.headers),
        _ => handshake::check_h1(parts),
    }
    .map_err(|refusal| {
        let mut response = respond::problem(refusal.status(), refusal.message());
        response.headers_mut().extend(refusal.headers(parts.version));
        Box::new(response)
    })
}
