//! What a load's sockets did: how many are seated, how many units were done while it was measured, and how long each took.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use tokio::sync::Notify;

/// Shared by all sockets of a load, on one thread.
#[derive(Debug, Default)]
pub struct Tally {
    seated: Cell<usize>,
    measuring: Cell<bool>,
    /// Microseconds a unit.
    times: RefCell<Vec<u32>>,
    /// Wakes idle sockets, which then show that they still work.
    pub wake: Notify,
}

impl Tally {
    /// One more socket has had its first right answer.
    pub fn seat(&self) {
        self.seated.set(self.seated.get() + 1);
    }

    pub fn seated(&self) -> usize {
        self.seated.get()
    }

    /// One unit is done that began then.
    pub fn done(&self, began: Instant) {
        if self.measuring.get() {
            self.times.borrow_mut().push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }

    pub fn start(&self) {
        self.measuring.set(true);
    }

    /// Units done since [`Tally::start`].
    pub fn count(&self) -> usize {
        self.times.borrow().len()
    }

    /// The times of all units done since [`Tally::start`].
    pub fn stop(&self) -> Vec<u32> {
        self.measuring.set(false);
        self.times.take()
    }
}
