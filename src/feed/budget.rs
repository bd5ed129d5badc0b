//! What all branches of a process may hold together.
//!
//! Owns: the count of branches, of all and of those that one client began, and the bytes of their logs; [`Portion`] is one
//! branch's, given back on drop. Never: lets a log grow past its equal share once the bytes are used up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::admission::Whose;
use crate::limits;

/// The bounds on all branches together.
#[derive(Debug, Clone, Copy)]
pub struct Ceiling {
    pub branches: usize,
    /// Of those, begun by the same.
    pub per_client: usize,
    /// Of the messages in their logs.
    pub bytes: usize,
}

/// How much of its ceiling is used.
#[derive(Debug)]
pub struct Budget {
    ceiling: Ceiling,
    branches: AtomicUsize,
    bytes: AtomicUsize,
    /// How many branches each has begun that are there still: as many entries as branches at most.
    begun: Mutex<HashMap<Whose, usize>>,
}

/// One branch's part.
#[derive(Debug)]
pub struct Portion {
    budget: Arc<Budget>,
    /// Who has begun the branch; it counts as theirs also while others stay.
    whose: Whose,
    /// Bytes in its log.
    bytes: AtomicUsize,
}

/// Why another branch cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("this process holds as many branches of feeds as it may")]
    Branches,
    #[error("one client has begun as many branches of feeds as one may")]
    Client,
    #[error("the branches of feeds that there are hold as many bytes as they may")]
    Bytes,
    #[error("nothing fills branches of feeds any more")]
    Ended,
}

impl Default for Ceiling {
    fn default() -> Ceiling {
        Ceiling { branches: limits::BRANCHES, per_client: limits::BRANCHES_PER_CLIENT, bytes: limits::BRANCH_BYTES }
    }
}

impl Budget {
    #[must_use]
    pub fn new(ceiling: Ceiling) -> Budget {
        let (branches, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Budget { ceiling, branches, bytes, begun: Mutex::default() }
    }

    /// A place for one more branch, which this one begins.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(self: &Arc<Self>, whose: &Whose) -> Result<Portion, Full> {
        if self.bytes.load(Ordering::Relaxed) >= self.ceiling.bytes {
            return Err(Full::Bytes);
        }
        let mut begun = self.begun();
        let theirs = begun.get(whose).copied().unwrap_or_default();
        if theirs >= self.ceiling.per_client {
            return Err(Full::Client);
        }
        let more = |count: usize| (count < self.ceiling.branches).then_some(count + 1);
        self.branches.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| Full::Branches)?;
        begun.insert(whose.clone(), theirs + 1);
        drop(begun);
        Ok(Portion { budget: Arc::clone(self), whose: whose.clone(), bytes: AtomicUsize::new(0) })
    }

    /// A panic within leaves each number whole.
    fn begun(&self) -> MutexGuard<'_, HashMap<Whose, usize>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Portion {
    /// Bytes that the branch's log may hold now: its equal share where all are used up, else as many as any feed's.
    #[must_use]
    pub fn room(&self) -> usize {
        let Budget { ceiling, branches, bytes, .. } = &*self.budget;
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
        let mut begun = self.budget.begun();
        match begun.get_mut(&self.whose) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => _ = begun.remove(&self.whose),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Budget, Ceiling, Full};
    use crate::admission::Whose;
    use crate::limits;
    use crate::networks::Client;

    fn client(number: u32) -> Whose {
        Whose::Client(Client::V4(number))
    }

    #[test]
    fn there_is_no_more_room_than_the_ceiling_and_it_comes_back() {
        let budget = Arc::new(Budget::new(Ceiling { branches: 2, bytes: 100, ..Ceiling::default() }));
        let (one, other) = (budget.open(&client(1)).unwrap(), budget.open(&client(1)).unwrap());
        assert_eq!(budget.open(&client(1)).unwrap_err(), Full::Branches);
        drop(other);
        one.weigh(60);
        let other = budget.open(&client(1)).unwrap();
        other.weigh(40);
        drop(one);
        let one = budget.open(&client(1)).unwrap();
        one.weigh(60);
        drop(other);
        assert_eq!((one.room(), budget.open(&client(1)).map(drop)), (limits::LOG_BYTES, Ok(())));
        one.weigh(100);
        assert_eq!(budget.open(&client(1)).unwrap_err(), Full::Bytes);
        one.weigh(0);
        assert!(budget.open(&client(1)).is_ok());
    }

    #[test]
    fn past_the_ceiling_each_has_its_share() {
        let budget = Arc::new(Budget::new(Ceiling { branches: 9, bytes: 100, ..Ceiling::default() }));
        let both = [budget.open(&client(1)).unwrap(), budget.open(&client(1)).unwrap()];
        both[0].weigh(101);
        assert_eq!([both[0].room(), both[1].room()], [50, 50]);
        both[0].weigh(50);
        assert_eq!([both[0].room(), both[1].room()], [limits::LOG_BYTES; 2]);
    }

    #[test]
    fn one_client_leaves_room_for_others_and_gets_its_own_back() {
        let budget = Arc::new(Budget::new(Ceiling::default()));
        let held: Vec<_> = (0..limits::BRANCHES_PER_CLIENT).map(|_| budget.open(&client(1)).unwrap()).collect();
        assert_eq!(budget.open(&client(1)).unwrap_err(), Full::Client);
        let other = budget.open(&client(2)).expect("room for another");
        let mut held = held;
        held.pop();
        let again = budget.open(&client(1)).expect("one of its own has ended");
        assert_eq!(budget.open(&client(1)).unwrap_err(), Full::Client);
        drop((held, other, again));
        assert!(budget.begun().is_empty(), "nothing is kept of who has left");
    }
}
