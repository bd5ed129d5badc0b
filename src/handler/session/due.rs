//! What falls due in a session by itself: keepalives, pings, the ends of patience.
//!
//! Owns: every deadline of a session, and what is done at it. Never: reads a clock.

use tokio::time::Instant;

use super::ending::{Ending, HOLD_RAN_OUT, Verdict};
use super::parts::{Dial, Link, Moment, Side};
use super::state::State;
use crate::feed::pulse::Due;
use crate::feed::system::system;
use crate::ws::frame::{self, OpCode};
use crate::ws::{CloseCode, close, mask};

impl State {
    /// When [`on_time`](State::on_time) or [`takes_dial`](State::takes_dial) has something next.
    #[must_use]
    pub(super) fn next_due(&self) -> Option<Instant> {
        let client = self.client_pulse.next(&self.terms.delivery);
        if self.is_ending() {
            return client;
        }
        let link = match self.link {
            Link::Up => self.upstream_pulse.next(&self.terms.upstream),
            Link::New { .. } => earlier(self.upstream_pulse.next(&self.terms.upstream), self.proven_at()),
            Link::Down { until, dial: Dial::At(due) } => Some(due.min(until)),
            Link::Down { until, dial: Dial::UnderWay } => Some(until),
            Link::Closing | Link::Gone => None,
        };
        earlier(earlier(client, link), earlier(self.expires, self.stalled_out()))
    }

    /// Does what is due; how the upstream socket ended, if it did.
    pub(super) fn on_time(&mut self, at: Moment) -> Option<(Ending, Verdict)> {
        if self.is_ending() {
            if self.client_pulse.take(&self.terms.delivery, at.now).is_some() {
                // Whoever has not answered by now never will.
                (self.client, self.link) = (Side::Gone, Link::Gone);
                self.down.clear();
                self.up.clear();
            }
            return None;
        }
        if self.expires.is_some_and(|expires| expires <= at.now) {
            self.end(CloseCode::POLICY, close::TOKEN_EXPIRED, at);
            return None;
        }
        if self.stalled_out().is_some_and(|due| due <= at.now) {
            self.lose_client("the client took nothing in time", at);
            return None;
        }
        self.see_to_client(at);
        match self.link {
            _ if self.is_ending() => None,
            Link::Down { until, .. } if until <= at.now => {
                self.end(CloseCode::TRY_AGAIN, HOLD_RAN_OUT, at);
                None
            }
            Link::Up | Link::New { .. } => self.see_to_upstream(at),
            Link::Down { .. } | Link::Closing | Link::Gone => None,
        }
    }

    /// The client has taken so many bytes.
    pub(super) fn client_took(&mut self, count: usize, now: Instant) {
        self.down.sent(count);
        if self.stall.since.take().is_some() {
            // It reads, and could not answer before.
            self.client_pulse.heard(now);
        }
    }

    /// The client takes nothing for now.
    pub(super) fn client_stalls(&mut self, now: Instant) {
        self.stall.since.get_or_insert(now);
    }

    /// The session has an end: all that is left is to close its sockets.
    #[must_use]
    pub(super) fn is_ending(&self) -> bool {
        self.client != Side::Open || matches!(self.link, Link::Closing | Link::Gone)
    }

    fn stalled_out(&self) -> Option<Instant> {
        Some(self.stall.since? + self.stall.allowed?)
    }

    fn see_to_client(&mut self, at: Moment) {
        while let Some(due) = self.client_pulse.take(&self.terms.delivery, at.now) {
            match due {
                // What waits for it already says as much.
                Due::Keepalive if self.down.is_empty() => {
                    self.tell(&system("keepalive", None, &[], at.wall), at);
                }
                Due::Keepalive | Due::Tick => {}
                Due::Ping => self.down.push(&frame::ping(b"")),
                // It was not read, since its upstream takes nothing: that it is silent is not its doing.
                Due::Dead(_) if !self.hears_client() => _ = self.client_pulse.heard(at.now),
                Due::Dead(reason) => return self.lose_client(reason, at),
            }
        }
    }

    fn see_to_upstream(&mut self, at: Moment) -> Option<(Ending, Verdict)> {
        while let Some(due) = self.upstream_pulse.take(&self.terms.upstream, at.now) {
            match due {
                Due::Ping => self.up.control(frame::masked(OpCode::Ping, b"", mask::fresh())),
                // It was not read, since its client takes nothing.
                Due::Dead(_) if self.stall.since.is_some() => _ = self.upstream_pulse.heard(at.now),
                Due::Dead(_) => {
                    let verdict = self.upstream_ends(&Ending::Silent, at)?;
                    return Some((Ending::Silent, verdict));
                }
                Due::Keepalive | Due::Tick => {}
            }
        }
        if self.proven_at().is_some_and(|due| due <= at.now) {
            self.proves(at);
        }
        None
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
