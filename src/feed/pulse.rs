//! A viewer's pulse: when it was last spoken to and last heard, and what falls due from that.
//!
//! Owns: the deadlines of keepalive, ping, pong, paced delivery and close. Never: reads a clock or writes a byte.

use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::Instant;

use super::options::Delivery;
use super::outgoing::Stuck;
use crate::limits;

/// One viewer's deadlines. A process holds many of these, hence stamps in place of instants.
#[derive(Debug)]
pub struct Pulse {
    spoken: Stamp,
    heard: Stamp,
    /// When the ping that is unanswered fell due.
    pinged: Option<Stamp>,
    rare: Option<Box<Rare>>,
}

/// What few viewers have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rare {
    /// Where it asked for `every`.
    pace: Option<Pace>,
    /// When the closing handshake began.
    closing: Option<Stamp>,
    /// Where a large frame is stuck, and since when.
    stuck: Option<(Stuck, Stamp)>,
}

/// Delivery at intervals.
#[derive(Debug, PartialEq, Eq)]
struct Pace {
    every: Duration,
    tick: Stamp,
    /// Up to where it may read until then, by sequence number.
    reach: u64,
}

/// Half an instant's size: milliseconds after the first one of the process, and one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(NonZeroU64);

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Keepalive,
    Ping,
    Tick,
    /// The ping stayed unanswered, the closing handshake was not finished, or a large frame did not move: drop it.
    Dead(&'static str),
}

impl Pulse {
    #[must_use]
    pub fn new(now: Instant) -> Pulse {
        let now = Stamp::of(now);
        Pulse { spoken: now, heard: now, pinged: None, rare: None }
    }

    pub fn spoke(&mut self, now: Instant) {
        self.spoken = Stamp::of(now);
    }

    /// Gives how long ago the ping fell due that this answers, if any was unanswered.
    pub fn heard(&mut self, now: Instant) -> Option<Duration> {
        self.heard = Stamp::of(now);
        self.pinged.take().map(|at| now.saturating_duration_since(at.instant()))
    }

    pub fn close(&mut self, now: Instant) {
        self.change(|rare| _ = rare.closing.get_or_insert(Stamp::of(now)));
    }

    /// A large frame that nobody else needs is stuck, or no longer. One that has moved has its time again.
    pub fn stuck(&mut self, at: Option<Stuck>, now: Instant) {
        if at != self.stalled().map(|(at, _)| at) {
            self.change(|rare| rare.stuck = at.map(|at| (at, Stamp::of(now))));
        }
    }

    /// Sets or ends paced delivery; the first tick is one interval from now, and until then it may read up to `reach`.
    pub fn pace(&mut self, every: Option<Duration>, reach: u64, now: Instant) {
        if every.is_some() || self.is_paced() {
            let pace = every.map(|every| Pace { every, tick: Stamp::of(now).after(every), reach });
            self.change(|rare| rare.pace = pace);
        }
    }

    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.paced().is_some()
    }

    /// Up to which sequence number it may read now.
    #[must_use]
    pub fn reach(&self) -> u64 {
        self.paced().map_or(u64::MAX, |pace| pace.reach)
    }

    /// It may read up to `reach` at least.
    pub fn reach_to(&mut self, reach: u64) {
        if let Some(pace) = self.paced_mut() {
            pace.reach = pace.reach.max(reach);
        }
    }

    /// When [`take`](Pulse::take) has something next.
    #[must_use]
    pub fn next(&self, delivery: &Delivery) -> Option<Instant> {
        if let Some(since) = self.closing() {
            return Some(since.after(limits::CLOSE_TIMEOUT).instant());
        }
        let unanswered = self.pinged.map(|at| at.after(delivery.pong_timeout));
        let ping = delivery.ping.map(|ping| unanswered.unwrap_or(self.heard.after(ping)));
        let keepalive = delivery.keepalive.map(|keepalive| self.spoken.after(keepalive));
        let stuck = self.stalled().map(|(_, since)| since.after(limits::LARGE_FRAME_STALL));
        let tick = self.paced().map(|pace| pace.tick);
        [ping, keepalive, tick, stuck].into_iter().flatten().min().map(Stamp::instant)
    }

    /// One thing that is due by `now`, until there is none.
    pub fn take(&mut self, delivery: &Delivery, now: Instant) -> Option<Due> {
        let now = Stamp::of(now);
        if let Some(since) = self.closing() {
            let late = since.after(limits::CLOSE_TIMEOUT) <= now;
            return late.then_some(Due::Dead("the closing handshake was not finished"));
        }
        if self.stalled().is_some_and(|(_, since)| since.after(limits::LARGE_FRAME_STALL) <= now) {
            return Some(Due::Dead("a large message made no progress"));
        }
        if let Some(at) = self.pinged {
            if at.after(delivery.pong_timeout) <= now {
                return Some(Due::Dead("a ping stayed unanswered"));
            }
        } else if delivery.ping.is_some_and(|ping| self.heard.after(ping) <= now) {
            self.pinged = Some(now);
            return Some(Due::Ping);
        }
        if let Some(pace) = self.paced_mut().filter(|pace| pace.tick <= now) {
            // Ticks that were missed are not made up for.
            pace.tick = now.max(pace.tick.after(pace.every));
            return Some(Due::Tick);
        }
        if delivery.keepalive.is_some_and(|keepalive| self.spoken.after(keepalive) <= now) {
            self.spoken = now;
            return Some(Due::Keepalive);
        }
        None
    }

    fn paced(&self) -> Option<&Pace> {
        self.rare.as_ref()?.pace.as_ref()
    }

    fn paced_mut(&mut self) -> Option<&mut Pace> {
        self.rare.as_mut()?.pace.as_mut()
    }

    fn closing(&self) -> Option<Stamp> {
        self.rare.as_ref()?.closing
    }

    fn stalled(&self) -> Option<(Stuck, Stamp)> {
        self.rare.as_ref()?.stuck
    }

    /// Keeps nothing where nothing is left.
    fn change(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().unwrap_or_default();
        change(&mut rare);
        self.rare = Some(rare).filter(|rare| **rare != Rare::default());
    }
}

impl Stamp {
    /// The one of that millisecond: not after `instant`.
    pub(super) fn of(instant: Instant) -> Stamp {
        let since = instant.saturating_duration_since(*START).as_millis();
        Stamp(NonZeroU64::MIN.saturating_add(u64::try_from(since).unwrap_or(u64::MAX)))
    }

    /// The first that is not before `instant`.
    pub(super) fn not_before(instant: Instant) -> Stamp {
        let stamp = Stamp::of(instant);
        if stamp.instant() < instant { stamp.after(Duration::from_millis(1)) } else { stamp }
    }

    fn after(self, wait: Duration) -> Stamp {
        Stamp(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    pub(super) fn instant(self) -> Instant {
        *START + Duration::from_millis(self.0.get() - 1)
    }
}

/// What stamps count from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Due, Pulse};
    use crate::feed::Delivery;
    use crate::feed::outgoing::Stuck;

    const SECOND: Duration = Duration::from_secs(1);

    fn delivery() -> Delivery {
        Delivery {
            keepalive: Some(5 * SECOND),
            ping: Some(25 * SECOND),
            pong_timeout: 20 * SECOND,
            ..Delivery::default()
        }
    }

    #[test]
    fn what_is_kept_of_each_viewer_is_small() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        assert!(size_of::<Pulse>() <= 32, "{}", size_of::<Pulse>());
        pulse.pace(Some(SECOND), 7, start);
        assert_eq!((pulse.reach(), pulse.rare.is_some()), (7, true));
        pulse.pace(None, 7, start);
        assert_eq!((pulse.reach(), pulse.rare.is_some()), (u64::MAX, false));
    }

    #[test]
    fn a_keepalive_follows_silence_and_a_message_puts_it_off() {
        let start = super::Stamp::of(Instant::now()).instant();
        let mut pulse = Pulse::new(start);
        assert_eq!(pulse.take(&delivery(), start + 4 * SECOND), None);
        pulse.spoke(start + 4 * SECOND);
        assert_eq!(pulse.next(&delivery()), Some(start + 9 * SECOND));
        assert_eq!(pulse.take(&delivery(), start + 9 * SECOND), Some(Due::Keepalive));
        assert_eq!(pulse.take(&delivery(), start + 9 * SECOND), None);
    }

    #[test]
    fn a_silent_viewer_is_pinged_once_and_then_given_up() {
        let start = super::Stamp::of(Instant::now()).instant();
        let mut pulse = Pulse::new(start);
        let quiet = Delivery { keepalive: None, ..delivery() };
        assert_eq!(pulse.take(&quiet, start + 25 * SECOND), Some(Due::Ping));
        assert_eq!(pulse.take(&quiet, start + 26 * SECOND), None);
        assert_eq!(pulse.next(&quiet), Some(start + 45 * SECOND));
        assert!(matches!(pulse.take(&quiet, start + 45 * SECOND), Some(Due::Dead(_))));
        pulse.heard(start + 45 * SECOND);
        assert_eq!(pulse.take(&quiet, start + 46 * SECOND), None);
    }

    #[test]
    fn ticks_come_at_their_interval_and_missed_ones_are_dropped() {
        let start = super::Stamp::of(Instant::now()).instant();
        let mut pulse = Pulse::new(start);
        let quiet = Delivery { keepalive: None, ping: None, ..delivery() };
        pulse.pace(Some(10 * SECOND), 7, start);
        assert_eq!(pulse.take(&quiet, start + 9 * SECOND), None);
        assert_eq!(pulse.take(&quiet, start + 35 * SECOND), Some(Due::Tick));
        assert_eq!(pulse.next(&quiet), Some(start + 35 * SECOND));
        assert_eq!(pulse.take(&quiet, start + 35 * SECOND), Some(Due::Tick));
        assert_eq!(pulse.next(&quiet), Some(start + 45 * SECOND));
    }

    #[test]
    fn a_large_frame_that_does_not_move_ends_it() {
        let start = super::Stamp::of(Instant::now()).instant();
        let quiet = Delivery { keepalive: None, ping: None, ..delivery() };
        let mut pulse = Pulse::new(start);
        let at = |written| Some(Stuck { seq: 7, size: 900_000, written });
        pulse.stuck(at(10), start);
        pulse.stuck(at(10), start + 4 * SECOND);
        assert_eq!(pulse.next(&quiet), Some(start + 5 * SECOND));
        pulse.stuck(at(11), start + 4 * SECOND);
        assert_eq!(pulse.take(&quiet, start + 8 * SECOND), None);
        assert!(matches!(pulse.take(&quiet, start + 9 * SECOND), Some(Due::Dead(_))));
        pulse.stuck(None, start + 9 * SECOND);
        assert_eq!((pulse.next(&quiet), pulse.take(&quiet, start + 99 * SECOND)), (None, None));
    }

    #[test]
    fn a_close_that_is_not_answered_ends_it() {
        let start = super::Stamp::of(Instant::now()).instant();
        let mut pulse = Pulse::new(start);
        pulse.close(start);
        assert_eq!(pulse.take(&delivery(), start + SECOND), None);
        assert!(matches!(pulse.take(&delivery(), start + 2 * SECOND), Some(Due::Dead(_))));
    }
}
