//! The hub: every feed of the process, each with its one sequence, and the hand-off to each worker.
//!
//! Owns: giving sequence numbers, the feed's own log, which feeds are whole and which are split. Never: waits for a
//! worker, or has two branches of a split feed share anything that holds a message.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::branch::{Branch, Key};
use super::branches::{Branches, Ceiling, Start, Starts};
use super::budget::{Budget, Portion};
use super::envelope::Envelope;
pub use super::handoff::{Follower, Handoff};
use super::inlet::Rank;
use super::inlets::Inlets;
use super::log::{Bounds, Entry, Log};
use super::message::Message;
use super::normalize::{Dropped, Incoming, Outcome};
use super::notice::Notice;
use super::options::Options;
use super::pacer::Pacer;
use super::plan::Plan;
use super::pointer::PointerError;
use super::select::FieldSets;
use super::standing::{Report, Speaker, Standing};
use crate::limits;
use crate::telemetry::FeedMeters;

/// All feeds, by name.
#[derive(Debug, Default)]
pub struct FeedHub {
    feeds: HashMap<String, Stem>,
    /// What all branches may hold, and who is asked to fill one.
    shared: Option<(Arc<Budget>, mpsc::Sender<Start>)>,
}

/// A feed of another config.
#[derive(Debug)]
pub enum Planned {
    /// The one of this name stays as it is, with its sequence, its log and its viewers.
    Kept(String),
    New(Box<Plan>),
}

/// A configured feed.
#[derive(Debug, Clone)]
pub enum Stem {
    /// One for all its viewers.
    Whole(Arc<Feed>),
    /// One for those of its viewers who have in common what `share` names.
    Split(Arc<Branches>),
}

/// One feed, or one branch of it.
#[derive(Debug)]
pub struct Feed {
    plan: Arc<Plan>,
    /// Tells this process's sequence from an earlier one's, and a branch's from another's.
    boot: String,
    state: Mutex<State>,
    /// Something may wait for its `min_interval`.
    paced: Notify,
    field_sets: FieldSets,
    /// What `state.inlets` has come to, for who waits for a change.
    pub(super) report: watch::Sender<Report>,
    /// Whose it is, where not everyone's.
    branch: Option<Branch>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) log: Log,
    pub(super) pacer: Pacer,
    pub(super) inlets: Inlets,
    pub(super) handoffs: Vec<Arc<Handoff>>,
    /// A branch's part of what all branches may hold.
    portion: Option<Arc<Portion>>,
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

impl FeedHub {
    /// The feeds as planned, and what asks to have branches of them filled.
    #[must_use]
    pub fn new(plans: impl IntoIterator<Item = Plan>) -> (FeedHub, Starts) {
        FeedHub::within(Ceiling::default(), plans)
    }

    /// As [`new`](FeedHub::new), with other bounds on all branches together.
    #[must_use]
    pub fn within(ceiling: Ceiling, plans: impl IntoIterator<Item = Plan>) -> (FeedHub, Starts) {
        let (ask, starts) = Starts::channel(ceiling);
        let shared = Some((Arc::new(Budget::new(ceiling)), ask));
        let none = FeedHub { feeds: HashMap::new(), shared };
        (none.after(plans.into_iter().map(|plan| Planned::New(Box::new(plan)))), starts)
    }

    /// The feeds of another config; nothing of `self` changes.
    #[must_use]
    pub fn after(&self, feeds: impl IntoIterator<Item = Planned>) -> FeedHub {
        let stem = |planned: Planned| match planned {
            Planned::Kept(name) => {
                let stem = self.feeds.get(&name)?.clone();
                Some((name, stem))
            }
            Planned::New(plan) => Some((plan.options().name.clone(), self.stem(Arc::new(*plan))?)),
        };
        FeedHub { feeds: feeds.into_iter().filter_map(stem).collect(), shared: self.shared.clone() }
    }

    fn stem(&self, plan: Arc<Plan>) -> Option<Stem> {
        if !plan.options().share.splits() {
            return Some(Stem::Whole(Arc::new(Feed::whole(plan))));
        }
        let (budget, ask) = self.shared.clone()?;
        Some(Stem::Split(Branches::new(plan, budget, ask)))
    }

    /// The feed called `name`, where it is one for all.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Feed>> {
        match self.feeds.get(name)? {
            Stem::Whole(feed) => Some(feed),
            Stem::Split(_) => None,
        }
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Stem> {
        self.feeds.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Stem)> {
        self.feeds.iter().map(|(name, stem)| (name.as_str(), stem))
    }
}

impl Stem {
    /// Whether it is one and the same feed, not only of the same name.
    #[must_use]
    pub fn is(&self, other: &Stem) -> bool {
        match (self, other) {
            (Stem::Whole(one), Stem::Whole(other)) => Arc::ptr_eq(one, other),
            (Stem::Split(one), Stem::Split(other)) => Arc::ptr_eq(one, other),
            (Stem::Whole(_), Stem::Split(_)) | (Stem::Split(_), Stem::Whole(_)) => false,
        }
    }
}

impl Feed {
    /// A feed that everyone shares.
    ///
    /// # Errors
    /// If the options' `key` or the `at` of a `skip` is no JSON Pointer.
    pub fn try_new(options: Options, publishes: bool, meters: FeedMeters) -> Result<Feed, PointerError> {
        Ok(Feed::whole(Arc::new(Plan::try_new(options, publishes, None, meters)?)))
    }

    fn whole(plan: Arc<Plan>) -> Feed {
        Feed::new(plan, None)
    }

    /// The branch of those who have `key` in common.
    pub(super) fn branch_of(plan: Arc<Plan>, key: Arc<Key>, portion: Portion) -> Feed {
        let branch = Branch::new(key, plan.forward().cloned(), portion);
        Feed::new(plan, Some(branch))
    }

    fn new(plan: Arc<Plan>, branch: Option<Branch>) -> Feed {
        let options = plan.options();
        let state = State {
            log: Log::new(Bounds::new(options.history, options.keys)),
            pacer: Pacer::new(options.min_interval, options.keys),
            inlets: Inlets::new(plan.publishes(), Instant::now()),
            handoffs: Vec::new(),
            portion: branch.as_ref().map(|branch| Arc::clone(branch.portion())),
        };
        Feed {
            boot: format!("{:08x}", RandomState::new().hash_one(&options.name) as u32),
            report: watch::Sender::new(state.inlets.report()),
            state: Mutex::new(state),
            paced: Notify::new(),
            field_sets: FieldSets::default(),
            plan,
            branch,
        }
    }

    #[must_use]
    pub fn options(&self) -> &Options {
        self.plan.options()
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan.options().name
    }

    #[must_use]
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Whether the admin listener may publish to it.
    #[must_use]
    pub fn takes_publications(&self) -> bool {
        self.plan.publishes()
    }

    #[must_use]
    pub fn field_sets(&self) -> &FieldSets {
        &self.field_sets
    }

    #[must_use]
    pub fn meters(&self) -> &FeedMeters {
        self.plan.meters()
    }

    /// Whose it is; `None` where everyone shares it.
    #[must_use]
    pub fn branch(&self) -> Option<&Branch> {
        self.branch.as_ref()
    }

    /// Normalises `message`, which someone publishes, and gives it to every follower.
    pub fn publish(&self, message: Incoming<'_>, received: Timestamp) -> Published {
        self.hear(Speaker::Publisher, message, received)
    }

    pub(super) fn normalize(&self, message: Incoming<'_>, received: Timestamp) -> Outcome {
        self.plan.normalizer().normalize(message, received)
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
        Follower::new(self, handoff, state.log.clone())
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

    /// Keeps a copy of the log within what this branch may hold at the moment.
    pub(super) fn bound(&self, log: &mut Log) {
        if let Some(branch) = &self.branch {
            log.bound_bytes(branch.portion().room());
        }
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
        if let Some(portion) = &self.portion {
            self.log.bound_bytes(portion.room());
            portion.weigh(self.log.bytes());
        }
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
