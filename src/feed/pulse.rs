//! A viewer's pulse: when it was last spoken to and last heard, and what falls due from that.
//!
//! Owns: the deadlines of keepalive, ping, pong, paced delivery and close. Never: reads a clock or writes a byte.

use std::time::Duration;

use tokio::time::Instant;

use super::options::Delivery;
use super::outgoing::Stuck;
use crate::limits;

/// One viewer's deadlines.
#[derive(Debug)]
pub struct Pulse {
    spoken: Instant,
    heard: Instant,
    /// When the ping that is unanswered fell due.
    pinged: Option<Instant>,
    /// The next tick of `every`.
    tick: Option<(Instant, Duration)>,
    /// When the closing handshake began.
    closing: Option<Instant>,
    /// Where a large frame is stuck, and since when.
    stuck: Option<(Stuck, Instant)>,
}

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
        Pulse { spoken: now, heard: now, pinged: None, tick: None, closing: None, stuck: None }
    }

    pub fn spoke(&mut self, now: Instant) {
        self.spoken = now;
    }

    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    pub fn close(&mut self, now: Instant) {
        self.closing.get_or_insert(now);
    }

    /// A large frame that nobody else needs is stuck, or no longer. One that has moved has its time again.
    pub fn stuck(&mut self, at: Option<Stuck>, now: Instant) {
        if at != self.stuck.map(|(at, _)| at) {
            self.stuck = at.map(|at| (at, now));
        }
    }

    /// Sets or ends paced delivery; the first tick is one interval from now.
    pub fn pace(&mut self, every: Option<Duration>, now: Instant) {
        self.tick = every.map(|every| (now + every, every));
    }

    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.tick.is_some()
    }

    /// When [`take`](Pulse::take) has something next.
    #[must_use]
    pub fn next(&self, delivery: &Delivery) -> Option<Instant> {
        if let Some(since) = self.closing {
            return Some(since + limits::CLOSE_TIMEOUT);
        }
        let ping = delivery.ping.map(|ping| self.pinged.map_or(self.heard + ping, |at| at + delivery.pong_timeout));
        let keepalive = delivery.keepalive.map(|keepalive| self.spoken + keepalive);
        let stuck = self.stuck.map(|(_, since)| since + limits::LARGE_FRAME_STALL);
        [ping, keepalive, self.tick.map(|(at, _)| at), stuck].into_iter().flatten().min()
    }

    /// One thing that is due by `now`, until there is none.
    pub fn take(&mut self, delivery: &Delivery, now: Instant) -> Option<Due> {
        if let Some(since) = self.closing {
            return (since + limits::CLOSE_TIMEOUT <= now)
                .then_some(Due::Dead("the closing handshake was not finished"));
        }
        if self.stuck.is_some_and(|(_, since)| since + limits::LARGE_FRAME_STALL <= now) {
            return Some(Due::Dead("a large message made no progress"));
        }
        if let Some(at) = self.pinged {
            if at + delivery.pong_timeout <= now {
                return Some(Due::Dead("a ping stayed unanswered"));
            }
        } else if delivery.ping.is_some_and(|ping| self.heard + ping <= now) {
            self.pinged = Some(now);
            return Some(Due::Ping);
        }
        if let Some((at, every)) = self.tick
            && at <= now
        {
            // Ticks that were missed are not made up for.
            self.tick = Some((now.max(at + every), every));
            return Some(Due::Tick);
        }
        if delivery.keepalive.is_some_and(|keepalive| self.spoken + keepalive <= now) {
            self.spoken = now;
            return Some(Due::Keepalive);
        }
        None
    }
}

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
    fn a_keepalive_follows_silence_and_a_message_puts_it_off() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        assert_eq!(pulse.take(&delivery(), start + 4 * SECOND), None);
        pulse.spoke(start + 4 * SECOND);
        assert_eq!(pulse.next(&delivery()), Some(start + 9 * SECOND));
        assert_eq!(pulse.take(&delivery(), start + 9 * SECOND), Some(Due::Keepalive));
        assert_eq!(pulse.take(&delivery(), start + 9 * SECOND), None);
    }

    #[test]
    fn a_silent_viewer_is_pinged_once_and_then_given_up() {
        let start = Instant::now();
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
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        let quiet = Delivery { keepalive: None, ping: None, ..delivery() };
        pulse.pace(Some(10 * SECOND), start);
        assert_eq!(pulse.take(&quiet, start + 9 * SECOND), None);
        assert_eq!(pulse.take(&quiet, start + 35 * SECOND), Some(Due::Tick));
        assert_eq!(pulse.next(&quiet), Some(start + 35 * SECOND));
        assert_eq!(pulse.take(&quiet, start + 35 * SECOND), Some(Due::Tick));
        assert_eq!(pulse.next(&quiet), Some(start + 45 * SECOND));
    }

    #[test]
    fn a_large_frame_that_does_not_move_ends_it() {
        let start = Instant::now();
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
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        pulse.close(start);
        assert_eq!(pulse.take(&delivery(), start + SECOND), None);
        assert!(matches!(pulse.take(&delivery(), start + 2 * SECOND), Some(Due::Dead(_))));
    }
}
