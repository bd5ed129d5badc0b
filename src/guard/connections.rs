//! How many sockets and event streams may be open: of one client, of one subject, on one route.
//!
//! Owns: the counts, over all workers, and the permits, whose Drop gives a place back. A map has an entry only for who has
//! something open, so that the process's cap of connections bounds it. Never: counts what is answered and done.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::admission::{Place, Whose};

/// What is open, by whose it is. Behind one lock: a socket takes it twice in its life.
#[derive(Debug, Default)]
pub struct Counts(Mutex<HashMap<Whose, u32>>);

/// What is open on one route.
#[derive(Debug, Clone, Default)]
pub struct RouteCount(Arc<AtomicU32>);

/// One of [`Counts`], until dropped.
#[derive(Debug)]
pub struct CountPermit {
    counts: Arc<Counts>,
    whose: Whose,
}

/// One of a [`RouteCount`], until dropped.
#[derive(Debug)]
pub struct RoutePermit(RouteCount);

/// All that one socket holds.
#[derive(Debug, Default)]
pub struct Permits {
    pub client: Option<CountPermit>,
    pub subject: Option<CountPermit>,
    pub route: Option<RoutePermit>,
}

impl Place for Permits {}

impl Counts {
    /// One more of `whose`, unless there are `cap` already.
    #[must_use]
    pub fn take(self: &Arc<Self>, whose: Whose, cap: NonZeroU32) -> Option<CountPermit> {
        let mut open = self.lock();
        match open.get_mut(&whose) {
            Some(count) if *count >= cap.get() => return None,
            Some(count) => *count += 1,
            None => drop(open.insert(whose.clone(), 1)),
        }
        Some(CountPermit { counts: Arc::clone(self), whose })
    }

    /// How many clients and subjects have something open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A panic within leaves each number whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CountPermit {
    fn drop(&mut self) {
        let mut open = self.counts.lock();
        match open.get_mut(&self.whose) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                open.remove(&self.whose);
                // A storm's memory is given back after it; by halves, so that it is not looked at each time.
                if open.capacity() > 64 && open.capacity() > 8 * open.len() {
                    let half = open.capacity() / 2;
                    open.shrink_to(half);
                }
            }
        }
    }
}

impl RouteCount {
    /// One more, unless there are `cap` already.
    #[must_use]
    pub fn take(&self, cap: NonZeroU32) -> Option<RoutePermit> {
        let more = |open: u32| (open < cap.get()).then(|| open + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(RoutePermit(self.clone()))
    }

    #[must_use]
    pub fn open(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for RoutePermit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Counts, RouteCount, Whose};
    use crate::networks::Client;

    fn cap(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).unwrap()
    }

    /// The first half are clients, the others subjects.
    fn whose(number: u8) -> Whose {
        match number {
            0..8 => Whose::Client(Client::V4(number.into())),
            _ => Whose::Subject { auth: "viewers".into(), subject: number.to_string().into() },
        }
    }

    #[test]
    fn a_place_is_there_again_once_it_was_given_back() {
        let counts = Arc::new(Counts::default());
        let held: Vec<_> = (0..3).map(|_| counts.take(whose(1), cap(3)).expect("there is room")).collect();
        assert!(counts.take(whose(1), cap(3)).is_none());
        assert!(counts.take(whose(2), cap(3)).is_some());
        drop(held);
        assert!(counts.is_empty() && counts.take(whose(1), cap(3)).is_some());
    }

    #[test]
    fn the_same_subject_of_another_auth_is_another() {
        let counts = Arc::new(Counts::default());
        let of = |auth: &str| Whose::Subject { auth: auth.into(), subject: "ann".into() };
        let held = (counts.take(of("viewers"), cap(1)), counts.take(of("admins"), cap(1)));
        assert!(held.0.is_some() && held.1.is_some() && counts.take(of("admins"), cap(1)).is_none());
    }

    #[test]
    fn what_a_storm_took_in_memory_is_given_back() {
        let counts = Arc::new(Counts::default());
        let client = |number| Whose::Client(Client::V6(number));
        let held: Vec<_> = (0..10_000).map(|number| counts.take(client(number), cap(1))).collect();
        assert_eq!(counts.len(), 10_000);
        drop(held);
        let capacity = counts.lock().capacity();
        assert!(capacity <= 128, "{capacity}");
    }

    proptest! {
        #[test]
        fn permits_never_pass_their_cap_and_return_to_zero(
            steps in vec((any::<bool>(), 0u8..16, any::<prop::sample::Index>()), 0..300),
            most in 1u32..5,
        ) {
            let (counts, route) = (Arc::new(Counts::default()), RouteCount::default());
            let mut model: HashMap<Whose, u32> = HashMap::new();
            let mut held = Vec::new();
            for (comes, number, index) in steps {
                if comes {
                    let open = model.get(&whose(number)).copied().unwrap_or_default();
                    let room = route.open() < 8 * most;
                    let taken = route.take(cap(8 * most)).zip(counts.take(whose(number), cap(most)));
                    prop_assert_eq!(taken.is_some(), room && open < most);
                    if let Some(permits) = taken {
                        *model.entry(whose(number)).or_default() += 1;
                        held.push((number, permits));
                    }
                } else if !held.is_empty() {
                    let (number, permits) = held.swap_remove(index.index(held.len()));
                    drop(permits);
                    *model.get_mut(&whose(number)).unwrap() -= 1;
                }
                prop_assert_eq!(counts.len(), model.values().filter(|open| **open > 0).count());
                prop_assert_eq!(route.open() as usize, held.len());
            }
            drop(held);
            prop_assert!(counts.is_empty() && route.open() == 0);
        }
    }

    #[test]
    fn permits_taken_and_dropped_on_many_threads_return_to_zero() {
        let (counts, route) = (Arc::new(Counts::default()), RouteCount::default());
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let (counts, route) = (&counts, &route);
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for round in 0..2000u32 {
                        let number = (thread + u8::try_from(round % 5).unwrap()) % 16;
                        held.extend(counts.take(whose(number), cap(7)).zip(route.take(cap(20))));
                        assert!(route.open() <= 20);
                        if round % 3 == 0 || held.len() > 6 {
                            held.pop();
                        }
                    }
                });
            }
        });
        assert!(counts.is_empty() && route.open() == 0);
    }
}
