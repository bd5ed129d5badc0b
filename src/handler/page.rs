//! The live page and its parts.
//!
//! Owns: their caching and content policy. Never: knows what is in them.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, REFERRER_POLICY};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::message::{Body, headers, respond};
use crate::page::Part;

/// Nothing from elsewhere, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One embedded file, ready to be sent.
#[derive(Debug)]
pub struct Asset {
    type_: HeaderValue,
    body: Bytes,
    etag: String,
    document: bool,
}

impl Asset {
    /// An HTML page.
    #[must_use]
    pub fn document(html: String) -> Asset {
        Asset::new(HeaderValue::from_static("text/html; charset=utf-8"), html.into(), true)
    }

    /// What a page loads.
    #[must_use]
    pub fn part(part: Part) -> Asset {
        Asset::new(HeaderValue::from_static(part.type_), Bytes::from_static(part.text.as_bytes()), false)
    }

    fn new(type_: HeaderValue, body: Bytes, document: bool) -> Asset {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Asset { type_, body, etag: format!("\"{:016x}\"", hasher.finish()), document }
    }

    /// Whether it is the same for every page there is, and holds nothing of this one.
    #[must_use]
    pub fn is_part(&self) -> bool {
        !self.document
    }

    /// The file, or 304 to who has it.
    #[must_use]
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return respond::method_not_allowed("GET, HEAD");
        }
        let mut response = if headers::none_match_names(request.headers(), &self.etag) {
            respond::empty(StatusCode::NOT_MODIFIED)
        } else {
            respond::whole(StatusCode::OK, self.type_.clone(), self.body.clone())
        };
        let out = response.headers_mut();
        headers::set(out, ETAG, &self.etag);
        out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if self.document {
            out.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            out.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
        response
    }
}
