//! What is to happen on a connection once hyper is done with it: the rest of an upgrade.
//!
//! Owns: one piece of work at most. Never: runs it; whoever drives the connection does, right after hyper has let its
//! buffers go, so that a crowd that upgrades at once does not hold all of theirs together.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A place for that work.
#[derive(Default)]
pub struct After(RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>);

impl After {
    /// Leaves `work` to be run.
    pub fn set(&self, work: impl Future<Output = ()> + 'static) {
        *self.0.borrow_mut() = Some(Box::pin(work));
    }

    /// Runs what was left.
    pub async fn run(&self) {
        let work = self.0.take();
        if let Some(work) = work {
            work.await;
        }
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("After").field("set", &self.0.borrow().is_some()).finish()
    }
}
