//! How every socket begins, whatever it becomes: the client's side of the handshake, and the way out of HTTP.
//!
//! Never: knows what is said on it.

use std::future::Future;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, Version};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::Call;
use crate::message::{Body, respond};
use crate::net::ConnectionPermit;
use crate::net::stream::{Io, Stream};
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

/// Leaves `work` for when the answer that opens a socket is out: beside its connection for a stream of HTTP/2, else in its
/// place.
pub(super) fn follow(call: &Call<'_>, http2: bool, work: impl Future<Output = ()> + 'static) {
    if http2 {
        call.tasks.spawn_small(work);
    } else {
        call.asked.after.set(work);
    }
}

/// The connection that was upgraded, what the client has said already, and the connection's place. `None` for what is no
/// connection of ours.
pub(super) fn raw(upgraded: Upgraded) -> Option<(Io, Vec<u8>, ConnectionPermit)> {
    let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
    let (io, unread, permit) = parts.io.into_inner().into_parts();
    Some((io, join(&parts.read_buf, &unread), permit))
}

/// What hyper read ahead, then what was never given to it. A copy: hyper's buffer would be kept whole for it.
fn join(read: &Bytes, unread: &Bytes) -> Vec<u8> {
    [read.as_ref(), unread].concat()
}
