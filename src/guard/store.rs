//! What a rate limiter remembers of its clients, bounded: one number each, [`limits::CLIENT_KEYS`] of them.
//!
//! Owns: what happens when it is full. Nobody known is forgotten for it, which would give a client that floods from many
//! addresses its whole rate again at each return to the first; those that are new share one client's rate instead (one a
//! shard). A timer forgets those that have their whole rate again.
//!
//! One store for all workers, so that a count holds whichever of them a connection was placed on: locks a shard, since a
//! look-up takes less time than a hand-over to another thread would.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

use crate::limits;
use crate::networks::Client;

/// The clients of one rate limiter.
#[derive(Debug)]
pub(super) struct Store {
    /// Which shard a client is in is nothing that a client can know.
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Debug, Default)]
struct Shard {
    known: HashMap<Client, Nanos>,
    /// Of all that came while `known` was full.
    others: Option<Nanos>,
}

/// Clients of one shard.
const ROOM: usize = limits::CLIENT_KEYS / limits::CLIENT_SHARDS;

impl Store {
    fn shard(&self, client: &Client) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(client);
        let place = usize::try_from(hash % self.shards.len() as u64).unwrap_or_default();
        lock(&self.shards[place])
    }
}

impl Default for Store {
    fn default() -> Store {
        let shards = (0..limits::CLIENT_SHARDS).map(|_| Mutex::default()).collect();
        Store { hasher: RandomState::new(), shards }
    }
}

impl StateStore for Store {
    type Key = Client;

    fn measure_and_replace<T, F, E>(&self, client: &Client, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(client);
        if let Some(state) = shard.known.get_mut(client) {
            let (outcome, next) = measure(Some(*state))?;
            *state = next;
            return Ok(outcome);
        }
        if shard.known.len() < ROOM {
            let (outcome, next) = measure(None)?;
            shard.known.insert(*client, next);
            return Ok(outcome);
        }
        let (outcome, next) = measure(shard.others)?;
        shard.others = Some(next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Client> for Store {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            let known = &mut lock(shard).known;
            known.retain(|_, state| *state >= drop_below);
            // A flood's memory is given back after it.
            if known.capacity() > 4 * known.len() {
                known.shrink_to(2 * known.len());
            }
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).known.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| lock(shard).known.is_empty())
    }
}

/// A panic within leaves each number whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
