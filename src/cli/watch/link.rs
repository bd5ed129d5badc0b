//! The connection that is kept: dials, tells what comes, and dials again with back-off, until nobody listens.
//!
//! Owns: the back-off and the last event id. Never: shows anything; whoever holds the other end of the channel does.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::backoff::{self, Backoff};
use super::failure::Failure;
use super::message::Message;
use super::target::{Target, Way};
use super::{events, socket};
use crate::cli::client::Trust;

/// What is asked of the server, each time.
#[derive(Debug)]
pub struct Request {
    pub target: Target,
    pub trust: Trust,
    /// `Authorization`, marked sensitive.
    pub authorization: Option<HeaderValue>,
}

/// What happens, in order.
#[derive(Debug)]
pub enum Event {
    Dialling,
    Connected,
    Message(Message),
    /// The connection was not to be had, or is lost; the next dial is after `again`.
    Lost {
        failure: Failure,
        again: Duration,
    },
}

/// Where one connection puts what comes; knows when it was opened.
#[derive(Debug)]
pub struct Outlet<'a> {
    events: &'a mpsc::Sender<Event>,
    opened: Option<Instant>,
}

impl Request {
    /// Adds the headers that every way of asking sends.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("steadfeed/", env!("CARGO_PKG_VERSION"))));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
    }
}

impl Outlet<'_> {
    /// Tells that messages will come now.
    pub async fn opened(&mut self) {
        self.opened = Some(Instant::now());
        self.tell(Event::Connected).await;
    }

    /// Hands a message on, and waits while the one who shows them is busy.
    pub async fn message(&self, message: Message) {
        self.tell(Event::Message(message)).await;
    }

    /// Done when nobody listens any more.
    pub async fn closed(&self) {
        self.events.closed().await;
    }

    async fn tell(&self, event: Event) {
        // A listener that has gone is seen by `closed`, which every loop looks at first.
        let _ = self.events.send(event).await;
    }
}

/// Keeps the connection until the other end of `events` is dropped. `redial` drops what there is, or cuts the waiting
/// short, and dials at once.
pub async fn keep(request: &Request, events: mpsc::Sender<Event>, redial: &Notify) {
    let mut backoff = Backoff::default();
    let mut last_id = String::new();
    while !events.is_closed() {
        let mut outlet = Outlet { events: &events, opened: None };
        outlet.tell(Event::Dialling).await;
        let failure = tokio::select! {
            failure = once(request, &mut last_id, &mut outlet) => failure,
            () = redial.notified() => Failure::Asked,
        };
        if matches!(failure, Failure::Asked) {
            backoff = Backoff::default();
            continue;
        }
        let held = outlet.opened.map_or(Duration::ZERO, |opened| opened.elapsed());
        let again = backoff.after(held, backoff::random(), failure.retry_after());
        outlet.tell(Event::Lost { failure, again }).await;
        tokio::select! {
            biased;
            () = events.closed() => return,
            () = redial.notified() => {}
            () = sleep(again) => {}
        }
    }
}

async fn once(request: &Request, last_id: &mut String, outlet: &mut Outlet<'_>) -> Failure {
    match request.target.way {
        Way::WebSocket => socket::watch(request, outlet).await,
        Way::Sse => events::watch(request, last_id, outlet).await,
    }
}
