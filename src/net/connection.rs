//! One client connection: TLS, choice of protocol, HTTP, under one set of deadlines.
//!
//! Owns: every hyper knob of the server side, named here once. Never: looks into a request; `serve` is given what
//! answers it.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Sleep, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::after::After;
use super::clock::{Clock, Expired, InFlight};
use super::listener::Accepted;
use super::permit::Place;
use super::stream::{self, Io, Stream};
use super::{Limits, Peer};
use crate::limits;
use crate::message::framing::{Rule, Verdict};
use crate::shutdown::Tasks;
use crate::telemetry::log::client_warning;

/// What the connections of one listener have in common.
#[derive(Debug, Clone)]
pub struct Edge {
    pub tls: Option<Arc<ServerConfig>>,
    pub websocket_h2: bool,
    pub limits: Arc<Limits>,
}

/// A request's connection.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub peer: Peer,
    /// Counts the request; what becomes a stream of its own keeps a clone.
    pub in_flight: &'a InFlight,
    /// Run when an HTTP/1.1 connection was upgraded, or has ended.
    pub after: &'a After,
    /// The request, or one before it on its connection, can be read in two ways, which only the connection's bytes show.
    pub ambiguous: Option<Rule>,
}

/// Answers requests.
pub trait Answer: 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static;

    /// Answers one request.
    fn answer(&self, asked: &Asked<'_>, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>>;
}

/// The connection's first bytes.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The content type of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

enum Protocol {
    Http1,
    Http2,
}

/// Serves one connection until it ends, is upgraded, or everything drains.
pub async fn serve<A: Answer>(accepted: Accepted, place: Place, edge: Edge, tasks: Tasks, answer: Rc<A>) {
    let Place { permit, over_cap } = place;
    let peer = Peer::new(accepted.addr, edge.tls.is_some(), over_cap);
    let deadline = accepted.at + edge.limits.header_timeout;
    let opened = timeout_at(deadline, open(accepted.socket, &edge)).await;
    let (io, early, protocol) = match opened {
        Ok(Ok(Some(opened))) => opened,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return complain(peer, &error.to_string()),
        Err(_elapsed) => return complain(peer, "no complete request head in time"),
    };
    let clock = Arc::new(Clock::new(accepted.at, matches!(protocol, Protocol::Http2)));
    let stream = Stream::new(io, early, Arc::clone(&clock), permit);
    let after = Rc::new(After::default());
    let (verdict, requests) = (Arc::new(Verdict::default()), Cell::new(0));
    let service = service_fn(|request: Request<Incoming>| {
        let in_flight = clock.begin(request.body().is_end_stream());
        let (answer, after) = (Rc::clone(&answer), Rc::clone(&after));
        let ambiguous = verdict.of(requests.replace(requests.get() + 1));
        async move {
            let response =
                answer.answer(&Asked { peer, in_flight: &in_flight, after: &after, ambiguous }, request).await;
            if response.body().size_hint().exact().is_none() {
                in_flight.streams();
            }
            Ok::<_, Infallible>(response.map(|body| Counted { body, _in_flight: in_flight }))
        }
    });
    let outcome = match protocol {
        Protocol::Http1 => {
            let mut builder = http1_builder(&edge.limits);
            builder.keep_alive(!peer.over_cap);
            let stream = TokioIo::new(stream.watched(Arc::clone(&verdict)));
            let connection = builder.serve_connection(stream, service).with_upgrades();
            drive(pin!(connection), |c| c.graceful_shutdown(), &clock, &edge.limits, &tasks).await
        }
        Protocol::Http2 => {
            let mut connection =
                pin!(http2_builder(&edge, tasks.clone()).serve_connection(TokioIo::new(stream.in_turns()), service));
            if peer.over_cap {
                connection.as_mut().graceful_shutdown();
            }
            drive(connection, |c| c.graceful_shutdown(), &clock, &edge.limits, &tasks).await
        }
    };
    after.run().await;
    if let Err(reason) = outcome {
        complain(peer, &reason);
    }
}

/// Up to knowing what is spoken; `None` where the peer said nothing or the wrong thing and was told.
async fn open(socket: std::net::TcpStream, edge: &Edge) -> io::Result<Option<(Io, Bytes, Protocol)>> {
    let socket = TcpStream::from_std(socket)?;
    match &edge.tls {
        Some(config) => open_tls(socket, config).await,
        None => open_plain(socket).await,
    }
}

async fn open_tls(mut socket: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Option<(Io, Bytes, Protocol)>> {
    let mut first = [0];
    if socket.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] != TLS_HANDSHAKE {
        socket.write_all(plain_on_tls().as_bytes()).await?;
        stream::close(socket).await;
        let reason = "plain text on a TLS port: the client must use https or wss";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let stream = TlsAcceptor::from(Arc::clone(config)).accept(socket).await?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
    Ok(Some((Io::Tls(Box::new(stream)), Bytes::new(), protocol)))
}

/// The answer to HTTP without TLS, written by hand: there is no TLS for hyper to write it into.
fn plain_on_tls() -> String {
    const BODY: &str = r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"this port speaks TLS: use https:// (or wss://) for it"}"#;
    let length = BODY.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nserver: steadfeed\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{BODY}"
    )
}

async fn open_plain(mut socket: TcpStream) -> io::Result<Option<(Io, Bytes, Protocol)>> {
    let mut early = BytesMut::with_capacity(H2_PREFACE.len());
    while early.len() < H2_PREFACE.len() && H2_PREFACE.starts_with(&early) {
        let missing = (H2_PREFACE.len() - early.len()) as u64;
        if (&mut socket).take(missing).read_buf(&mut early).await? == 0 {
            return Ok(None);
        }
    }
    if early.first() == Some(&TLS_HANDSHAKE) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "TLS on a plain port: the client must use http or ws"));
    }
    let protocol = if early == H2_PREFACE { Protocol::Http2 } else { Protocol::Http1 };
    Ok(Some((Io::Plain(socket), early.freeze(), protocol)))
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The clock does this: hyper's own would also end idle connections.
        .header_read_timeout(None)
        .half_close(false)
        .max_headers(limits::HEADER_FIELDS)
        .max_header_size(limits.header_size)
        // Reads at least a head, and holds as much of a response that the peer does not take.
        .max_buf_size(limits.header_size.max(limits::H1_BUFFER));
    builder
}

fn http2_builder(edge: &Edge, tasks: Tasks) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::H2_STREAMS)
        .max_header_list_size(u32::try_from(edge.limits.header_size).unwrap_or(u32::MAX))
        .max_send_buf_size(limits::H2_SEND_BUFFER)
        .initial_stream_window_size(limits::H2_STREAM_WINDOW)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
        .keep_alive_interval(edge.limits.keepalive_timeout)
        .keep_alive_timeout(edge.limits.header_timeout);
    if edge.websocket_h2 {
        builder.enable_connect_protocol();
    }
    builder
}

/// Polls the connection under its clock; a drain lets it finish what it is answering.
async fn drive<C>(
    mut connection: Pin<&mut C>,
    shut: impl Fn(Pin<&mut C>),
    clock: &Clock,
    limits: &Limits,
    tasks: &Tasks,
) -> Result<(), String>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut alarm = pin!(tokio::time::sleep_until(clock.next(limits)));
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            outcome = under_clock(connection.as_mut(), alarm.as_mut(), clock, limits) => match outcome {
                Some(Err(error)) if !clock.awaits_head() && has_left(&error) => return Ok(()),
                Some(outcome) => return outcome.map_err(|error| describe(&error)),
                None => match clock.check(limits) {
                    None => alarm.as_mut().reset(clock.next(limits)),
                    Some(Expired::Idle) => {
                        // Nothing is in flight: a GOAWAY or a FIN is all there is to say.
                        shut(connection.as_mut());
                        let _ = tokio::time::timeout(limits::CLOSE_TIMEOUT, connection.as_mut()).await;
                        return Ok(());
                    }
                    Some(Expired::Head) => return Err("no complete request head in time".to_owned()),
                    Some(Expired::Send) => return Err("a response made no progress".to_owned()),
                },
            },
            () = tasks.stages().draining(), if !draining => {
                shut(connection.as_mut());
                draining = true;
            }
            () = tasks.stages().ending() => return Ok(()),
        }
    }
}

/// The connection's outcome, or `None` when the alarm rings first. What the connection does may bring the alarm forward.
async fn under_clock<C: Future>(
    mut connection: Pin<&mut C>,
    mut alarm: Pin<&mut Sleep>,
    clock: &Clock,
    limits: &Limits,
) -> Option<C::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        let next = clock.next(limits);
        if next < alarm.deadline() {
            alarm.as_mut().reset(next);
        }
        alarm.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Whether the peer just went: between requests, or in the middle of a stream that has no other end, it may.
fn has_left(error: &hyper::Error) -> bool {
    let gone = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof];
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_incomplete_message() || cause.is_some_and(|cause| gone.contains(&cause.kind()))
}

/// What hyper found wrong, with its cause.
fn describe(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

fn complain(peer: Peer, reason: &str) {
    if let Some(unsaid) = client_warning() {
        tracing::warn!(client = %peer.client, reason, unsaid, "connection ended");
    }
}

/// A response body that keeps its request in flight until it is sent or dropped.
#[derive(Debug)]
pub struct Counted<B> {
    body: B,
    _in_flight: InFlight,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
