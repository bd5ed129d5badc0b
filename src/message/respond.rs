//! Making responses.
//!
//! Owns: the shape of a problem (RFC 9457). Never: puts into one what only a log should say.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
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

/// The head of `response` alone, as HEAD asks for it: over HTTP/2 hyper would send the body.
#[must_use]
pub fn head_only(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::Empty)
}

/// `application/problem+json`: what is wrong and what to do instead, for whoever sent the request.
#[must_use]
pub fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or("Error");
    let text = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    whole(status, HeaderValue::from_static("application/problem+json"), text.to_string())
}

/// The same for people, as a small page.
#[must_use]
pub fn page(status: StatusCode, detail: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or("Error");
    let mut escaped = String::with_capacity(detail.len());
    for letter in detail.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    let code = status.as_u16();
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{code} {title}</title>\n\
         <h1>{title}</h1>\n<p>{escaped}</p>\n<hr><p>{code}, steadfeed</p></html>\n"
    );
    whole(status, HeaderValue::from_static("text/html; charset=utf-8"), text)
}

/// 405, naming what is allowed.
#[must_use]
pub fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("this resource answers {allow}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
