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

    /// A source stands again: what the fallback said last is not to be told any more, and holds back nothing.
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
