//! The branches of one split feed: each begins with who comes first, and ends with who leaves last.
//!
//! Owns: that there is one of each at a time, and who is there. Never: waits for viewers to come back; whoever enters stays
//! for as long as that ([`Rosters`](super::rosters::Rosters) do).

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::branch::Key;
pub use super::budget::{Budget, Ceiling, Full};
use super::hub::Feed;
use super::plan::Plan;
use crate::shutdown::Tasks;

/// All branches of one feed that there are now.
#[derive(Debug)]
pub struct Branches {
    plan: Arc<Plan>,
    budget: Arc<Budget>,
    ask: mpsc::Sender<Start>,
    live: Mutex<HashMap<Arc<Key>, Live>>,
}

#[derive(Debug)]
struct Live {
    feed: Arc<Feed>,
    /// Permits given out.
    count: usize,
    ended: CancellationToken,
}

/// A branch does not end before this is dropped.
#[derive(Debug)]
pub struct BranchPermit {
    branches: Arc<Branches>,
    feed: Arc<Feed>,
}

/// Branches that are to be filled.
#[derive(Debug)]
pub struct Starts(mpsc::Receiver<Start>);

/// One of them.
#[derive(Debug)]
pub(super) struct Start {
    feed: Arc<Feed>,
    ended: CancellationToken,
}

impl Branches {
    pub(super) fn new(plan: Arc<Plan>, budget: Arc<Budget>, ask: mpsc::Sender<Start>) -> Arc<Branches> {
        Arc::new(Branches { plan, budget, ask, live: Mutex::default() })
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The branch of those who have `key` in common, which begins here if nobody else is there.
    ///
    /// # Errors
    /// If it would be one too many.
    pub fn enter(self: &Arc<Self>, key: &Key) -> Result<BranchPermit, Full> {
        let mut live = self.lock();
        let permit = |feed: &Arc<Feed>| BranchPermit { branches: Arc::clone(self), feed: Arc::clone(feed) };
        if let Some(there) = live.get_mut(key) {
            there.count += 1;
            return Ok(permit(&there.feed));
        }
        let portion = self.budget.open()?;
        let key = Arc::new(key.clone());
        let feed = Arc::new(Feed::branch_of(Arc::clone(&self.plan), Arc::clone(&key), portion));
        let ended = CancellationToken::new();
        let start = Start { feed: Arc::clone(&feed), ended: ended.clone() };
        self.ask.try_send(start).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Full::Branches,
            mpsc::error::TrySendError::Closed(_) => Full::Ended,
        })?;
        let entered = permit(&feed);
        live.insert(key, Live { feed, count: 1, ended });
        Ok(entered)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn leave(&self, feed: &Feed) {
        let Some(branch) = feed.branch() else { return };
        let mut live = self.lock();
        let Some(there) = live.get_mut(branch.key()) else { return };
        there.count -= 1;
        if there.count > 0 {
            return;
        }
        let gone = live.remove(branch.key());
        drop(live);
        if let Some(gone) = gone {
            gone.ended.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<Key>, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BranchPermit {
    #[must_use]
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }
}

impl Drop for BranchPermit {
    fn drop(&mut self) {
        self.branches.leave(&self.feed);
    }
}

impl Starts {
    /// As many may wait as there may be branches: none is refused for want of a place here.
    pub(super) fn channel(ceiling: Ceiling) -> (mpsc::Sender<Start>, Starts) {
        let (ask, starts) = mpsc::channel(ceiling.branches.max(1));
        (ask, Starts(starts))
    }

    /// Runs what `fill` gives for each branch, until that has ended; never ends while there are feeds that split.
    pub async fn run<F>(mut self, tasks: Tasks, mut fill: impl FnMut(Arc<Feed>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        while let Some(Start { feed, ended }) = self.0.recv().await {
            if ended.is_cancelled() {
                continue;
            }
            let filling = fill(feed);
            tasks.spawn_background(async move {
                tokio::select! {
                    biased;
                    () = ended.cancelled() => {}
                    () = filling => {}
                }
            });
        }
    }
}
