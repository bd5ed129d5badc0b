//! A session's upstream socket, as far as it is known: what it says, how it ends, what takes its place.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::State;
use crate::feed::normalize::Incoming;
use crate::feed::pulse::Pulse;
use crate::handler::session::ending::{Ending, Verdict};
use crate::handler::session::parts::{Dial, HeldPermit, Link, Moment, Side};
use crate::limits;
use crate::ws::frame::{self, OpCode};
use crate::ws::{Heard, mask};

impl State {
    /// Whether there is room for what the upstream may say.
    #[must_use]
    pub(in crate::handler::session) fn hears_upstream(&self) -> bool {
        match self.link {
            Link::Up | Link::New { .. } => !self.down.is_full() && !self.up.owes_pongs(),
            Link::Closing => true,
            Link::Down { .. } | Link::Gone => false,
        }
    }

    /// The upstream said this; how its socket ended, if that was its last.
    pub(in crate::handler::session) fn hear_upstream(&mut self, heard: Heard<'_>, at: Moment) -> Option<Ending> {
        match heard {
            Heard::Text(text) => self.pass_down(Incoming::Text(&text), at),
            Heard::Binary(bytes) => self.pass_down(Incoming::Binary(Bytes::from(bytes.into_owned())), at),
            Heard::TooLarge(_) => {
                self.terms.meters.too_large.inc();
                self.proves(at);
            }
            Heard::Ping(payload) if self.link != Link::Closing => {
                self.up.control(frame::masked(OpCode::Pong, &payload, mask::fresh()));
            }
            Heard::Ping(_) | Heard::Pong(_) => {}
            Heard::Close(said) => return Some(Ending::Closed(said)),
        }
        None
    }

    fn pass_down(&mut self, message: Incoming<'_>, at: Moment) {
        if self.client != Side::Open {
            return;
        }
        if let Some(frame) = self.terms.frame(message, at.wall, self.deflate) {
            self.down.push(&frame);
            self.tally.messages += 1;
            self.tally.bytes += frame.len() as u64;
            self.terms.meters.sent(frame.len());
            self.client_pulse.spoke(at.now);
        }
        self.proves(at);
    }

    /// A new upstream socket has shown that it stands.
    pub(in crate::handler::session) fn proves(&mut self, at: Moment) {
        if matches!(self.link, Link::New { .. }) {
            self.link = Link::Up;
            if self.held.take().is_some() {
                self.notice("live", at);
            }
        }
    }

    /// The upstream socket has ended. What was decided on that, where it was not asked for.
    pub(in crate::handler::session) fn upstream_ends(&mut self, ending: &Ending, at: Moment) -> Option<Verdict> {
        self.cut = !self.up.is_between_frames();
        let until = match self.link {
            Link::Up => at.now + self.terms.hold,
            Link::New { until } => until,
            Link::Down { .. } => return None,
            Link::Closing | Link::Gone => {
                self.link = Link::Gone;
                self.up.clear();
                return None;
            }
        };
        let verdict = ending.verdict(!self.terms.hold.is_zero());
        match &verdict {
            Verdict::Hold => {
                let held = at.now.saturating_duration_since(self.opened);
                self.up.lost();
                self.wait(until, held, at.now);
                if self.held.is_none() {
                    self.held = Some(HeldPermit::new(&self.terms.meters.held));
                    self.notice("stale", at);
                }
            }
            Verdict::Close(code, reason) => {
                self.link = Link::Gone;
                self.up.clear();
                self.say_farewell(*code, reason, at);
            }
        }
        Some(verdict)
    }

    /// Whether the upstream is to be dialled now, which is then under way.
    pub(in crate::handler::session) fn takes_dial(&mut self, now: Instant) -> bool {
        let Link::Down { until, dial: Dial::At(due) } = self.link else { return false };
        if due <= now {
            self.link = Link::Down { until, dial: Dial::UnderWay };
        }
        due <= now
    }

    /// Another upstream socket was opened; whether it is still wanted.
    pub(in crate::handler::session) fn dialled(&mut self, at: Moment) -> bool {
        let Link::Down { until, .. } = self.link else { return false };
        self.terms.meters.reconnects.inc();
        self.link = Link::New { until };
        (self.opened, self.upstream_pulse) = (at.now, Pulse::new(at.now));
        true
    }

    pub(in crate::handler::session) fn dial_failed(&mut self, at: Moment) {
        if let Link::Down { until, .. } = self.link {
            self.wait(until, Duration::ZERO, at.now);
        }
    }

    /// Dials again after a while; the socket before had held for `held`.
    fn wait(&mut self, until: Instant, held: Duration, now: Instant) {
        let wait = self.backoff.after(held, now, (self.random)());
        self.link = Link::Down { until, dial: Dial::At(now + wait) };
    }

    /// How long the socket that stands has to be believed in.
    pub(in crate::handler::session) fn proven_at(&self) -> Option<Instant> {
        matches!(self.link, Link::New { .. }).then(|| self.opened + limits::SESSION_PROVEN)
    }
}
