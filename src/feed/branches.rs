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
use crate::admission::Whose;
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

    /// The branch of those who have `key` in common, which begins here if nobody else is there, and is then `whose`.
    ///
    /// # Errors
    /// If it would be one too many.
    pub fn enter(self: &Arc<Self>, key: &Key, whose: &Whose) -> Result<BranchPermit, Full> {
        let mut live = self.lock();
        let permit = |feed: &Arc<Feed>| BranchPermit { branches: Arc::clone(self), feed: Arc::clone(feed) };
        if let Some(there) = live.get_mut(key) {
            there.count += 1;
            return Ok(permit(&there.feed));
        }
        let portion = self.budget.open(whose)?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::{BranchPermit, Branches, Ceiling, Full, Starts, Whose};
    use crate::feed::branch::{Key, Visitor};
    use crate::feed::hub::{Feed, FeedHub, Stem};
    use crate::feed::normalize::Incoming;
    use crate::feed::testing::{plan, somebody};
    use crate::feed::{Options, Share};

    const SHARE: Share = Share { path: false, query: true, subject: false };

    fn split(ceiling: Ceiling) -> (Arc<Branches>, Starts) {
        let options = Options { share: SHARE, history: 1000, ..Options::named("f") };
        let (hub, starts) = FeedHub::within(ceiling, [plan(options, None)]);
        let Some(Stem::Split(branches)) = hub.find("f") else { panic!("it is split") };
        (Arc::clone(branches), starts)
    }

    fn enter_as(branches: &Arc<Branches>, query: &str, whose: &Whose) -> Result<BranchPermit, Full> {
        let visitor = Visitor { route: &Arc::from("/f"), below: "", query, credential: None };
        branches.enter(&Key::of(SHARE, None, &visitor).unwrap(), whose)
    }

    fn enter(branches: &Arc<Branches>, query: &str) -> Result<BranchPermit, Full> {
        enter_as(branches, query, &somebody())
    }

    #[test]
    fn a_storm_of_viewers_from_all_workers_begins_a_branch_once() {
        let (branches, mut starts) = split(Ceiling::default());
        let storm = || (0..2500).map(|_| enter(&branches, "a=1").unwrap()).collect::<Vec<_>>();
        let viewers: Vec<_> = std::thread::scope(|scope| {
            let workers = [(); 4].map(|()| scope.spawn(storm));
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        let start = starts.0.try_recv().expect("a start");
        assert!(starts.0.try_recv().is_err() && viewers.len() == 10_000 && branches.count() == 1);
        assert!(viewers.iter().all(|viewer| Arc::ptr_eq(viewer.feed(), &start.feed)));
        let mut viewers = viewers;
        let last = viewers.pop();
        drop(viewers);
        assert!(!start.ended.is_cancelled());
        drop(last);
        assert!(start.ended.is_cancelled() && branches.count() == 0);
    }

    #[test]
    fn a_branch_too_many_is_refused_until_another_has_ended() {
        let (branches, mut starts) = split(Ceiling { branches: 2, bytes: 1000, ..Ceiling::default() });
        let (one, other) = (enter(&branches, "a=1").unwrap(), enter(&branches, "a=2").unwrap());
        assert_eq!(enter(&branches, "a=3").unwrap_err(), Full::Branches);
        let again = enter(&branches, "a=1").expect("it is there");
        assert!(Arc::ptr_eq(again.feed(), one.feed()));
        drop((one, again));
        assert_eq!(enter(&branches, "a=3").unwrap_err(), Full::Branches, "its sources may still run");
        drop(starts.0.try_recv());
        assert!(enter(&branches, "a=3").is_ok());
        drop(other);
    }

    #[test]
    fn a_client_that_has_begun_too_many_may_look_at_what_others_began() {
        let (branches, _starts) = split(Ceiling { per_client: 1, ..Ceiling::default() });
        let whose = |address: &str| Whose::of(None, address.parse().unwrap());
        let (one, other) = (whose("2001:db8::1"), whose("192.0.2.1"));
        let _held = [enter_as(&branches, "a=1", &one).unwrap(), enter_as(&branches, "a=2", &other).unwrap()];
        for address in ["2001:db8::1", "2001:db8::ffff"] {
            assert_eq!(enter_as(&branches, "a=3", &whose(address)).unwrap_err(), Full::Client);
        }
        assert!(enter_as(&branches, "a=2", &one).is_ok());
        assert!(enter_as(&branches, "a=3", &whose("192.0.2.2")).is_ok());
    }

    #[test]
    fn where_nobody_fills_branches_none_begins() {
        let (branches, starts) = split(Ceiling::default());
        drop(starts);
        assert_eq!(enter(&branches, "a=1").unwrap_err(), Full::Ended);
        assert_eq!(branches.count(), 0);
    }

    fn say(feed: &Feed, size: usize) {
        feed.publish(
            Incoming::Text(&format!(r#"{{"type":"n","data":"{}"}}"#, "x".repeat(size))),
            Timestamp::UNIX_EPOCH,
        );
    }

    #[test]
    fn logs_that_grow_past_what_all_may_hold_are_cut_and_the_newest_message_stays() {
        const BYTES: usize = 100_000;
        let (branches, _starts) = split(Ceiling { branches: 10, bytes: BYTES, ..Ceiling::default() });
        let viewers = ["a=1", "a=2", "a=3", "a=4"].map(|query| enter(&branches, query).unwrap());
        let mut followers = viewers.each_ref().map(|viewer| viewer.feed().follow());
        let held = || viewers.iter().map(|viewer| viewer.feed().lock().log.bytes()).sum::<usize>();
        let mut most = 0;
        for _ in 0..200 {
            for (viewer, follower) in viewers.iter().zip(&mut followers) {
                say(viewer.feed(), 1000);
                while follower.pull() > 0 {}
                assert!(follower.log().bytes() <= BYTES + 2000, "a worker's copy is bounded as well");
                most = most.max(held());
            }
        }
        assert!((BYTES..2 * BYTES).contains(&most), "{most}");
        say(viewers[0].feed(), 2 * BYTES);
        assert!(held() > 2 * BYTES && viewers[0].feed().lock().log.last_values().count() == 1);
        assert_eq!(enter(&branches, "a=5").unwrap_err(), Full::Bytes);
        drop((followers, viewers, _starts));
        let (_branches, _starts) = split(Ceiling { branches: 10, bytes: BYTES, ..Ceiling::default() });
        assert!(enter(&_branches, "a=5").is_ok());
    }
}
