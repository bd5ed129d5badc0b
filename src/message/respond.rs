//! Making responses.
//!
//! Owns: the shape of a problem (RFC 9457). Never: puts into one what only a log should say.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::Body;

/// A response of this type and text.
#[must_use]
pub fn whole(status: StatusCode, type_: HeaderValue, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = empty(status);
    *response.body_mut() = Body::from(body.into());
    response.headers_mut().insert(CONTENT_TYPE, type_);
    response
}

#[must_use]
pub fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    whole(status, HeaderValue::from_static("application/json"), text)
}

#[must_use]
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// `application/problem+json`: what is wrong and what to do instead, for whoever sent the request.
#[must_use]
pub fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or("Error");
    let text = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    whole(status, HeaderValue::from_static("application/problem+json"), text.to_string())
}

/// 405, naming what is allowed.
#[must_use]
pub fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("this resource answers {allow}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
