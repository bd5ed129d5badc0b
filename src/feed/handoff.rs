//! How a feed's messages reach those who follow it on other threads: a bounded hand-off, and a copy of the log.
//!
//! Owns: what is on its way to one follower. Never: makes the feed wait; a follower that does not keep up copies the
//! feed's log instead (conflation is the log's own reading rule).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::hub::Feed;
use super::log::{Entry, Log};
use crate::limits;

/// Messages on their way to one follower, bounded in number and bytes.
#[derive(Debug, Default)]
pub struct Handoff {
    pending: Mutex<Pending>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    queue: VecDeque<Entry>,
    bytes: usize,
    overrun: bool,
}

/// A copy of a feed's log that follows it: a worker's, or a source's that watches another feed.
#[derive(Debug)]
pub struct Follower {
    feed: Arc<Feed>,
    handoff: Arc<Handoff>,
    log: Log,
}

impl Handoff {
    /// Completes when something may have come.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub(super) fn push(&self, entry: &Entry) {
        let mut pending = self.lock();
        let bytes = entry.size();
        if pending.queue.len() >= limits::HANDOFF_MESSAGES || pending.bytes + bytes > limits::HANDOFF_BYTES {
            *pending = Pending { overrun: true, ..Pending::default() };
        }
        if !pending.overrun {
            pending.bytes += bytes;
            pending.queue.push_back(entry.clone());
        }
        drop(pending);
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    pub(super) fn new(feed: &Arc<Feed>, handoff: Arc<Handoff>, log: Log) -> Follower {
        Follower { feed: Arc::clone(feed), handoff, log }
    }

    #[must_use]
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Completes when there may be something to [`pull`](Follower::pull).
    #[must_use]
    pub fn handoff(&self) -> Arc<Handoff> {
        Arc::clone(&self.handoff)
    }

    /// Takes over a few of the messages handed off, never so many that a reader at the head would fall behind, or need
    /// more than one turn.
    /// Gives how far the head moved.
    pub fn pull(&mut self) -> u64 {
        let before = self.log.head();
        let mut pending = self.handoff.lock();
        if pending.overrun {
            *pending = Pending::default();
            drop(pending);
            let ahead = self.feed.lock().log.clone();
            self.log.jump_to(ahead);
            return self.log.head() - before;
        }
        self.feed.bound(&mut self.log);
        let mut room = self.log.chunk().min(limits::WALK_MESSAGES);
        while room > 0 {
            let Some(entry) = pending.queue.pop_front() else { break };
            pending.bytes -= entry.size();
            // What came with a copy of the log is handed off a second time: it must not pass for the end of the queue.
            room -= usize::from(entry.seq() > self.log.head());
            self.log.add(entry);
        }
        self.log.head() - before
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.feed.lock().handoffs.retain(|handoff| !Arc::ptr_eq(handoff, &self.handoff));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::Feed;
    use crate::feed::normalize::Incoming;
    use crate::feed::options::Options;
    use crate::limits;
    use crate::telemetry::Metrics;

    fn publish(feed: &Feed, count: usize) {
        for _ in 0..count {
            feed.publish(Incoming::Text("1"), Timestamp::UNIX_EPOCH);
        }
    }

    #[test]
    fn what_is_handed_off_a_second_time_does_not_hide_what_comes_after_it() {
        let options = Options { history: 1, ..Options::named("f") };
        let feed = Arc::new(Feed::try_new(options, true, Metrics::new().feed("f")).unwrap());
        let mut follower = feed.follow();
        publish(&feed, limits::HANDOFF_MESSAGES + 1);
        assert!(follower.handoff.lock().overrun);
        // As if these had come between seeing the overrun and copying the log.
        *follower.handoff.lock() = super::Pending::default();
        publish(&feed, 3);
        follower.log = feed.lock().log.clone();
        publish(&feed, 1);
        let head = feed.lock().log.head();
        assert_eq!((follower.pull(), follower.log().head()), (1, head));
        assert_eq!(follower.pull(), 0);
    }
}
