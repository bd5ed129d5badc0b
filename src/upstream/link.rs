//! A connection to a server over which HTTP is spoken.
//!
//! Owns: hyper's settings towards servers, and the form a request has in each protocol. A task drives each connection, and
//! no drain waits for it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use http::header::{HOST, HeaderValue};
use http::uri::{Authority, Parts, Scheme, Uri};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::connect::{Connected, Place, Protocol};
use super::io::{Io, Turns};
use super::member::Member;
use super::outgoing::Outgoing;
use crate::limits;
use crate::shutdown::Tasks;

/// A connection to use for a request.
#[derive(Debug)]
pub(super) enum Link {
    Http1(Http1),
    Http2(Http2),
}

/// One request at a time.
#[derive(Debug)]
pub(super) struct Http1 {
    sender: http1::SendRequest<Outgoing>,
    place: Place,
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
    /// Begins to speak HTTP.
    ///
    /// # Errors
    /// If the connection ends before HTTP/2's preface is out.
    pub(super) async fn new(connected: Connected, tasks: &Tasks) -> Result<Link, hyper::Error> {
        let Connected { io, protocol, place } = connected;
        match protocol {
            Protocol::Http1 => Http1::new(io, place, tasks).await.map(Link::Http1),
            Protocol::Http2 => Http2::new(io, place, tasks).await.map(Link::Http2),
        }
    }

    /// Sends the request in the form that this connection wants; completes with the response's head.
    pub(super) async fn send(&mut self, mut request: Request<Outgoing>) -> Result<Response<Incoming>, Unanswered> {
        let response = match self {
            Link::Http1(link) => {
                fit_http1(&mut request);
                link.sender.try_send_request(request).await
            }
            Link::Http2(link) => {
                fit_http2(&mut request, &link.scheme);
                link.sender.try_send_request(request).await
            }
        };
        response.map_err(unanswered)
    }
}

fn unanswered(mut error: TrySendError<Request<Outgoing>>) -> Unanswered {
    let request = error.take_message();
    (error.into_error(), request)
}

impl Http1 {
    async fn new(io: Io, place: Place, tasks: &Tasks) -> Result<Http1, hyper::Error> {
        let (sender, connection) = http1_builder().handshake(TokioIo::new(io)).await?;
        drop(tasks.spawn_background(async move {
            // Whoever waits for a response is told.
            let _ = connection.await;
        }));
        Ok(Http1 { sender, place })
    }

    /// On a connection that may become something else by a 101.
    pub(super) async fn upgradeable(connected: Connected, tasks: &Tasks) -> Result<Http1, hyper::Error> {
        let Connected { io, place, .. } = connected;
        let (sender, connection) = http1_builder().handshake(TokioIo::new(io)).await?;
        drop(tasks.spawn_background(async move {
            let _ = connection.with_upgrades().await;
        }));
        Ok(Http1 { sender, place })
    }

    /// Whether it can be used, now or never: `None` for not yet.
    pub(super) fn is_usable(&mut self, member: &Member) -> Option<bool> {
        if self.sender.is_closed() || !self.place.is_right(member) {
            return Some(false);
        }
        self.sender.is_ready().then_some(true)
    }
}

impl Http2 {
    async fn new(io: Io, place: Place, tasks: &Tasks) -> Result<Http2, hyper::Error> {
        let scheme = if matches!(io, Io::Tls(_)) { Scheme::HTTPS } else { Scheme::HTTP };
        let builder = http2_builder(Background(Rc::new(tasks.clone())));
        let (sender, connection) = builder.handshake(TokioIo::new(Turns::new(io))).await?;
        let most = Rc::new(Cell::new(limits::UPSTREAM_STREAMS));
        let learned = Rc::clone(&most);
        drop(tasks.spawn_background(async move {
            let mut connection = pin!(connection);
            poll_fn(|cx| {
                let polled = connection.as_mut().poll(cx);
                learned.set(connection.current_max_send_streams().min(limits::UPSTREAM_STREAMS));
                polled.map(drop)
            })
            .await;
        }));
        Ok(Http2 { sender, streams: Rc::default(), most, scheme, place })
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

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_header_size(limits::UPSTREAM_HEAD).max_buf_size(limits::UPSTREAM_BUFFER);
    builder
}

fn http2_builder(executor: Background) -> http2::Builder<Background> {
    let streams = u32::try_from(limits::UPSTREAM_STREAMS).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits::UPSTREAM_HEAD).unwrap_or(u32::MAX))
        .max_send_buf_size(limits::H2_SEND_BUFFER)
        .initial_max_send_streams(limits::UPSTREAM_STREAMS)
        .initial_stream_window_size(limits::UPSTREAM_STREAM_WINDOW)
        .initial_connection_window_size(limits::UPSTREAM_STREAM_WINDOW.saturating_mul(streams))
        .keep_alive_interval(limits::UPSTREAM_PING)
        .keep_alive_timeout(limits::UPSTREAM_PONG)
        .keep_alive_while_idle(false);
    builder
}

/// Origin form and `Host` (RFC 9112, section 3.2).
fn fit_http1(request: &mut Request<Outgoing>) {
    *request.version_mut() = Version::HTTP_11;
    let Some(authority) = request.uri().authority() else { return };
    // It was meant for an HTTP/2 connection that did not take it.
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
    let mut parts = Parts::default();
    parts.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

/// `:scheme` and `:authority`, which takes the place of `Host` (RFC 9113, section 8.3.1).
fn fit_http2(request: &mut Request<Outgoing>, scheme: &Scheme) {
    *request.version_mut() = Version::HTTP_2;
    if request.uri().authority().is_some() {
        return;
    }
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
