//! A connection to a server over which HTTP is spoken.
//!
//! Owns: hyper's settings for HTTP/2 towards servers, and the form a request has in each protocol. A task drives each
//! HTTP/2 connection, and no drain waits for it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use futures_util::TryFutureExt as _;
use http::header::{CONNECTION, EXPECT, HOST, HeaderValue, TE};
use http::uri::{Authority, Parts, Scheme, Uri};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

use super::connect::{Connected, Place, Protocol};
use super::http1::Conn;
use super::io::{Heard, Io, Turns};
use super::member::Member;
use super::outgoing::Outgoing;
use crate::limits;
use crate::shutdown::Tasks;

/// A connection to use for a request.
#[derive(Debug)]
pub(super) enum Link {
    Http1(Conn),
    Http2(Http2),
}

/// Many requests at a time; clones share the connection.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Outgoing>,
    /// Requests on it.
    streams: Rc<Cell<usize>>,
    /// How many there may be, by the server and by us.
    most: Rc<Cell<usize>>,
    scheme: Scheme,
    place: Place,
}

/// A request on an HTTP/2 connection, counted until dropped.
#[derive(Debug)]
pub(super) struct StreamPermit(Rc<Cell<usize>>);

/// Spawns what hyper needs for HTTP/2; no drain waits for it.
#[derive(Debug, Clone)]
struct Background(Rc<Tasks>);

/// A request that failed, and itself where not a byte of it was sent.
pub(super) type Unanswered = (hyper::Error, Option<Request<Outgoing>>);

impl Link {
    /// Begins to speak HTTP. For HTTP/2 that waits for the server's part.
    ///
    /// # Errors
    /// If the connection ends before HTTP/2's preface is out.
    pub(super) async fn new(connected: Connected, tasks: &Tasks) -> Result<Link, hyper::Error> {
        match connected.protocol {
            Protocol::Http1 => Ok(Link::Http1(Conn::new(connected))),
            Protocol::Http2 => Http2::new(connected.io, connected.place, tasks).await.map(Link::Http2),
        }
    }
}

fn unanswered(mut error: TrySendError<Request<Outgoing>>) -> Box<Unanswered> {
    let request = error.take_message();
    Box::new((error.into_error(), request))
}

impl Http2 {
    async fn new(io: Io, place: Place, tasks: &Tasks) -> Result<Http2, hyper::Error> {
        let scheme = if matches!(io, Io::Tls(_)) { Scheme::HTTPS } else { Scheme::HTTP };
        let builder = http2_builder(Background(Rc::new(tasks.clone())));
        let heard = Rc::<Heard>::default();
        let (sender, connection) = builder.handshake(TokioIo::new(Turns::new(io, Rc::clone(&heard)))).await?;
        let most = Rc::new(Cell::new(0));
        let learned = Rc::clone(&most);
        let (waits, settled) = oneshot::channel::<()>();
        drop(tasks.spawn_background(async move {
            let (mut connection, mut waits) = (pin!(connection), Some(waits));
            poll_fn(|cx| {
                let polled = connection.as_mut().poll(cx);
                learned.set(connection.current_max_send_streams().min(limits::UPSTREAM_STREAMS));
                if learned.get() > 0 {
                    waits = None;
                } else {
                    heard.register(cx.waker());
                }
                polled.map(drop)
            })
            .await;
        }));
        // How many requests may share it is for the server's SETTINGS to say (RFC 9113, section 6.5.2); this is the end of
        // the channel, with them or with the connection.
        let _ = settled.await;
        Ok(Http2 { sender, streams: Rc::default(), most, scheme, place })
    }

    /// Sends the request; completes with the response's head.
    pub(super) fn send(
        &mut self,
        mut request: Request<Outgoing>,
    ) -> impl Future<Output = Result<Response<Incoming>, Box<Unanswered>>> + use<> {
        fit_http2(&mut request, &self.scheme);
        self.sender.try_send_request(request).map_err(unanswered)
    }

    pub(super) fn is_usable(&mut self, member: &Member) -> bool {
        !self.sender.is_closed() && self.place.is_right(member)
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < self.most.get()
    }

    pub(super) fn permit(&self) -> StreamPermit {
        self.streams.set(self.streams.get() + 1);
        StreamPermit(Rc::clone(&self.streams))
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Background {
    fn execute(&self, work: F) {
        drop(self.0.spawn_background(work));
    }
}

fn http2_builder(executor: Background) -> http2::Builder<Background> {
    let streams = u32::try_from(limits::UPSTREAM_STREAMS).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits::UPSTREAM_HEAD).unwrap_or(u32::MAX))
        .max_send_buf_size(limits::H2_SEND_BUFFER)
        // Until the server has said how many.
        .initial_max_send_streams(0)
        .initial_stream_window_size(limits::UPSTREAM_STREAM_WINDOW)
        .initial_connection_window_size(limits::UPSTREAM_STREAM_WINDOW.saturating_mul(streams))
        .keep_alive_interval(limits::UPSTREAM_PING)
        .keep_alive_timeout(limits::UPSTREAM_PONG)
        .keep_alive_while_idle(false);
    builder
}

/// Origin form and `Host` (RFC 9112, section 3.2).
pub(super) fn fit_http1<B>(request: &mut Request<B>) {
    *request.version_mut() = Version::HTTP_11;
    let Some(authority) = request.uri().authority() else { return };
    // It was meant for an HTTP/2 connection that did not take it.
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
    if request.headers().contains_key(TE) {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let mut parts = Parts::default();
    parts.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

/// `:scheme` and `:authority`, which takes the place of `Host` (RFC 9113, section 8.3.1). `TE: trailers` stays, which gRPC
/// asks for; `Connection`, which named it in HTTP/1.1, would take it along (section 8.2.2).
fn fit_http2(request: &mut Request<Outgoing>, scheme: &Scheme) {
    *request.version_mut() = Version::HTTP_2;
    // hyper asks for the body right away, and does not tell of a 100.
    request.headers_mut().remove(EXPECT);
    if request.uri().authority().is_some() {
        return;
    }
    request.headers_mut().remove(CONNECTION);
    let host = request.headers_mut().remove(HOST);
    let authority = host.as_ref().and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = Parts::default();
    parts.path_and_query = request.uri().path_and_query().cloned();
    parts.scheme = Some(scheme.clone());
    parts.authority = authority;
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONNECTION, HOST, TE};
    use http::uri::Scheme;
    use http::{Method, Request, Version};

    use super::{Outgoing, fit_http1, fit_http2};
    use crate::message::Body;

    fn request(path: &str, host: &str) -> Request<Outgoing> {
        let (body, _) = Outgoing::new(Body::Empty);
        let request = Request::builder().method(Method::GET).uri(path).header(HOST, host);
        request.header(TE, "trailers").header(CONNECTION, "te").body(body).unwrap()
    }

    #[track_caller]
    fn check(path: &str, host: &str, expected: &str) {
        let mut request = request(path, host);
        fit_http2(&mut request, &Scheme::HTTPS);
        assert_eq!((request.uri().to_string().as_str(), request.version()), (expected, Version::HTTP_2));
        assert!(!request.headers().contains_key(HOST) && !request.headers().contains_key(CONNECTION));
        assert_eq!(request.headers()[TE], "trailers");
        fit_http2(&mut request, &Scheme::HTTPS);
        assert_eq!(request.uri().to_string(), expected, "once is enough");
        fit_http1(&mut request);
        assert_eq!((request.uri().to_string().as_str(), request.version()), (path, Version::HTTP_11));
        assert_eq!(request.headers()[HOST], host);
        assert_eq!(request.headers()[CONNECTION], "te");
    }

    #[test]
    fn a_request_that_one_protocol_did_not_take_fits_the_other() {
        check("/", "app", "https://app/");
        check("/a%2fb?c=d", "app.test:8443", "https://app.test:8443/a%2fb?c=d");
        check("/", "[::1]:80", "https://[::1]:80/");
    }
}
