//! What all branches of a process may hold together.
//!
//! Owns: the count of branches and the bytes of their logs; [`Portion`] is one branch's, given back on drop. Never: lets a
//! log grow past its equal share once the bytes are used up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits;

/// The bounds on all branches together.
#[derive(Debug, Clone, Copy)]
pub struct Ceiling {
    pub branches: usize,
    /// Of the messages in their logs.
    pub bytes: usize,
}

/// How much of its ceiling is used.
#[derive(Debug)]
pub struct Budget {
    ceiling: Ceiling,
    branches: AtomicUsize,
    bytes: AtomicUsize,
}

/// One branch's part.
#[derive(Debug)]
pub struct Portion {
    budget: Arc<Budget>,
    /// Bytes in its log.
    bytes: AtomicUsize,
}

/// Why another branch cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("this process holds as many branches of feeds as it may")]
    Branches,
    #[error("the branches of feeds that there are hold as many bytes as they may")]
    Bytes,
    #[error("nothing fills branches of feeds any more")]
    Ended,
}

impl Default for Ceiling {
    fn default() -> Ceiling {
        Ceiling { branches: limits::BRANCHES, bytes: limits::BRANCH_BYTES }
    }
}

impl Budget {
    #[must_use]
    pub fn new(ceiling: Ceiling) -> Budget {
        Budget { ceiling, branches: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// A place for one more branch.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(self: &Arc<Self>) -> Result<Portion, Full> {
        if self.bytes.load(Ordering::Relaxed) >= self.ceiling.bytes {
            return Err(Full::Bytes);
        }
        let more = |count: usize| (count < self.ceiling.branches).then_some(count + 1);
        self.branches.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| Full::Branches)?;
        Ok(Portion { budget: Arc::clone(self), bytes: AtomicUsize::new(0) })
    }
}

impl Portion {
    /// Bytes that the branch's log may hold now: its equal share where all are used up, else as many as any feed's.
    #[must_use]
    pub fn room(&self) -> usize {
        let Budget { ceiling, branches, bytes } = &*self.budget;
        if bytes.load(Ordering::Relaxed) <= ceiling.bytes {
            return limits::LOG_BYTES;
        }
        (ceiling.bytes / branches.load(Ordering::Relaxed).max(1)).min(limits::LOG_BYTES)
    }

    /// The log holds this many bytes now. To be told of one change after the other.
    pub fn weigh(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        if bytes >= before {
            self.budget.bytes.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            self.budget.bytes.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        self.weigh(0);
        self.budget.branches.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Budget, Ceiling, Full};
    use crate::limits;

    #[test]
    fn there_is_no_more_room_than_the_ceiling_and_it_comes_back() {
        let budget = Arc::new(Budget::new(Ceiling { branches: 2, bytes: 100 }));
        let (one, other) = (budget.open().unwrap(), budget.open().unwrap());
        assert_eq!(budget.open().unwrap_err(), Full::Branches);
        drop(other);
        one.weigh(60);
        let other = budget.open().unwrap();
        other.weigh(40);
        drop(one);
        let one = budget.open().unwrap();
        one.weigh(60);
        drop(other);
        assert_eq!((one.room(), budget.open().map(drop)), (limits::LOG_BYTES, Ok(())));
        one.weigh(100);
        assert_eq!(budget.open().unwrap_err(), Full::Bytes);
        one.weigh(0);
        assert!(budget.open().is_ok());
    }

    #[test]
    fn past_the_ceiling_each_has_its_share() {
        let budget = Arc::new(Budget::new(Ceiling { branches: 9, bytes: 100 }));
        let both = [budget.open().unwrap(), budget.open().unwrap()];
        both[0].weigh(101);
        assert_eq!([both[0].room(), both[1].room()], [50, 50]);
        both[0].weigh(50);
        assert_eq!([both[0].room(), both[1].room()], [limits::LOG_BYTES; 2]);
    }
}
