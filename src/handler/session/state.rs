//! A session without its sockets: what is to be said to whom, on each thing that happens.
//!
//! Owns: the two ends' standing, the deadlines, and what waits to be written. Never: does IO, reads a clock or makes a
//! random number; it is told what was heard and what time it is.

mod upstream;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::identity::Identity;
use super::options::Held;
use super::outbox::Outbox;
use super::parts::{HeldPermit, Link, Moment, Side, Stall};
use super::terms::Terms;
use super::upward::Upward;
use crate::feed::farewell::{Farewell, Tally};
use crate::feed::pulse::Pulse;
use crate::feed::system::{error, system};
use crate::rate::Bucket;
use crate::source::backoff::Backoff;
use crate::ws::frame::{self, OpCode};
use crate::ws::{CloseCode, CloseFrame, Message, Violation, close, mask};

/// One session.
#[derive(Debug)]
pub(super) struct State {
    pub(super) terms: Arc<Terms>,
    pub(super) identity: Identity,
    pub(super) client: Side,
    pub(super) link: Link,
    pub(super) up: Upward,
    pub(super) down: Outbox,
    pub(super) client_pulse: Pulse,
    pub(super) upstream_pulse: Pulse,
    /// What its client may say.
    bucket: Option<Bucket>,
    /// When its token does.
    pub(super) expires: Option<Instant>,
    backoff: Backoff,
    /// When the upstream socket that stands was opened.
    opened: Instant,
    /// The one that is gone was in the middle of a frame.
    pub(super) cut: bool,
    /// While the client waits for one.
    held: Option<HeldPermit>,
    pub(super) stall: Stall,
    deflate: bool,
    farewell: Option<Box<Farewell>>,
    tally: Tally,
    /// From 0 up to 1.
    random: fn() -> f64,
}

/// What a session begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) terms: Arc<Terms>,
    pub(super) identity: Identity,
    /// Agreed with the client.
    pub(super) deflate: bool,
    pub(super) send_timeout: Option<Duration>,
    /// From 0 up to 1, anew each time.
    pub(super) random: fn() -> f64,
}

impl State {
    /// Both sockets stand.
    #[must_use]
    pub(super) fn new(beginning: Beginning, at: Moment) -> State {
        let Beginning { terms, identity, deflate, send_timeout, random } = beginning;
        let mut state = State {
            bucket: identity.inbound().messages.map(Bucket::new),
            up: Upward::new(if terms.hold.is_zero() { 0 } else { terms.resend }),
            terms,
            identity,
            client: Side::Open,
            link: Link::Up,
            down: Outbox::default(),
            client_pulse: Pulse::new(at.now),
            upstream_pulse: Pulse::new(at.now),
            expires: None,
            backoff: Backoff::of_session(),
            opened: at.now,
            cut: false,
            held: None,
            stall: Stall { allowed: send_timeout, since: None },
            deflate,
            farewell: None,
            tally: Tally::default(),
            random,
        };
        state.set_expiry(at);
        state
    }

    /// Both sockets have ended, and all that could be said was.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.has_client_ended() && self.link == Link::Gone
    }

    /// The client's socket has nothing more to say or to be told.
    #[must_use]
    pub(super) fn has_client_ended(&self) -> bool {
        self.client == Side::Gone || (self.client == Side::Heard && self.down.is_empty())
    }

    /// How it ended, and what went out to the client.
    #[must_use]
    pub(super) fn farewell(&self) -> (Option<&Farewell>, Tally) {
        (self.farewell.as_deref(), self.tally)
    }

    /// Whether there is room for what the client may say.
    #[must_use]
    pub(super) fn hears_client(&self) -> bool {
        match (self.client, self.link) {
            (Side::Gone, _) => false,
            (Side::Closing | Side::Heard, _) | (Side::Open, Link::Closing | Link::Gone) => true,
            (Side::Open, Link::Up | Link::New { .. }) => !self.down.is_full() && self.up.is_empty(),
            (Side::Open, Link::Down { .. }) => !self.down.is_full() && !self.up.is_full(),
        }
    }

    /// The client said this.
    pub(super) fn hear_client(&mut self, message: Message, at: Moment) {
        match message {
            Message::Text(text) => self.client_says(OpCode::Text, text.as_bytes(), Some(&text), at),
            Message::Binary(bytes) => self.client_says(OpCode::Binary, &bytes, None, at),
            Message::Ping(payload) if self.client == Side::Open => self.down.push(&frame::pong(&payload)),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(frame) => self.client_closes(frame, at),
        }
    }

    fn client_says(&mut self, opcode: OpCode, payload: &[u8], text: Option<&str>, at: Moment) {
        if self.client != Side::Open {
            return;
        }
        if self.bucket.as_mut().is_some_and(|bucket| !bucket.take(at.now)) {
            return self.end(CloseCode::POLICY, close::MESSAGE_RATE, at);
        }
        self.terms.meters.received(payload.len());
        if let Some(answer) = text.and_then(|text| self.identity.hear(text, at.wall)) {
            self.set_expiry(at);
            return self.tell(&answer, at);
        }
        if self.terms.held == Held::Refuse && matches!(self.link, Link::Down { .. }) {
            return self.tell(&error("upstream_down", UPSTREAM_DOWN, at.wall), at);
        }
        self.up.push(frame::masked(opcode, payload, mask::fresh()));
    }

    fn client_closes(&mut self, said: Option<CloseFrame>, at: Moment) {
        let answered = self.client != Side::Open;
        self.client = Side::Heard;
        if answered {
            return;
        }
        let (code, reason) = said.map_or((CloseCode::NO_STATUS, String::new()), |said| (said.code, said.reason));
        self.down.push(&frame::close(code, ""));
        self.say_goodbye(code, &reason, at);
        self.part_with(code.get(), reason, at);
    }

    /// The client broke the protocol or a limit.
    pub(super) fn reject(&mut self, violation: &Violation, at: Moment) {
        self.end(violation.code, violation.reason, at);
    }

    /// The client is gone without a word.
    pub(super) fn lose_client(&mut self, reason: impl Into<String>, at: Moment) {
        self.client = Side::Gone;
        self.down.clear();
        self.stall.since = None;
        self.say_goodbye(CloseCode::GOING_AWAY, "", at);
        self.part_with(CloseCode::ABNORMAL.get(), reason.into(), at);
    }

    /// Ends both sides.
    pub(super) fn end(&mut self, code: CloseCode, reason: &str, at: Moment) {
        self.say_farewell(code, reason, at);
        self.say_goodbye(CloseCode::GOING_AWAY, "", at);
    }

    /// Closes the client's socket.
    fn say_farewell(&mut self, code: CloseCode, reason: &str, at: Moment) {
        if self.client == Side::Open {
            self.down.push(&frame::close(code, reason));
            self.client = Side::Closing;
        }
        self.part_with(code.get(), reason.to_owned(), at);
    }

    /// Closes the upstream's.
    fn say_goodbye(&mut self, code: CloseCode, reason: &str, at: Moment) {
        match self.link {
            Link::Up | Link::New { .. } => {
                self.up.close(frame::masked(OpCode::Close, &close::payload(code, reason), mask::fresh()));
                self.link = Link::Closing;
            }
            Link::Down { .. } => {
                self.link = Link::Gone;
                self.up.clear();
            }
            Link::Closing | Link::Gone => {}
        }
        self.client_pulse.close(at.now);
    }

    /// The session has an end, and its closing handshakes their time.
    fn part_with(&mut self, code: u16, reason: String, at: Moment) {
        self.farewell.get_or_insert_with(|| Box::new(Farewell { code, reason }));
        self.client_pulse.close(at.now);
        self.held = None;
    }

    /// A message of our own.
    pub(super) fn tell(&mut self, message: &[u8], at: Moment) {
        self.down.push(&frame::frame(OpCode::Text, false, message));
        self.client_pulse.spoke(at.now);
    }

    fn notice(&mut self, upstream: &str, at: Moment) {
        if self.terms.delivery.notices && self.client == Side::Open {
            self.tell(&system("keepalive", None, &[("upstream", upstream)], at.wall), at);
        }
    }

    fn set_expiry(&mut self, at: Moment) {
        let left = self.identity.credential().map(|credential| credential.expires.duration_since(at.wall));
        self.expires = left.map(|left| at.now + Duration::try_from(left).unwrap_or_default());
    }
}

/// What a client is told whose message is not taken.
const UPSTREAM_DOWN: &str = "the application is away for a moment; say it again when it is back";

#[cfg(test)]
mod tests;
