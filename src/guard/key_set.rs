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
        let failure = self.state().failure.clone();
        let failure = failure.unwrap_or_else(|| "it has not answered yet".to_owned());
        format!("the key set at {}: {failure}", self.place)
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::Future;
    use std::rc::Rc;

    use serde_json::{Value, json};

    use super::*;
    use crate::guard::options::Algorithm;
    use crate::guard::testing::P256;
    use crate::shutdown::{Stages, Tasks};
    use crate::telemetry::Metrics;
    use crate::testing::run_paused;

    /// A provider of keys: what it answers, how long that takes, and how often it was asked.
    #[derive(Default)]
    struct Provider {
        answer: RefCell<Option<Value>>,
        takes: Cell<Duration>,
        fresh: Cell<Option<Duration>>,
        asked: Cell<u32>,
    }

    impl Provider {
        fn serves(&self, kids: &[&str]) {
            let keys: Vec<Value> = kids.iter().map(|kid| P256.jwk(json!({ "kid": kid }))).collect();
            *self.answer.borrow_mut() = Some(json!({ "keys": keys }));
        }

        async fn fetch(&self) -> Result<Fetched, String> {
            self.asked.set(self.asked.get() + 1);
            tokio::time::sleep(self.takes.get()).await;
            let answer = self.answer.borrow().clone().ok_or("connection refused")?;
            Ok(Fetched { text: answer.to_string().into_bytes(), fresh: self.fresh.get() })
        }
    }

    fn has(kid: &'static str) -> impl FnMut(&Ring) -> Option<()> {
        move |ring| ring.fitting(Some(kid), Algorithm::Es256).ok().map(drop)
    }

    /// Runs a test with a set that is kept, on a clock of its own.
    fn run<F: Future<Output = ()>>(test: impl FnOnce(Arc<KeySet>, Rc<Provider>) -> F) {
        run_with(KeySet::new("viewers".into(), "https://id.test".to_owned(), Metrics::new().key_set("viewers")), test);
    }

    fn run_with<F: Future<Output = ()>>(set: KeySet, test: impl FnOnce(Arc<KeySet>, Rc<Provider>) -> F) {
        run_paused(async {
            let (set, provider) = (Arc::new(set), Rc::<Provider>::default());
            provider.serves(&["a"]);
            let (kept, asked) = (Arc::clone(&set), Rc::clone(&provider));
            let work = async move { kept.keep(async || asked.fetch().await).await };
            drop(Tasks::new(Stages::default()).spawn_background(work));
            test(set, provider).await;
        });
    }

    async fn seconds(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[test]
    fn who_comes_before_the_first_fetch_has_ended_waits_for_it() {
        run(async |set, provider| {
            provider.takes.set(Duration::from_secs(2));
            assert!(set.ring().is_none());
            assert!(set.wait(has("a")).await.is_some());
            assert_eq!(provider.asked.get(), 1);
        });
    }

    #[test]
    fn a_rotated_key_is_found_by_one_fetch_for_all_who_ask() {
        run(async |set, provider| {
            assert!(set.wait(has("a")).await.is_some());
            seconds(20).await;
            provider.serves(&["a", "b"]);
            provider.takes.set(Duration::from_secs(1));
            let waits: Vec<_> = (0..50).map(|_| set.wait(has("b"))).collect();
            let found = futures_util::future::join_all(waits).await;
            assert!(found.iter().all(Option::is_some));
            assert_eq!(provider.asked.get(), 2);
        });
    }

    #[test]
    fn who_meets_a_new_key_in_the_middle_of_a_fetch_waits_for_that_one() {
        run(async |set, provider| {
            assert!(set.wait(has("a")).await.is_some());
            seconds(20).await;
            provider.takes.set(Duration::from_secs(2));
            let first = set.wait(has("b"));
            let second = async {
                seconds(1).await;
                provider.serves(&["a", "b"]);
                set.wait(has("b")).await
            };
            let found = futures_util::future::join(first, second).await;
            assert_eq!(found, (Some(()), Some(())));
            assert_eq!(provider.asked.get(), 2);
        });
    }

    #[test]
    fn keys_that_nobody_has_are_asked_for_once_in_ten_seconds() {
        run(async |set, provider| {
            assert!(set.wait(has("a")).await.is_some());
            seconds(20).await;
            for _ in 0..1000 {
                assert!(set.wait(has("nobody's")).await.is_none());
            }
            assert_eq!(provider.asked.get(), 2);
            seconds(9).await;
            let before = Instant::now();
            assert!(set.wait(has("nobody's")).await.is_none());
            assert_eq!((provider.asked.get(), before.elapsed()), (2, Duration::ZERO));
            seconds(1).await;
            assert!(set.wait(has("nobody's")).await.is_none());
            assert_eq!(provider.asked.get(), 3);
        });
    }

    #[test]
    fn a_nudge_fetches_and_does_not_wait() {
        run(async |set, provider| {
            assert!(set.wait(has("a")).await.is_some());
            set.nudge();
            seconds(1).await;
            assert_eq!(provider.asked.get(), 1);
            seconds(20).await;
            set.nudge();
            seconds(1).await;
            assert_eq!(provider.asked.get(), 2);
        });
    }

    #[test]
    fn a_provider_that_is_down_leaves_the_old_keys_and_is_counted() {
        let metrics = Metrics::new();
        let set = KeySet::new("viewers".into(), "https://id.test".to_owned(), metrics.key_set("viewers"));
        run_with(set, async |set, provider| {
            assert!(set.wait(has("a")).await.is_some());
            *provider.answer.borrow_mut() = None;
            seconds(301).await;
            assert_eq!(provider.asked.get(), 2);
            assert!(has("a")(&set.ring().unwrap()).is_some());
            // Tried again sooner than a good one.
            seconds(10).await;
            assert_eq!(provider.asked.get(), 3);
            provider.serves(&["b"]);
            seconds(10).await;
            assert!(has("b")(&set.ring().unwrap()).is_some());
            assert!(has("a")(&set.ring().unwrap()).is_none());
        });
        let text = metrics.text();
        for line in [
            r#"steadfeed_jwks_keys{auth="viewers"} 1"#,
            r#"steadfeed_jwks_fetches_total{auth="viewers",outcome="ok"} 2"#,
            r#"steadfeed_jwks_fetches_total{auth="viewers",outcome="failed"} 2"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_provider_that_is_down_at_the_start_is_tried_every_two_seconds_and_said_to_be_down() {
        run(async |set, provider| {
            *provider.answer.borrow_mut() = None;
            assert!(set.wait(has("a")).await.is_none());
            assert_eq!(set.failure(), "the key set at https://id.test: connection refused");
            let before = Instant::now();
            assert!(set.wait(has("a")).await.is_none());
            assert_eq!(before.elapsed(), Duration::ZERO);
            provider.serves(&["a"]);
            tokio::time::sleep(limits::JWKS_FIRST_PAUSE).await;
            seconds(1).await;
            assert!(set.ring().is_some());
        });
    }

    #[test]
    fn a_provider_that_is_slow_keeps_nobody_longer_than_the_limit() {
        run(async |set, provider| {
            provider.takes.set(Duration::from_secs(3600));
            let before = Instant::now();
            assert!(set.wait(has("a")).await.is_none());
            assert_eq!(before.elapsed(), limits::JWKS_WAIT);
            seconds(3).await;
            assert_eq!(set.failure(), "the key set at https://id.test: no answer within 5s");
        });
    }

    #[test]
    fn what_is_no_key_set_changes_nothing() {
        run(async |set, provider| {
            assert!(set.wait(has("a")).await.is_some());
            *provider.answer.borrow_mut() = Some(json!({ "error": "maintenance" }));
            seconds(301).await;
            assert!(has("a")(&set.ring().unwrap()).is_some());
            assert!(set.failure().contains("it is no key set"), "{}", set.failure());
        });
    }

    #[test]
    fn how_often_it_is_fetched_is_what_its_answer_says_within_bounds() {
        for (fresh, expected) in [(None, 300), (Some(0), 60), (Some(90), 90), (Some(86_400), 600)] {
            run(async |set, provider| {
                provider.fresh.set(fresh.map(Duration::from_secs));
                assert!(set.wait(has("a")).await.is_some());
                seconds(expected - 1).await;
                assert_eq!(provider.asked.get(), 1, "{fresh:?}");
                seconds(2).await;
                assert_eq!(provider.asked.get(), 2, "{fresh:?}");
            });
        }
    }

    #[test]
    fn a_set_that_was_read_at_the_start_is_read_again_for_an_unknown_key() {
        let text = json!({ "keys": [P256.jwk(json!({ "kid": "a" }))] }).to_string();
        let meters = Metrics::new().key_set("viewers");
        let set = KeySet::try_loaded("viewers".into(), "keys.json".to_owned(), text.as_bytes(), meters).unwrap();
        run_with(set, async |set, provider| {
            assert!(has("a")(&set.ring().unwrap()).is_some());
            assert_eq!(provider.asked.get(), 0);
            provider.serves(&["b"]);
            assert!(set.wait(has("b")).await.is_some());
            assert_eq!(provider.asked.get(), 1);
        });
    }
}
