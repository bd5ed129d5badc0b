//! Who is at a roster: each viewer's place there, given back on drop.
//!
//! Owns: counting them, and when the last one left. Never: serves one.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::Roster;
use crate::feed::tokens::Visit;
use crate::feed::viewer::Viewer;
use crate::ws::{CloseCode, close};

/// Someone is here, or about to be: a branch's roster does not end meanwhile.
#[derive(Debug)]
pub struct Stay(Rc<Roster>);

/// A pulling viewer, counted until dropped.
#[derive(Debug)]
pub struct PullPermit(Stay);

/// A viewer's place in its roster, given back on drop.
#[derive(Debug)]
pub struct Subscription {
    stay: Stay,
    viewer: Rc<Viewer>,
    slot: usize,
}

impl Roster {
    /// Counts a viewer that pulls.
    #[must_use]
    pub fn pull_permit(self: &Rc<Self>) -> PullPermit {
        self.feed.meters().viewers.inc();
        PullPermit(Stay::new(self))
    }

    /// Keeps the token of a viewer that does not stay until the next one's, or for as long as this roster is there.
    pub fn keep_passing(&self, visit: Visit) {
        *self.passing.borrow_mut() = Some(visit);
    }

    /// Completes when nobody has been here for `linger`.
    pub async fn abandoned(&self, linger: Duration) {
        loop {
            let due = self.emptied.get() + linger;
            if self.stays.get() > 0 {
                self.left.notified().await;
            } else if due <= Instant::now() {
                return;
            } else {
                tokio::time::sleep_until(due).await;
            }
        }
    }

    /// Seats a viewer on a raw socket.
    #[must_use]
    pub fn subscribe(self: &Rc<Self>, viewer: Viewer) -> Subscription {
        if self.draining.is_cancelled() {
            // Its upgrade was under way as the drain began, and it is not among those that leave in turn.
            viewer.close(CloseCode::RESTART, close::DRAINING, Instant::now());
        }
        let viewer = Rc::new(viewer);
        let slot = self.viewers.borrow_mut().insert(Rc::clone(&viewer));
        self.feed.meters().viewers.inc();
        let subscription = Subscription { stay: Stay::new(self), viewer, slot };
        subscription.rearm();
        subscription
    }
}

impl Subscription {
    #[must_use]
    pub fn viewer(&self) -> &Rc<Viewer> {
        &self.viewer
    }

    /// Looks at the viewer's deadlines again, after something may have brought one forward.
    pub fn rearm(&self) {
        self.stay.0.rearm(self.slot, &self.viewer);
    }

    pub fn with_scratch<T>(&self, size: usize, then: impl FnOnce(&mut [u8]) -> T) -> T {
        self.stay.0.with_scratch(size, then)
    }
}

impl Stay {
    #[must_use]
    pub fn new(roster: &Rc<Roster>) -> Stay {
        roster.stays.set(roster.stays.get() + 1);
        Stay(Rc::clone(roster))
    }

    #[must_use]
    pub fn roster(&self) -> &Rc<Roster> {
        &self.0
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let roster = &self.0;
        roster.stays.set(roster.stays.get() - 1);
        if roster.stays.get() == 0 {
            roster.emptied.set(Instant::now());
            roster.left.notify_one();
        }
    }
}

impl Drop for PullPermit {
    fn drop(&mut self) {
        self.0.0.feed.meters().viewers.dec();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let roster = &self.stay.0;
        roster.viewers.borrow_mut().remove(self.slot);
        roster.feed.meters().viewers.dec();
    }
}
