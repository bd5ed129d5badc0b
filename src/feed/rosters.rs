//! A worker's rosters: one for each feed that everyone shares, and one for each branch of a split feed that has viewers here.
//!
//! Owns: that a branch's roster begins with its first viewer here and outlives the last by the feed's `linger`, and the
//! branch with it. Never: has a viewer see another branch than its own; what finds a roster is the whole key.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::branch::Key;
use super::branches::{BranchPermit, Branches, Full};
use super::hub::{FeedHub, Stem};
use super::roster::{Roster, Scratch, Stay};
use crate::shutdown::Tasks;

/// All rosters of a worker, by their feeds' names.
#[derive(Debug)]
pub struct Rosters {
    feeds: HashMap<String, Place>,
    shared: Rc<Shared>,
}

/// Where the viewers of a feed sit.
#[derive(Debug)]
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
        let place = |(name, stem): (&str, &Stem)| {
            let place = match stem {
                Stem::Whole(feed) => {
                    let roster = Roster::new(feed, Rc::clone(&shared.scratch));
                    tasks.spawn_background(Rc::clone(&roster).run());
                    tasks.spawn_background(Rc::clone(&roster).keep_time());
                    Place::Whole(roster)
                }
                Stem::Split(branches) => Place::Split(Rc::new(Split {
                    branches: Arc::clone(branches),
                    rosters: RefCell::default(),
                    shared: Rc::clone(&shared),
                })),
            };
            (name.to_owned(), place)
        };
        Rosters { feeds: hub.iter().map(place).collect(), shared }
    }

    #[must_use]
    pub fn find(&self, feed: &str) -> Option<&Place> {
        self.feeds.get(feed)
    }

    /// Has every viewer leave in random order over `spread`, those that are still on their way included.
    pub fn drain(&self, spread: Duration) {
        self.shared.draining.set(Some(spread));
        for place in self.feeds.values() {
            match place {
                Place::Whole(roster) => self.shared.drain(roster, spread),
                Place::Split(split) => {
                    split.rosters.borrow().values().for_each(|roster| self.shared.drain(roster, spread));
                }
            }
        }
    }
}

impl Split {
    #[must_use]
    pub fn branches(&self) -> &Arc<Branches> {
        &self.branches
    }

    /// A viewer's place at the branch of those who have `key` in common.
    ///
    /// # Errors
    /// If that would be one branch too many.
    pub fn stay(self: &Rc<Self>, key: &Key) -> Result<Stay, Full> {
        if let Some(roster) = self.rosters.borrow().get(key) {
            return Ok(Stay::new(roster));
        }
        Ok(self.begin(self.branches.enter(key)?))
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
