//! One client connection: PROXY header, TLS, choice of protocol, HTTP, under one set of deadlines.
//!
//! Owns: what is the same for every request on it, whichever HTTP it speaks. Never: looks into a request but for whom it is
//! ([`Forwarded`]); `serve` is given what answers it.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body as _;
use tokio::time::timeout_at;

use super::clock::{Clock, InFlight};
use super::drive::{Fault, last_call};
use super::interim::Interims;
use super::listener::Accepted;
use super::opening::{Opened, Protocol, open};
use super::permit::Place;
use super::stream::Stream;
use super::tls::{Sni, Tls};
use super::upgrade::Upgrade;
use super::{Forwarded, Limits, Peer, http1, http2};
use crate::message::framing::Rule;
use crate::message::{Body, Incoming};
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
    /// Where informational answers to it go.
    pub interims: Interims<'a>,
    /// Where it is left what is to be done with the socket that the answer opens.
    pub upgrade: &'a Upgrade,
    /// The request, or one before it on its connection, can be read in two ways, which only the connection's bytes show.
    pub ambiguous: Option<Rule>,
    /// How long a socket that the request becomes may take nothing.
    pub send_timeout: Duration,
}

/// Answers requests.
pub trait Answer: 'static {
    /// Answers one request.
    fn answer(&self, asked: &Asked<'_>, request: Request<Incoming>) -> impl Future<Output = Response<Body>>;

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

/// One connection, for what serves it.
#[derive(Debug)]
pub(super) struct Connection<A> {
    pub(super) peer: Peer,
    pub(super) edge: Edge,
    pub(super) clock: Arc<Clock>,
    pub(super) tasks: Tasks,
    sni: Option<Sni>,
    answer: Rc<A>,
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
    let connection = Rc::new(Connection { peer, edge, clock, tasks, sni, answer: Rc::clone(&answer) });
    let outcome = match protocol {
        Protocol::Http1 => http1::serve(connection, stream).await,
        // Boxed: most connections are of the other kind, and smaller.
        Protocol::Http2 => Box::pin(http2::serve(connection, stream)).await,
    };
    if let Err(Fault { reason, unread }) = outcome {
        unread.into_iter().for_each(|unread| answer.unread(unread));
        complain(peer, &reason);
    }
}

impl<A: Answer> Connection<A> {
    /// Answers one request, which `in_flight` counts; where the answer opens a socket, `upgrade` is left what to do with it.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        in_flight: &InFlight,
        interims: Interims<'_>,
        ambiguous: Option<Rule>,
        upgrade: &Upgrade,
    ) -> Response<Body> {
        let forwarded = Forwarded::read(&self.peer, &self.edge.trusted, request.headers());
        let asked = Asked {
            peer: Peer { client: forwarded.client, ..self.peer },
            forwarded: &forwarded,
            redirect: self.edge.redirect.as_deref(),
            sni: self.sni.as_ref(),
            in_flight,
            interims,
            upgrade,
            ambiguous,
            send_timeout: self.edge.limits.send_timeout,
        };
        let response = self.answer.answer(&asked, request).await;
        if response.body().size_hint().exact().is_none() {
            in_flight.streams();
        }
        response
    }
}

fn complain(peer: Peer, reason: &str) {
    if let Some(unsaid) = client_warning() {
        tracing::warn!(client = %peer.client, reason, unsaid, "connection ended");
    }
}
