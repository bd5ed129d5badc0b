//! Answers that are written at once, whole: those that open a socket, and those that end a connection.
//!
//! Never: writes one after which the connection goes on.

use std::time::SystemTime;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};
use hyper::ext::ReasonPhrase;

use crate::message::Body;

/// What most heads fit in, in bytes: one small allocation.
const USUAL: usize = 500;

/// The head of an answer that opens a socket (RFC 9110, section 15.2.2).
pub(super) fn head<B>(response: &Response<B>) -> Vec<u8> {
    let mut head = Vec::with_capacity(USUAL);
    begin(&mut head, response.status(), response.headers());
    head.extend_from_slice(b"\r\n");
    head
}

/// All of an answer that is at hand and says that it is the connection's last (RFC 9112, section 9.6), to any request but
/// HEAD; `None` for others.
pub(super) fn last(response: &Response<Body>) -> Option<Vec<u8>> {
    let (headers, status) = (response.headers(), response.status());
    let body = match response.body() {
        Body::Empty => &[],
        Body::Whole(bytes) => bytes.as_ref(),
        Body::Stream(_) | Body::Passing(_) => return None,
    };
    let framed = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    let bodiless = status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    let ends = headers.get(CONNECTION).is_some_and(|said| said == "close");
    if !ends || framed || bodiless || response.extensions().get::<ReasonPhrase>().is_some() {
        return None;
    }
    let mut all = Vec::with_capacity(USUAL + body.len());
    begin(&mut all, status, headers);
    all.extend_from_slice(format!("{CONTENT_LENGTH}: {}\r\n", body.len()).as_bytes());
    if !headers.contains_key(DATE) {
        all.extend_from_slice(format!("{DATE}: {}\r\n", httpdate::fmt_http_date(SystemTime::now())).as_bytes());
    }
    all.extend_from_slice(b"\r\n");
    all.extend_from_slice(body);
    Some(all)
}

/// The status line and the fields.
fn begin(head: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    let mut push = |part: &[u8]| head.extend_from_slice(part);
    push(b"HTTP/1.1 ");
    push(status.as_str().as_bytes());
    push(b" ");
    push(status.canonical_reason().unwrap_or_default().as_bytes());
    push(b"\r\n");
    for (name, value) in headers {
        push(name.as_str().as_bytes());
        push(b": ");
        push(value.as_bytes());
        push(b"\r\n");
    }
}
