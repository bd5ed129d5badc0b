//! One client connection: PROXY header, TLS, choice of protocol, HTTP, under one set of deadlines.
//!
//! Owns: every hyper knob of the server side, named here once. Never: looks into a request but for whom it is
//! ([`Forwarded`]); `serve` is given what answers it.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Sleep, timeout_at};

use super::after::After;
use super::clock::{Clock, Expired, InFlight};
use super::counted::Counted;
use super::listener::Accepted;
use super::opening::{Opened, Protocol, open};
use super::permit::Place;
use super::stall::{Streams, Tether};
use super::stream::Stream;
use super::tls::{Sni, Tls};
use super::{Forwarded, Limits, Peer};
use crate::limits;
use crate::message::framing::{Rule, Verdict};
use crate::networks::Networks;
use crate::shutdown::Tasks;
use crate::telemetry::log::client_warning;

/// What the connections of one listener have in common.
#[derive(Debug, Clone)]
pub struct Edge {
    pub tls: Option<Tls>,
    pub websocket_h2: bool,
    /// A PROXY header comes first, from trusted peers only.
    pub proxy_protocol: bool,
    /// Everything is answered with a redirect to there, in which `{host}` and `{uri}` stand for the request's own.
    pub redirect: Option<Arc<str>>,
    /// Who is believed when they say for whom they speak (`trusted_proxies`).
    pub trusted: Arc<Networks>,
    pub limits: Arc<Limits>,
}

/// A request's connection.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its `client` is the request's, which a trusted proxy may have named.
    pub peer: Peer,
    /// What else the peer says of whom the request is for.
    pub forwarded: &'a Forwarded,
    /// Where everything on this listener is redirected to; see [`Edge::redirect`].
    pub redirect: Option<&'a str>,
    /// Over TLS, the name that the client asked a certificate for, if it did.
    pub sni: Option<&'a Sni>,
    /// Counts the request; what becomes a stream of its own keeps a clone.
    pub in_flight: &'a InFlight,
    /// Run when an HTTP/1.1 connection was upgraded, or has ended.
    pub after: &'a After,
    /// The request, or one before it on its connection, can be read in two ways, which only the connection's bytes show.
    pub ambiguous: Option<Rule>,
    /// Over HTTP/2, where the stream may become a socket: what holds that keeps a clone.
    pub tether: Option<&'a Tether>,
    /// How long a socket that the request becomes may take nothing.
    pub send_timeout: Duration,
}

/// Answers requests.
pub trait Answer: 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static;

    /// Answers one request.
    fn answer(&self, asked: &Asked<'_>, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>>;

    /// Is told of a request whose head could not be read, to count it: it was answered without being asked for.
    fn unread(&self, _unread: Unread) {}
}

/// Why a request's head was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// 431.
    TooLarge,
    /// 400.
    Malformed,
}

/// Why a connection ended that should not have.
struct Fault {
    reason: String,
    unread: Option<Unread>,
}

/// What the requests of one connection have in common.
struct Common {
    peer: Peer,
    edge: Edge,
    sni: Option<Sni>,
    after: After,
}

impl Edge {
    /// A plain listener that believes nobody.
    #[must_use]
    pub fn plain(limits: Arc<Limits>) -> Edge {
        let trusted = Arc::default();
        Edge { tls: None, websocket_h2: false, proxy_protocol: false, redirect: None, trusted, limits }
    }
}

/// Serves one connection until it ends, is upgraded, or everything drains.
pub async fn serve<A: Answer>(accepted: Accepted, place: Place, edge: Edge, tasks: Tasks, answer: Rc<A>) {
    let Place { permit, over_cap } = place;
    let mut peer = Peer::new(accepted.addr, edge.tls.is_some(), over_cap);
    let deadline = accepted.at + edge.limits.header_timeout;
    let opened = tokio::select! {
        biased;
        opened = timeout_at(deadline, open(accepted.socket, &mut peer, &edge)) => opened,
        // It has not said what it speaks, let alone what it wants.
        () = last_call(&tasks) => return,
    };
    let Opened { io, early, protocol, sni } = match opened {
        Ok(Ok(Some(opened))) => opened,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return complain(peer, &error.to_string()),
        Err(_elapsed) => return complain(peer, "no complete request head in time"),
    };
    let clock = Arc::new(Clock::new(accepted.at, matches!(protocol, Protocol::Http2)));
    let stream = Stream::new(io, early, Arc::clone(&clock), permit);
    let streams = Streams::new(tasks.clone(), Arc::clone(&clock), peer, edge.limits.send_timeout);
    let http2 = matches!(protocol, Protocol::Http2).then_some(&streams);
    let common = Rc::new(Common { peer, edge, sni, after: After::default() });
    let edge = &common.edge;
    let (verdict, requests) = (Arc::new(Verdict::default()), Cell::new(0));
    let service = service_fn(|request: Request<Incoming>| {
        let in_flight = clock.begin(request.body().is_end_stream());
        let (answer, common, http2) = (Rc::clone(&answer), Rc::clone(&common), http2.cloned());
        let ambiguous = verdict.of(requests.replace(requests.get() + 1));
        async move {
            let tether = http2.as_ref().filter(|_| *request.method() == Method::CONNECT).map(Streams::tether);
            let forwarded = Forwarded::read(&common.peer, &common.edge.trusted, request.headers());
            let asked = common.asked(&forwarded, &in_flight, ambiguous, tether.as_ref());
            let response = answer.answer(&asked, request).await;
            if response.body().size_hint().exact().is_none() {
                in_flight.streams();
            }
            if let Some(tether) = tether {
                tether.hand_over();
            }
            Ok::<_, Infallible>(response.map(|body| Counted::new(body, in_flight, http2)))
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
            let mut connection = pin!(
                http2_builder(edge, streams.clone()).serve_connection(TokioIo::new(stream.multiplexed()), service)
            );
            if peer.over_cap {
                connection.as_mut().graceful_shutdown();
            }
            drive(connection, |c| c.graceful_shutdown(), &clock, &edge.limits, &tasks).await
        }
    };
    common.after.run().await;
    if let Err(Fault { reason, unread }) = outcome {
        unread.into_iter().for_each(|unread| answer.unread(unread));
        complain(peer, &reason);
    }
}

impl Common {
    fn asked<'a>(
        &'a self,
        forwarded: &'a Forwarded,
        in_flight: &'a InFlight,
        ambiguous: Option<Rule>,
        tether: Option<&'a Tether>,
    ) -> Asked<'a> {
        Asked {
            peer: Peer { client: forwarded.client, ..self.peer },
            forwarded,
            redirect: self.edge.redirect.as_deref(),
            sni: self.sni.as_ref(),
            in_flight,
            after: &self.after,
            ambiguous,
            tether,
            send_timeout: self.edge.limits.send_timeout,
        }
    }
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

fn http2_builder(edge: &Edge, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
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
) -> Result<(), Fault>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut alarm = pin!(tokio::time::sleep_until(clock.next_look(limits)));
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            outcome = under_clock(connection.as_mut(), alarm.as_mut(), clock, limits) => match outcome {
                Some(Err(error)) if !clock.awaits_head() && has_left(&error) => return Ok(()),
                Some(outcome) => return outcome.map_err(|error| Fault::of(&error, limits)),
                None => match clock.check(limits) {
                    None => alarm.as_mut().reset(clock.next_look(limits)),
                    Some(Expired::Idle) => {
                        // Nothing is in flight: a GOAWAY or a FIN is all there is to say.
                        shut(connection.as_mut());
                        let _ = tokio::time::timeout(limits::CLOSE_TIMEOUT, connection.as_mut()).await;
                        return Ok(());
                    }
                    Some(Expired::Head) => return Err(Fault::said("no complete request head in time")),
                    Some(Expired::Send) => return Err(Fault::said("a response made no progress")),
                },
            },
            () = turn_to_leave(tasks, clock), if !draining => {
                shut(connection.as_mut());
                draining = true;
            }
            () = tasks.stages().ending() => return Ok(()),
        }
    }
}

/// Completes when the connection is to take no more requests. One that was only just accepted has its first yet to be
/// read: it is waited for, and answered.
async fn turn_to_leave(tasks: &Tasks, clock: &Clock) {
    tasks.stages().draining().await;
    if !clock.has_heard() {
        last_call(tasks).await;
    }
}

/// Completes when a drain no longer waits for one that has said nothing.
async fn last_call(tasks: &Tasks) {
    tasks.stages().draining().await;
    tokio::time::sleep(limits::DRAIN_HEAD).await;
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
        if let Some(next) = clock.next(limits).filter(|next| *next < alarm.deadline()) {
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

impl Fault {
    fn said(reason: &str) -> Fault {
        Fault { reason: reason.to_owned(), unread: None }
    }

    /// What hyper found wrong, with its cause; of a head that is too large, what would let it in.
    fn of(error: &hyper::Error, limits: &Limits) -> Fault {
        if error.is_parse_too_large() {
            let (size, fields) = (limits.header_size, limits::HEADER_FIELDS);
            let reason = format!(
                "the request's head is too large (a long token?): `header_size` of [limits] lets {size} bytes in, and {fields} fields"
            );
            return Fault { reason, unread: Some(Unread::TooLarge) };
        }
        let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
        Fault { reason: format!("{error}{cause}"), unread: error.is_parse().then_some(Unread::Malformed) }
    }
}

fn complain(peer: Peer, reason: &str) {
    if let Some(unsaid) = client_warning() {
        tracing::warn!(client = %peer.client, reason, unsaid, "connection ended");
    }
}
