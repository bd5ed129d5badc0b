//! A key set that is kept fresh: the keys that all workers verify with, and the one task that fetches them.
//!
//! Owns: at most one fetch at a time, asked for by whoever meets a key that is not known, at most each
//! [`limits::JWKS_PAUSE`]; and keeping the old keys where a fetch fails. Never: makes anyone wait for longer than
//! [`limits::JWKS_WAIT`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::jwks::Ring;
use crate::limits;
use crate::telemetry::KeySetMeters;

/// One set, shared by all threads.
#[derive(Debug)]
pub(super) struct KeySet {
    auth: Arc<str>,
    /// URL or file, as the config writes it.
    place: String,
    ring: ArcSwapOption<Ring>,
    state: Mutex<State>,
    /// Someone met a key that is not known.
    wanted: Notify,
    /// Counts fetches that have ended, well or not.
    ended: watch::Sender<u64>,
    meters: KeySetMeters,
}

#[derive(Debug)]
struct State {
    fetching: bool,
    /// When the last fetch ended.
    tried: Option<Instant>,
    /// Why it gave nothing.
    failure: Option<String>,
}

/// What a fetch brought.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) text: Vec<u8>,
    /// For how long it is fresh, as its answer says.
    pub(super) fresh: Option<Duration>,
}

impl KeySet {
    /// No keys yet: until the first fetch has ended, whoever asks waits for it.
    pub(super) fn new(auth: Arc<str>, place: String, meters: KeySetMeters) -> KeySet {
        KeySet {
            auth,
            place,
            ring: ArcSwapOption::empty(),
            state: Mutex::new(State { fetching: true, tried: None, failure: None }),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
            meters,
        }
    }

    /// With keys that were read already.
    ///
    /// # Errors
    /// If they are no key set.
    pub(super) fn try_loaded(
        auth: Arc<str>,
        place: String,
        text: &[u8],
        meters: KeySetMeters,
    ) -> Result<KeySet, String> {
        let set = KeySet::new(auth, place, meters);
        set.replace(text)?;
        set.state().fetching = false;
        Ok(set)
    }

    /// The keys as they are known now.
    pub(super) fn ring(&self) -> Option<Arc<Ring>> {
        self.ring.load_full()
    }

    /// Why there are none.
    pub(super) fn failure(&self) -> String {
        self.state().failure.clone().unwrap_or_else(|| "it has not answered yet".to_owned())
    }

    /// Has the set fetched, where that may be; does not wait.
    pub(super) fn nudge(&self) {
        if self.may_bring_more() {
            self.wanted.notify_one();
        }
    }

    /// Waits for `found` to find what it looks for in keys that are newer than those known: for a fetch under way, or for
    /// one that is asked for now. Gives up at once where the last one was a moment ago.
    pub(super) async fn wait<T>(&self, mut found: impl FnMut(&Ring) -> Option<T>) -> Option<T> {
        let mut ended = self.ended.subscribe();
        let mut look = || self.ring().and_then(|ring| found(&ring));
        // What came between the first look and the subscription is not waited for.
        if let Some(found) = look() {
            return Some(found);
        }
        if !self.may_bring_more() {
            return None;
        }
        self.wanted.notify_one();
        // Once the time is over, what there is has to do.
        let _ = timeout(limits::JWKS_WAIT, ended.changed()).await;
        look()
    }

    fn may_bring_more(&self) -> bool {
        let state = self.state();
        state.fetching || state.tried.is_none_or(|tried| tried.elapsed() >= limits::JWKS_PAUSE)
    }

    /// Fetches, again and again; never ends.
    pub(super) async fn keep(&self, fetch: impl AsyncFn() -> Result<Fetched, String>) {
        // What was loaded already is fresh.
        let mut next = self.ring().map(|_| Instant::now() + limits::JWKS_EVERY);
        loop {
            if let Some(next) = next {
                self.rest(next).await;
            }
            self.state().fetching = true;
            let fetched = timeout(limits::JWKS_FETCH, fetch()).await;
            let outcome = fetched.unwrap_or_else(|_| Err(format!("no answer within {:?}", limits::JWKS_FETCH)));
            let pause = self.take(outcome);
            next = Some(Instant::now() + pause);
            self.ended.send_modify(|ended| *ended += 1);
        }
    }

    /// Until `next`, or until someone asks for it.
    async fn rest(&self, next: Instant) {
        let asked = async {
            loop {
                self.wanted.notified().await;
                // One who asked during the fetch has had it.
                if self.may_bring_more() {
                    return;
                }
            }
        };
        tokio::select! {
            () = sleep_until(next) => {}
            () = asked => {}
        }
    }

    /// Takes what a fetch gave; gives how long to wait for the next.
    fn take(&self, outcome: Result<Fetched, String>) -> Duration {
        let fresh = outcome.and_then(|Fetched { text, fresh }| self.replace(&text).map(|()| fresh));
        let mut state = self.state();
        (state.fetching, state.tried) = (false, Some(Instant::now()));
        match fresh {
            Ok(fresh) => {
                self.meters.fetched();
                if state.failure.take().is_some() {
                    tracing::info!(auth = %self.auth, place = self.place, "the key set is fetched again");
                }
                let fresh = fresh.unwrap_or(limits::JWKS_EVERY);
                fresh.clamp(limits::JWKS_EVERY_MIN, limits::JWKS_EVERY_MAX)
            }
            Err(reason) => {
                self.meters.failed();
                let has_keys = self.ring.load().is_some();
                if state.failure.as_ref() != Some(&reason) {
                    let meanwhile = if has_keys { "the old keys stay" } else { "no token can be judged" };
                    tracing::warn!(auth = %self.auth, place = self.place, reason, meanwhile, "the key set cannot be had");
                }
                state.failure = Some(reason);
                if has_keys { limits::JWKS_PAUSE } else { limits::JWKS_FIRST_PAUSE }
            }
        }
    }

    fn replace(&self, text: &[u8]) -> Result<(), String> {
        let ring = Ring::parse(text)?;
        let before = self.ring();
        if !ring.skipped.is_empty() && before.is_none_or(|before| before.skipped != ring.skipped) {
            let skipped = ring.skipped.join("; ");
            tracing::warn!(auth = %self.auth, place = self.place, skipped, "keys of the key set that are of no use");
        }
        self.meters.keys.set(i64::try_from(ring.len()).unwrap_or(i64::MAX));
        self.ring.store(Some(Arc::new(ring)));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
