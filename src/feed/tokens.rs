//! The tokens with which a branch's upstream may be asked: those of its viewers, each for as long as its viewer is there.
//!
//! Owns: which one is the newest. Never: shows one, or takes one of another user than the branch's.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use slab::Slab;
use tokio::sync::Notify;

use super::hub::Feed;
use crate::admission::Credential;
use crate::secret::Secret;

/// The tokens of one branch's viewers; as many as it has viewers.
#[derive(Default)]
pub struct Tokens {
    held: Mutex<Slab<Held>>,
    changed: Notify,
}

struct Held {
    token: Arc<Secret>,
    expires: Timestamp,
}

/// A viewer's token, known to its branch until this is dropped.
#[derive(Debug)]
pub struct Visit {
    feed: Arc<Feed>,
    slot: usize,
}

impl Tokens {
    /// The one that expires last, where it has not.
    #[must_use]
    pub fn newest(&self, now: Timestamp) -> Option<Arc<Secret>> {
        let held = self.lock();
        let good = held.iter().map(|(_, held)| held).filter(|held| held.expires > now);
        good.max_by_key(|held| held.expires).map(|held| Arc::clone(&held.token))
    }

    /// Completes when there is one that has not expired, at once where there is.
    pub async fn comes(&self) {
        loop {
            // Made first: what comes while it is looked at is not missed.
            let changed = self.changed.notified();
            if self.newest(Timestamp::now()).is_some() {
                return;
            }
            changed.await;
        }
    }

    fn add(&self, credential: &Credential) -> usize {
        let slot = self.lock().insert(Held::of(credential));
        self.changed.notify_waiters();
        slot
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn of(credential: &Credential) -> Held {
        Held { token: Arc::clone(&credential.token), expires: credential.expires }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("count", &self.lock().len()).finish_non_exhaustive()
    }
}

impl Visit {
    /// Lets the branch of `feed` use the token; `None` where it forwards none, or is another user's.
    #[must_use]
    pub fn pay(feed: &Arc<Feed>, credential: &Credential) -> Option<Visit> {
        let branch = feed.branch().filter(|branch| branch.takes(credential))?;
        Some(Visit { feed: Arc::clone(feed), slot: branch.tokens().add(credential) })
    }

    /// The viewer has another token from here on. One of another user is not taken.
    pub fn renew(&self, credential: &Credential) {
        let Some(branch) = self.feed.branch().filter(|branch| branch.takes(credential)) else { return };
        if let Some(held) = branch.tokens().lock().get_mut(self.slot) {
            *held = Held::of(credential);
        }
        branch.tokens().changed.notify_waiters();
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(branch) = self.feed.branch() {
            branch.tokens().lock().try_remove(self.slot);
        }
    }
}
