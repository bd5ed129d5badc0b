//! A turn: how much of a log is read for one viewer before others of the worker have theirs.
//!
//! Owns: the count of what was passed, wanted or not. Never: waits; whoever reads goes on in its next turn.

use tokio::time::Instant;

use crate::limits;

/// One viewer's turn, at one moment.
#[derive(Debug)]
pub struct Turn {
    now: Instant,
    passed: usize,
}

/// How far a turn came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All of it is out.
    Done,
    /// The peer takes no more for now.
    Blocked,
    /// The turn is over, and there is more: it is to be gone on with after the others' turns.
    More,
}

impl Turn {
    #[must_use]
    pub fn at(now: Instant) -> Turn {
        Turn { now, passed: 0 }
    }

    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Counts one message; `false` where it is for the next turn.
    pub fn pass(&mut self) -> bool {
        let may = !self.is_over();
        self.passed += usize::from(may);
        may
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.passed >= limits::WALK_MESSAGES
    }

    /// Messages passed in it.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed
    }
}
