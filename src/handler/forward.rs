//! Forwarding a request to an upstream, and its answer back, both as streams.
//!
//! Owns: what is sent in place of what came: the head by [`hop`], the path less its prefix, the body within the route's
//! bounds. Never: holds a body whole, or reads more of one than the other side takes. Informational answers of a server
//! (103 and the like) are interjected (`interim`); 100 is said where the body is first read, which is when
//! the server wants it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::ext::ReasonPhrase;

use super::{Answering, Call, Kind, Outcome, interim, tunnel};
use crate::message::body::{self, Bounds};
use crate::message::framing::{self, Rule};
use crate::message::{Body, Incoming, hop, respond, rules};
use crate::upstream::{self, Asker, Asking, Sent, Upstream, Withheld};

/// What `proxy` says.
#[derive(Debug)]
pub struct Proxy {
    pub upstream: String,
    /// As in `/api`, without a slash at its end.
    pub strip_prefix: Option<String>,
    /// Bytes of a request body.
    pub body_size: u64,
    /// Between two reads of a request body.
    pub body_timeout: Duration,
    /// What is set or removed last of all.
    pub headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// Fields that are ours to say: a client's trailers may not say them either, since some servers merge those into the
    /// headers (RFC 9110, section 6.5.1).
    pub barred: Arc<[HeaderName]>,
}

/// Why a request that was to be forwarded has no answer; shown, the line for the log.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Of so many bytes at most.
    #[error("the request's body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the request's body made no progress")]
    Stalled,
    #[error("the request broke off: {0}")]
    BrokeOff(body::Error),
    #[error(transparent)]
    Upstream(upstream::Failure),
    #[error("{server} answered with {rule}")]
    BadAnswer { server: Arc<str>, rule: Rule },
    #[error("{server} answered {status} to a WebSocket's handshake, in a way that is none")]
    NoHandshake { server: Arc<str>, status: StatusCode },
    /// The config refuses a route to an upstream that does not exist.
    #[error("a route leads to the upstream {0:?}, which this worker does not have")]
    NoUpstream(String),
}

impl Proxy {
    /// Forwards the request, or opens the tunnel that it asks for.
    ///
    /// # Errors
    /// If there is no answer to pass on.
    pub fn handle<'a>(&'a self, call: &'a Call<'a>, request: Request<Incoming>) -> Answering<'a> {
        let Some(upstream) = call.upstreams.get(&self.upstream) else {
            return Answering::Done(Some(Err(Failure::NoUpstream(self.upstream.clone()))));
        };
        // A client that closes its side has left: then nobody waits for the server's answer either.
        call.asked.in_flight.streams();
        let (parts, body) = request.into_parts();
        match tunnel::wanted(&parts) {
            Some(wanted) => {
                let request = Request::from_parts(parts, body);
                match tunnel::open(self, upstream, call, request, wanted) {
                    Ok(opening) => Answering::Later(Box::pin(opening)),
                    Err(failure) => Answering::Done(Some(Err(failure))),
                }
            }
            None if parts.method == Method::CONNECT => {
                let detail = "only a WebSocket can be opened by CONNECT";
                Answering::Done(Some(Ok((respond::problem(StatusCode::NOT_IMPLEMENTED, detail), Kind::Own))))
            }
            // It would give back what only we and the server are to see (RFC 9110, section 9.3.8).
            None if parts.method == Method::TRACE => {
                let refused = respond::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
                Answering::Done(Some(Ok((refused, Kind::Own))))
            }
            None => {
                let asker = interim::asker(call.asked, parts.version);
                match self.outgoing(call, parts, body) {
                    Ok(request) => Answering::Later(Box::pin(self.forward(upstream, call, request, asker))),
                    Err(failure) => Answering::Done(Some(Err(failure))),
                }
            }
        }
    }

    /// There is one such future a request: it is small, and holds the request once.
    fn forward<'a>(
        &'a self,
        upstream: &'a Upstream,
        call: &'a Call<'a>,
        request: Asking,
        asker: Option<&'a dyn Asker>,
    ) -> impl Future<Output = Outcome> + 'a {
        let sending = upstream.send_for(asker, call.asked.peer.client, request);
        sending.map(|sent| match sent {
            Ok(sent) => Ok((answer(upstream, sent)?, Kind::Forwarded)),
            Err(failure) => Err(self.failed(failure)),
        })
    }

    /// The request as an upstream takes it.
    ///
    /// # Errors
    /// If its body is known to be too large.
    pub(super) fn outgoing(&self, call: &Call<'_>, mut parts: Parts, body: Incoming) -> Result<Asking, Failure> {
        let hint = body.size_hint();
        if hint.lower() > self.body_size {
            return Err(Failure::TooLarge(self.body_size));
        }
        let hop = call.asked.forwarded.hop(call.authority);
        // Passed on where its 100 can be: to HTTP/1.0 there is none.
        let waits =
            parts.version >= Version::HTTP_11 && !body.is_end_stream() && hop::waits_to_continue(&parts.headers);
        let mut trail = hop::request(&mut parts, &hop);
        if waits {
            parts.headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        if !self.headers.is_empty() {
            trail.set(&mut parts.headers);
            rules::apply(&mut parts.headers, &self.headers);
        }
        parts.uri = target(&parts.uri, self.strip_prefix.as_deref());
        let bounds = Bounds { size: self.body_size, pause: self.body_timeout };
        Ok(Asking { request: Request::from_parts(parts, self.passing(body, bounds)), trail })
    }

    fn passing(&self, body: Incoming, bounds: Bounds) -> Body {
        if self.barred.is_empty() {
            return Body::passing(body, bounds, ());
        }
        let barred = Arc::clone(&self.barred);
        let cleaned = body.map_frame(move |mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                barred.iter().for_each(|name| rules::remove(trailers, name));
            }
            frame
        });
        Body::passing(cleaned, bounds, ())
    }

    pub(super) fn failed(&self, failure: upstream::Failure) -> Failure {
        match failure {
            upstream::Failure::RequestBody(body::Error::TooLarge) => Failure::TooLarge(self.body_size),
            upstream::Failure::RequestBody(body::Error::Stalled) => Failure::Stalled,
            upstream::Failure::RequestBody(error @ body::Error::Broken(_)) => Failure::BrokeOff(error),
            failure @ (upstream::Failure::NoneHealthy
            | upstream::Failure::Connect { .. }
            | upstream::Failure::ConnectTimeout { .. }
            | upstream::Failure::ResponseTimeout { .. }
            | upstream::Failure::Broken { .. }) => Failure::Upstream(failure),
        }
    }
}

/// The server's answer as the client gets it.
///
/// # Errors
/// If its framing can be read in two ways.
pub(super) fn answer(upstream: &Upstream, sent: Sent) -> Result<Response<Body>, Failure> {
    let Sent { response, permit, server, .. } = sent;
    let (mut head, body) = response.into_parts();
    // What came over HTTP/1.1 was framed by it already.
    if let upstream::Incoming::Http2(_) = body {
        framing::response(head.status, &head.headers, None).map_err(|rule| Failure::BadAnswer { server, rule })?;
    }
    // The one answer that says what else would be spoken (RFC 9110, section 15.5.22).
    let required = head.status == StatusCode::UPGRADE_REQUIRED;
    let upgrade = if required { head.headers.get(UPGRADE).cloned() } else { None };
    hop::response(&mut head.headers);
    if let Some(upgrade) = upgrade {
        hop::upgrade(&mut head.headers, upgrade);
    }
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(CONTENT_LENGTH);
    }
    if head.extensions.get::<Withheld>().is_some() {
        // Nobody reads a body that is sent all the same.
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    head.version = Version::HTTP_11;
    let reason = head.extensions.remove::<ReasonPhrase>();
    head.extensions.clear();
    if let Some(reason) = reason {
        head.extensions.insert(reason);
    }
    let bounds = Bounds { size: u64::MAX, pause: upstream.idle_timeout() };
    let body = match body {
        upstream::Incoming::Whole(bytes) => Body::from(bytes),
        passing @ (upstream::Incoming::Http1(_) | upstream::Incoming::Http2(_)) => {
            Body::passing(passing, bounds, permit)
        }
    };
    Ok(Response::from_parts(head, body))
}

/// Path and query alone, the path less `prefix`; it begins with a slash still.
fn target(uri: &Uri, prefix: Option<&str>) -> Uri {
    let Some(whole) = uri.path_and_query() else { return Uri::from_static("/") };
    let rest = prefix.and_then(|prefix| whole.as_str().strip_prefix(prefix));
    let shorter = match rest.map(|rest| (rest, rest.as_bytes().first())) {
        Some((rest, Some(b'/'))) => PathAndQuery::try_from(rest).ok(),
        Some((rest, None | Some(b'?'))) => PathAndQuery::try_from(format!("/{rest}")).ok(),
        // A prefix of a name is none of the path.
        Some((_, Some(_))) | None => None,
    };
    Uri::from(shorter.unwrap_or_else(|| whole.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &'static str, prefix: Option<&str>, expected: &str) {
        assert_eq!(target(&Uri::from_static(uri), prefix), expected, "{uri} less {prefix:?}");
    }

    #[test]
    fn a_target_is_path_and_query_less_the_prefix() {
        check("/a/b?c", None, "/a/b?c");
        check("http://h/a/b?c", None, "/a/b?c");
        check("http://h", None, "/");
        check("/api/b?c=/api", Some("/api"), "/b?c=/api");
        check("/api", Some("/api"), "/");
        check("/api?c", Some("/api"), "/?c");
        check("/api/", Some("/api"), "/");
        check("/apiary", Some("/api"), "/apiary");
        check("/b/api", Some("/api"), "/b/api");
        check("/api//evil.example/", Some("/api"), "//evil.example/");
    }
}
