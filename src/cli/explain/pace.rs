//! `min_interval` over recorded times: which message would go at once, which wait, and which take another's place.
//!
//! Owns: a lane a (type, key), at most as many as the feed keeps. Never: reads a clock.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;

/// The lanes of one feed; the same rule as the feed's own.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    keys: NonZeroUsize,
    lanes: HashMap<(Box<str>, Option<Box<str>>), Lane>,
}

/// When a message would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paced {
    Now,
    /// At `until`, unless a newer one takes its place; it took that of the message on line `instead_of`.
    Held {
        until: Timestamp,
        instead_of: Option<u64>,
    },
}

#[derive(Debug)]
struct Lane {
    /// When the next message may go.
    free: Timestamp,
    /// The line of the message that waits for it.
    held: Option<u64>,
}

impl Pace {
    pub(super) fn new(interval: Duration, keys: NonZeroUsize) -> Pace {
        Pace { interval, keys, lanes: HashMap::new() }
    }

    /// What becomes of the message on `line`, which came at `at`.
    pub(super) fn offer(&mut self, type_: &str, key: Option<&str>, line: u64, at: Timestamp) -> Paced {
        if self.interval.is_zero() {
            return Paced::Now;
        }
        let name = (Box::from(type_), key.map(Box::from));
        if !self.lanes.contains_key(&name) && self.lanes.len() >= self.keys.get() {
            self.make_room(at);
        }
        let after = |time: Timestamp| time.checked_add(self.interval).unwrap_or(Timestamp::MAX);
        let lane = self.lanes.entry(name).or_insert(Lane { free: at, held: None });
        if lane.free <= at && lane.held.take().is_some() {
            // It has gone when it might.
            lane.free = after(lane.free);
        }
        if lane.free > at {
            return Paced::Held { until: lane.free, instead_of: lane.held.replace(line) };
        }
        lane.free = after(at);
        Paced::Now
    }

    /// Forgets the lanes that bind nobody any more, or else the one that is free first.
    fn make_room(&mut self, at: Timestamp) {
        self.lanes.retain(|_, lane| lane.held.is_some() || lane.free > at);
        if self.lanes.len() >= self.keys.get() {
            let first = self.lanes.iter().min_by_key(|(_, lane)| lane.free).map(|(name, _)| name.clone());
            first.map(|name| self.lanes.remove(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    /// Offers messages of type `a` or `b` at these milliseconds, with 100 ms between two; what became of each.
    #[track_caller]
    fn check(keys: usize, offers: &[(&str, i64)], expected: &[Paced]) {
        let mut pace = Pace::new(Duration::from_millis(100), NonZeroUsize::new(keys).unwrap());
        let became: Vec<_> =
            (1..).zip(offers).map(|(line, (type_, millis))| pace.offer(type_, None, line, at(*millis))).collect();
        assert_eq!(became, expected);
        assert!(pace.lanes.len() <= keys);
    }

    fn held(until: i64, instead_of: Option<u64>) -> Paced {
        Paced::Held { until: at(until), instead_of }
    }

    #[test]
    fn the_newest_within_the_interval_goes_at_its_end() {
        let offers = [("a", 0), ("a", 10), ("a", 90), ("b", 95), ("a", 150), ("a", 300)];
        let expected = [
            Paced::Now,
            held(100, None),
            held(100, Some(2)),
            Paced::Now,
            // The one on line 3 went at 100.
            held(200, None),
            // And that one at 200.
            Paced::Now,
        ];
        check(10, &offers, &expected);
    }

    #[test]
    fn lanes_are_bounded() {
        let offers = [("a", 0), ("b", 1), ("c", 2), ("c", 3), ("a", 4)];
        check(2, &offers, &[Paced::Now, Paced::Now, Paced::Now, held(102, None), Paced::Now]);
    }

    #[test]
    fn without_an_interval_all_go_at_once() {
        let mut pace = Pace::new(Duration::ZERO, NonZeroUsize::MIN);
        assert!((0..3).all(|line| pace.offer("a", None, line, at(0)) == Paced::Now));
        assert!(pace.lanes.is_empty());
    }
}
