//! The hub: every feed of the process, each with its one sequence, and the hand-off to each worker.
//!
//! Owns: giving sequence numbers, the feed's own log, the bounded hand-offs. Never: waits for a worker: one that does
//! not keep up copies the log instead (conflation is the log's own reading rule).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::envelope::Envelope;
use super::inlet::Rank;
use super::inlets::Inlets;
use super::log::{Bounds, Entry, Log};
use super::message::Message;
use super::normalize::{Dropped, Incoming, Normalizer, Outcome};
use super::notice::Notice;
use super::options::Options;
use super::pacer::Pacer;
use super::pointer::PointerError;
use super::select::FieldSets;
use super::standing::{Report, Speaker, Standing};
use crate::limits;
use crate::telemetry::FeedMeters;

/// All feeds, by name.
#[derive(Debug, Default)]
pub struct FeedHub {
    feeds: HashMap<String, Arc<Feed>>,
}

/// One feed.
#[derive(Debug)]
pub struct Feed {
    options: Options,
    normalizer: Normalizer,
    /// Tells this process's sequence from an earlier one's.
    boot: String,
    state: Mutex<State>,
    /// Something may wait for its `min_interval`.
    paced: Notify,
    field_sets: FieldSets,
    meters: FeedMeters,
    /// One of its sources is `publish`.
    publishes: bool,
    /// What `state.inlets` has come to, for who waits for a change.
    pub(super) report: watch::Sender<Report>,
}

#[derive(Debug)]
pub(super) struct State {
    log: Log,
    pub(super) pacer: Pacer,
    pub(super) inlets: Inlets,
    handoffs: Vec<Arc<Handoff>>,
}

/// What became of a message given to [`Feed::publish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It has this place in the sequence.
    At(u64),
    /// It waits for `min_interval`, unless a newer one takes its place.
    Held,
    Skipped(Dropped),
    /// It is the fallback's, and a source stands.
    Late,
}

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

impl FeedHub {
    #[must_use]
    pub fn new(feeds: impl IntoIterator<Item = Arc<Feed>>) -> FeedHub {
        FeedHub { feeds: feeds.into_iter().map(|feed| (feed.options.name.clone(), feed)).collect() }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Feed>> {
        self.feeds.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Feed>> {
        self.feeds.values()
    }
}

impl Feed {
    /// # Errors
    /// If the options' `key` or the `at` of a `skip` is no JSON Pointer.
    pub fn try_new(options: Options, publishes: bool, meters: FeedMeters) -> Result<Feed, PointerError> {
        let state = State {
            log: Log::new(Bounds::new(options.history, options.keys)),
            pacer: Pacer::new(options.min_interval, options.keys),
            inlets: Inlets::new(publishes, Instant::now()),
            handoffs: Vec::new(),
        };
        Ok(Feed {
            normalizer: Normalizer::new(&options.normalize)?,
            boot: format!("{:08x}", RandomState::new().hash_one(&options.name) as u32),
            report: watch::Sender::new(state.inlets.report()),
            state: Mutex::new(state),
            paced: Notify::new(),
            field_sets: FieldSets::default(),
            publishes,
            options,
            meters,
        })
    }

    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    #[must_use]
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Whether the admin listener may publish to it.
    #[must_use]
    pub fn takes_publications(&self) -> bool {
        self.publishes
    }

    #[must_use]
    pub fn field_sets(&self) -> &FieldSets {
        &self.field_sets
    }

    #[must_use]
    pub fn meters(&self) -> &FeedMeters {
        &self.meters
    }

    /// Normalises `message`, which someone publishes, and gives it to every follower.
    pub fn publish(&self, message: Incoming<'_>, received: Timestamp) -> Published {
        self.hear(Speaker::Publisher, message, received)
    }

    pub(super) fn normalize(&self, message: Incoming<'_>, received: Timestamp) -> Outcome {
        self.normalizer.normalize(message, received)
    }

    /// What it holds back is due at another time than before.
    pub(super) fn wake_pacer(&self) {
        self.paced.notify_one();
    }

    /// Releases what `min_interval` holds back, each when it is due; never ends.
    pub async fn run_pacer(&self) {
        loop {
            let due = self.lock().pacer.next_due();
            tokio::select! {
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let mut state = self.lock();
                    for (envelope, rank) in state.pacer.release(Instant::now()) {
                        state.append(envelope, rank);
                    }
                }
                () = self.paced.notified() => {}
            }
        }
    }

    /// A copy of the log as it is now, and a hand-off for all that comes after: no gap and no repeat between.
    #[must_use]
    pub fn follow(self: &Arc<Self>) -> Follower {
        let handoff = Arc::new(Handoff::default());
        let mut state = self.lock();
        state.handoffs.push(Arc::clone(&handoff));
        Follower { feed: Arc::clone(self), handoff, log: state.log.clone() }
    }

    /// The id of a message (`<boot>-<sequence>`), as SSE sends it.
    #[must_use]
    pub fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.boot)
    }

    /// The sequence number in `id`, where this process gave it. A worker's log may not have come to it yet.
    #[must_use]
    pub fn seq_of(&self, id: &str) -> Option<u64> {
        let (boot, seq) = id.trim().split_once('-')?;
        let seq = seq.parse().ok().filter(|_| boot == self.boot)?;
        (seq <= self.lock().log.head()).then_some(seq)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change; a poisoned feed would silence it for ever.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn append(&mut self, envelope: Envelope, rank: Rank) -> u64 {
        let seq = self.log.head() + 1;
        self.add(&Entry::Message(Arc::new(Message::new(seq, rank, envelope))));
        self.log.retire(limits::ENCODED_BYTES);
        seq
    }

    /// Tells viewers of a change.
    pub(super) fn note(&mut self, standing: Standing, at: Timestamp) {
        self.add(&Entry::Notice(Arc::new(Notice::new(self.log.head() + 1, standing, at))));
    }

    fn add(&mut self, entry: &Entry) {
        self.log.add(entry.clone());
        for handoff in &self.handoffs {
            handoff.push(entry);
        }
    }
}

impl Handoff {
    fn push(&self, entry: &Entry) {
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

impl Handoff {
    pub async fn arrived(&self) {
        self.arrived.notified().await;
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
