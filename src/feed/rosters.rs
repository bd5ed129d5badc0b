//! A worker's rosters: one for each feed that everyone shares, and one for each branch of a split feed that has viewers here.
//!
//! Owns: that a branch's roster begins with its first viewer here and outlives the last by the feed's `linger`, and the
//! branch with it. Never: has a viewer see another branch than its own; what finds a roster is the whole key.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::branch::Key;
use super::branches::{BranchPermit, Branches, Full};
use super::hub::{FeedHub, Stem};
use super::roster::{Roster, Scratch, Stay};
use crate::admission::Whose;
use crate::shutdown::Tasks;

/// All rosters of a worker, by their feeds' names.
#[derive(Debug)]
pub struct Rosters {
    feeds: HashMap<String, (Place, Keeper)>,
    shared: Rc<Shared>,
}

/// A roster for all follows its feed for as long as there is one of these, and then until its last viewer left.
type Keeper = Rc<DropGuard>;

/// Where the viewers of a feed sit.
#[derive(Debug, Clone)]
pub enum Place {
    Whole(Rc<Roster>),
    Split(Rc<Split>),
}

/// The branches of one feed that have viewers on this worker, or had some lately.
#[derive(Debug)]
pub struct Split {
    branches: Arc<Branches>,
    rosters: RefCell<HashMap<Arc<Key>, Rc<Roster>>>,
    shared: Rc<Shared>,
}

/// What rosters are made with.
#[derive(Debug)]
struct Shared {
    scratch: Scratch,
    tasks: Tasks,
    /// The drain's window, once it has begun.
    draining: Cell<Option<Duration>>,
}

/// A branch's roster is found until this is dropped.
#[derive(Debug)]
struct Listed {
    split: Rc<Split>,
    permit: BranchPermit,
}

impl Rosters {
    /// Takes up every feed of the hub; those that everyone shares are followed from here on.
    #[must_use]
    pub fn new(hub: &FeedHub, scratch: Scratch, tasks: &Tasks) -> Rosters {
        let shared = Rc::new(Shared { scratch, tasks: tasks.clone(), draining: Cell::new(None) });
        Rosters { feeds: HashMap::new(), shared }.after(hub)
    }

    /// As another config has them: the rosters of feeds that are still the same stay.
    #[must_use]
    pub fn after(&self, hub: &FeedHub) -> Rosters {
        let place = |(name, stem): (&str, &Stem)| {
            let same = self.feeds.get(name).filter(|(place, _)| place.is_of(stem)).cloned();
            (name.to_owned(), same.unwrap_or_else(|| self.shared.place(stem)))
        };
        Rosters { feeds: hub.iter().map(place).collect(), shared: Rc::clone(&self.shared) }
    }

    #[must_use]
    pub fn find(&self, feed: &str) -> Option<&Place> {
        self.feeds.get(feed).map(|(place, _)| place)
    }

    /// Has every viewer leave in random order over `spread`, those that are still on their way included.
    pub fn drain(&self, spread: Duration) {
        self.shared.draining.set(Some(spread));
        for (place, _) in self.feeds.values() {
            match place {
                Place::Whole(roster) => self.shared.drain(roster, spread),
                Place::Split(split) => {
                    split.rosters.borrow().values().for_each(|roster| self.shared.drain(roster, spread));
                }
            }
        }
    }
}

impl Place {
    fn is_of(&self, stem: &Stem) -> bool {
        match (self, stem) {
            (Place::Whole(roster), Stem::Whole(feed)) => Arc::ptr_eq(roster.feed(), feed),
            (Place::Split(split), Stem::Split(branches)) => Arc::ptr_eq(&split.branches, branches),
            (Place::Whole(_), Stem::Split(_)) | (Place::Split(_), Stem::Whole(_)) => false,
        }
    }
}

impl Split {
    #[must_use]
    pub fn branches(&self) -> &Arc<Branches> {
        &self.branches
    }

    /// A viewer's place at the branch of those who have `key` in common; one that begins with it is `whose`.
    ///
    /// # Errors
    /// If that would be one branch too many.
    pub fn stay(self: &Rc<Self>, key: &Key, whose: &Whose) -> Result<Stay, Full> {
        if let Some(roster) = self.rosters.borrow().get(key) {
            return Ok(Stay::new(roster));
        }
        Ok(self.begin(self.branches.enter(key, whose)?))
    }

    /// How many rosters there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rosters.borrow().len()
    }

    fn begin(self: &Rc<Self>, permit: BranchPermit) -> Stay {
        let roster = Roster::new(permit.feed(), Rc::clone(&self.shared.scratch));
        // Before it can be found abandoned.
        let stay = Stay::new(&roster);
        if let Some(branch) = permit.feed().branch() {
            self.rosters.borrow_mut().insert(Arc::clone(branch.key()), Rc::clone(&roster));
        }
        let linger = self.branches.plan().options().linger;
        let listed = Listed { split: Rc::clone(self), permit };
        if let Some(spread) = self.shared.draining.get() {
            self.shared.drain(&roster, spread);
        }
        self.shared.tasks.spawn_background(async move {
            let _listed = listed;
            tokio::select! {
                () = Rc::clone(&roster).run() => {}
                () = Rc::clone(&roster).keep_time() => {}
                () = roster.abandoned(linger) => {}
            }
        });
        stay
    }
}

impl Shared {
    fn place(self: &Rc<Self>, stem: &Stem) -> (Place, Keeper) {
        let token = CancellationToken::new();
        let place = match stem {
            Stem::Whole(feed) => {
                let roster = Roster::new(feed, Rc::clone(&self.scratch));
                let running = [
                    self.tasks.spawn_running(Rc::clone(&roster).run()),
                    self.tasks.spawn_running(Rc::clone(&roster).keep_time()),
                ];
                let (there, released) = (Rc::clone(&roster), token.clone());
                self.tasks.spawn_background(async move {
                    released.cancelled().await;
                    // Whoever comes from now on was on the way before.
                    there.abandoned(Duration::ZERO).await;
                    drop(running);
                });
                Place::Whole(roster)
            }
            Stem::Split(branches) => Place::Split(Rc::new(Split {
                branches: Arc::clone(branches),
                rosters: RefCell::default(),
                shared: Rc::clone(self),
            })),
        };
        (place, Rc::new(token.drop_guard()))
    }

    fn drain(&self, roster: &Rc<Roster>, spread: Duration) {
        self.tasks.spawn_background(Rc::clone(roster).drain(spread));
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(branch) = self.permit.feed().branch() {
            self.split.rosters.borrow_mut().remove(branch.key());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::FutureExt;
    use jiff::Timestamp;
    use tokio::time::sleep;

    use super::{Place, Rosters, Split};
    use crate::feed::branch::{Forward, Key, Visitor};
    use crate::feed::hub::{Feed, FeedHub};
    use crate::feed::inlet::{Bearer, Inlet, Rank};
    use crate::feed::normalize::Incoming;
    use crate::feed::plan::Plan;
    use crate::feed::roster::Stay;
    use crate::feed::testing::{credential, on_worker, plan, somebody};
    use crate::feed::tokens::Visit;
    use crate::feed::{Options, Share};
    use crate::shutdown::{Stages, Tasks};
    use crate::telemetry::Metrics;

    const SHARE: Share = Share { path: false, query: true, subject: false };
    const SECOND: Duration = Duration::from_secs(1);
    const LINGER: Duration = Duration::from_secs(10);

    /// What fills branches: each is told one number, how many were begun before it.
    #[derive(Default)]
    struct Dials {
        made: Cell<usize>,
        open: Cell<usize>,
    }

    struct Dial(Rc<Dials>);

    impl Drop for Dial {
        fn drop(&mut self) {
            self.0.open.set(self.0.open.get() - 1);
        }
    }

    impl Dials {
        async fn fill(self: Rc<Self>, feed: Arc<Feed>) {
            self.open.set(self.open.get() + 1);
            let number = self.made.replace(self.made.get() + 1);
            let _dial = Dial(Rc::clone(&self));
            let inlet = Inlet::new(&feed, Rank::Source);
            inlet.publish(Incoming::Text(&number.to_string()), Timestamp::UNIX_EPOCH);
            std::future::pending().await
        }
    }

    fn options() -> Options {
        Options { share: SHARE, linger: LINGER, ..Options::named("f") }
    }

    /// Workers with one split feed, and what fills it.
    fn workers<const N: usize>(plan: Plan) -> ([Rosters; N], Rc<Dials>) {
        let tasks = Tasks::new(Stages::default());
        let (hub, starts) = FeedHub::new([plan]);
        let dials = Rc::new(Dials::default());
        let (filling, own_tasks) = (Rc::clone(&dials), tasks.clone());
        tasks.spawn_background(async move { starts.run(own_tasks, move |feed| Rc::clone(&filling).fill(feed)).await });
        let worker = |_| Rosters::new(&hub, Rc::new(RefCell::new(vec![0; 16].into())), &tasks);
        (std::array::from_fn(worker), dials)
    }

    fn split(rosters: &Rosters) -> &Rc<Split> {
        match rosters.find("f") {
            Some(Place::Split(split)) => split,
            Some(Place::Whole(_)) | None => panic!("it is split"),
        }
    }

    fn come(rosters: &Rosters, query: &str) -> Stay {
        let visitor = Visitor { route: &Arc::from("/f"), below: "", query, credential: None };
        split(rosters).stay(&Key::of(SHARE, None, &visitor).unwrap(), &somebody()).unwrap()
    }

    fn head(stay: &Stay) -> u64 {
        stay.roster().log().head()
    }

    #[test]
    fn a_branch_outlives_its_last_viewer_by_its_linger_and_who_comes_back_finds_its_values() {
        on_worker(async {
            let ([rosters], dials) = workers(plan(options(), None));
            let stay = come(&rosters, "a=1");
            assert_eq!(head(&stay), 0, "nothing is made up before the first value");
            sleep(SECOND).await;
            let id = stay.roster().feed().id(1);
            assert_eq!((head(&stay), dials.open.get()), (1, 1));
            for _ in 0..3 {
                drop(come(&rosters, "a=1"));
                sleep(20 * SECOND).await;
            }
            drop(stay);
            sleep(9 * SECOND).await;
            let back = come(&rosters, "a=1");
            assert_eq!((head(&back), back.roster().feed().id(1), dials.made.get()), (1, id.clone(), 1));
            drop(back);
            sleep(9 * SECOND).await;
            assert_eq!((dials.open.get(), split(&rosters).count()), (1, 1));
            sleep(2 * SECOND).await;
            assert_eq!((dials.open.get(), split(&rosters).count(), split(&rosters).branches().count()), (0, 0, 0));
            let anew = come(&rosters, "a=1");
            assert_ne!(anew.roster().feed().id(1), id);
            sleep(SECOND).await;
            assert_eq!((head(&anew), dials.made.get()), (1, 2));
        });
    }

    #[test]
    fn a_branch_is_one_on_all_workers_and_ends_with_the_last_that_has_viewers() {
        on_worker(async {
            let ([one, other], dials) = workers(plan(options(), None));
            let (first, second) = (come(&one, "a=1&b=2"), come(&other, "b=2&a=1"));
            assert!(Arc::ptr_eq(first.roster().feed(), second.roster().feed()));
            drop(first);
            sleep(11 * SECOND).await;
            assert_eq!((split(&one).count(), split(&other).count(), dials.open.get()), (0, 1, 1));
            drop(second);
            sleep(11 * SECOND).await;
            assert_eq!((split(&other).count(), dials.open.get(), dials.made.get()), (0, 0, 1));
        });
    }

    #[test]
    fn without_a_linger_a_branch_ends_with_its_last_viewer_and_not_before() {
        on_worker(async {
            let ([rosters], dials) = workers(plan(Options { linger: Duration::ZERO, ..options() }, None));
            let stay = come(&rosters, "");
            sleep(60 * SECOND).await;
            assert_eq!((head(&stay), dials.open.get()), (1, 1));
            drop(stay);
            sleep(Duration::from_millis(1)).await;
            assert_eq!((dials.open.get(), split(&rosters).count()), (0, 0));
        });
    }

    #[test]
    fn ten_thousand_viewers_cause_one_dial_and_are_counted_with_those_of_other_branches() {
        on_worker(async {
            let metrics = Metrics::new();
            let plan = Plan::try_new(options(), false, None, metrics.feed("f")).unwrap();
            let ([one, other], dials) = workers(plan);
            let viewer = |number: usize| {
                come(if number.is_multiple_of(2) { &one } else { &other }, "a=1").roster().pull_permit()
            };
            let crowd: Vec<_> = (0..10_000).map(viewer).collect();
            let five: Vec<_> = (0..5).map(|number| come(&one, &format!("b={number}")).roster().pull_permit()).collect();
            sleep(SECOND).await;
            assert_eq!(dials.made.get(), 6);
            let viewers = |count| metrics.text().contains(&format!("steadfeed_feed_viewers{{feed=\"f\"}} {count}\n"));
            assert!(viewers(10_005), "{}", metrics.text());
            drop(crowd);
            assert!(viewers(5));
            sleep(11 * SECOND).await;
            assert_eq!((dials.open.get(), five.len()), (5, 5));
        });
    }

    #[test]
    fn a_drain_reaches_the_viewers_of_branches_and_those_still_on_their_way() {
        on_worker(async {
            let ([rosters], _dials) = workers(plan(options(), None));
            let before = come(&rosters, "a=1");
            assert!(before.roster().draining().now_or_never().is_none());
            rosters.drain(5 * SECOND);
            let after = come(&rosters, "a=2");
            sleep(Duration::from_millis(1)).await;
            for stay in [before, after] {
                stay.roster().draining().await;
                assert!(stay.roster().turn_to_leave() <= tokio::time::Instant::now() + 5 * SECOND);
            }
        });
    }

    #[test]
    fn the_token_of_a_viewer_that_does_not_stay_serves_while_its_branch_lingers() {
        on_worker(async {
            let share = Share { subject: true, ..Share::default() };
            let ([rosters], _dials) = workers(plan(Options { share, ..options() }, Some(Forward::Header)));
            let ann = credential("v", "ann", "t", 32_000_000_000);
            let visitor = Visitor { route: &Arc::from("/f"), below: "", query: "", credential: Some(&ann) };
            let stay = split(&rosters).stay(&Key::of(share, None, &visitor).unwrap(), &somebody()).unwrap();
            let inlet = Inlet::new(stay.roster().feed(), Rank::Source);
            stay.roster().keep_passing(Visit::pay(stay.roster().feed(), &ann).unwrap());
            drop(stay);
            sleep(9 * SECOND).await;
            assert!(matches!(inlet.bearer(), Bearer::Header(_)));
            sleep(2 * SECOND).await;
            assert_eq!(inlet.bearer(), Bearer::Missing);
        });
    }
}
