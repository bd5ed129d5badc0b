//! `min_interval`: at most one message a (type, key) in this time, the newest.
//!
//! Owns: which messages wait and until when. Never: reads a clock or holds more than `keys` messages.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::Instant;

use super::envelope::Envelope;
use super::inlet::Rank;

/// Holds back messages that come too soon after one of the same (type, key).
#[derive(Debug)]
pub struct Pacer {
    interval: Duration,
    keys: NonZeroUsize,
    lanes: HashMap<(Box<str>, Option<Box<str>>), Lane>,
}

#[derive(Debug)]
struct Lane {
    /// When the next message of this (type, key) may go.
    free: Instant,
    held: Option<Envelope>,
    /// Whose the newest message was.
    rank: Rank,
}

impl Pacer {
    #[must_use]
    pub fn new(interval: Duration, keys: NonZeroUsize) -> Pacer {
        Pacer { interval, keys, lanes: HashMap::new() }
    }

    /// Gives `envelope` back where it may go now, with any other that must go to make room; else holds it.
    pub fn offer(&mut self, envelope: Envelope, rank: Rank, now: Instant) -> Vec<(Envelope, Rank)> {
        if self.interval.is_zero() {
            return vec![(envelope, rank)];
        }
        let name = (Box::from(envelope.type_()), envelope.key().map(Box::from));
        let mut ready = Vec::new();
        if !self.lanes.contains_key(&name) && self.lanes.len() >= self.keys.get() {
            ready.extend(self.make_room(now));
        }
        let lane = self.lanes.entry(name).or_insert(Lane { free: now, held: None, rank });
        lane.rank = rank;
        if lane.free <= now && lane.held.is_none() {
            lane.free = now + self.interval;
            ready.push((envelope, rank));
        } else {
            lane.held = Some(envelope);
        }
        ready
    }

    /// What was held and may go now, in the order in which it became free.
    pub fn release(&mut self, now: Instant) -> Vec<(Envelope, Rank)> {
        let mut due: Vec<_> = self.lanes.values_mut().filter(|lane| lane.free <= now && lane.held.is_some()).collect();
        due.sort_by_key(|lane| lane.free);
        let free_again = now + self.interval;
        due.into_iter()
            .filter_map(|lane| {
                lane.free = free_again;
                lane.held.take().map(|envelope| (envelope, lane.rank))
            })
            .collect()
    }

    /// A source stands again: what the fallback said last is not to be told any more, and holds back nothing: the
    /// source's own is told at once, whatever the interval.
    pub fn forget_fallback(&mut self) {
        self.lanes.retain(|_, lane| lane.rank != Rank::Fallback);
    }

    /// When [`release`](Pacer::release) has something next.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.lanes.values().filter(|lane| lane.held.is_some()).map(|lane| lane.free).min()
    }

    /// Forgets the lanes that bind nobody any more, or else the one that is free first, whose message goes early.
    fn make_room(&mut self, now: Instant) -> Option<(Envelope, Rank)> {
        self.lanes.retain(|_, lane| lane.held.is_some() || lane.free > now);
        if self.lanes.len() < self.keys.get() {
            return None;
        }
        let name = self.lanes.iter().min_by_key(|(_, lane)| lane.free).map(|(name, _)| name.clone())?;
        let lane = self.lanes.remove(&name)?;
        lane.held.map(|envelope| (envelope, lane.rank))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::time::Instant;

    use super::{Pacer, Rank};
    use crate::feed::NormalizeOptions;
    use crate::feed::envelope::Envelope;
    use crate::feed::normalize::{Incoming, Normalizer, Outcome};

    fn envelope(data: u32) -> Envelope {
        let normalizer = Normalizer::new(&NormalizeOptions::default()).unwrap();
        match normalizer.normalize(Incoming::Text(&data.to_string()), Timestamp::UNIX_EPOCH) {
            Outcome::Keep(envelope) => envelope,
            Outcome::Skip(dropped) => panic!("{dropped:?}"),
        }
    }

    #[track_caller]
    fn check(ready: Vec<(Envelope, Rank)>, expected: &[(&str, Rank)]) {
        let ready: Vec<_> = ready.iter().map(|(envelope, rank)| (envelope.data().unwrap(), *rank)).collect();
        let ready: Vec<_> = ready.iter().map(|(data, rank)| (&**data, *rank)).collect();
        assert_eq!(ready, expected);
    }

    #[test]
    fn what_the_fallback_said_last_neither_comes_late_nor_holds_back_a_source() {
        let interval = Duration::from_secs(10);
        let start = Instant::now();
        let mut pacer = Pacer::new(interval, 10.try_into().unwrap());
        check(pacer.offer(envelope(1), Rank::Fallback, start), &[("1", Rank::Fallback)]);
        check(pacer.offer(envelope(2), Rank::Fallback, start), &[]);
        check(pacer.release(start + interval), &[("2", Rank::Fallback)]);
        check(pacer.offer(envelope(3), Rank::Fallback, start + interval), &[]);
        pacer.forget_fallback();
        assert_eq!(pacer.next_due(), None);
        check(pacer.offer(envelope(4), Rank::Source, start + interval), &[("4", Rank::Source)]);
        check(pacer.offer(envelope(5), Rank::Source, start + interval), &[]);
        pacer.forget_fallback();
        check(pacer.release(start + 2 * interval), &[("5", Rank::Source)]);
    }
}
