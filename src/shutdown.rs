//! Ending: the one place that spawns, and the order in which things end.
//!
//! Owns: the three states of the process (serving, draining, ending) and the count of what still runs. Never: decides
//! how a socket is closed; its roster or handler does, when told.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// `[drain]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainOptions {
    /// Sockets are closed with 1012 in random order over this window.
    pub spread: Duration,
    /// What is left then is ended.
    pub timeout: Duration,
}

/// The process's state, shared by all threads.
#[derive(Debug, Clone, Default)]
pub struct Stages(Arc<Both>);

#[derive(Debug, Default)]
struct Both {
    draining: Stage,
    ending: Stage,
}

/// What a connection waits for beside its own work, each time it is woken.
#[derive(Debug, Default)]
struct Stage {
    token: CancellationToken,
    /// Set before the token is.
    begun: AtomicBool,
}

/// A task in the background, which ends when this is dropped.
#[derive(Debug)]
pub struct Running(JoinHandle<()>);

/// Spawns on the current thread's runtime and counts what it spawned.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stages: Stages,
}

impl Stages {
    /// No new work; what there is may finish.
    pub fn drain(&self) {
        self.0.draining.begin();
    }

    /// Everything ends now.
    pub fn end(&self) {
        self.0.draining.begin();
        self.0.ending.begin();
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.has_begun()
    }

    /// What ends now does so because everything does.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.0.ending.has_begun()
    }

    /// Completes when no new work is to be taken.
    pub async fn draining(&self) {
        self.0.draining.wait().await;
    }

    /// Completes when everything is to end.
    pub async fn ending(&self) {
        self.0.ending.wait().await;
    }
}

impl Stage {
    fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.token.cancel();
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Completes when it has begun. A token takes a lock at each look, and all connections have the same: whoever is on its
    /// list already looks at the flag alone.
    async fn wait(&self) {
        let mut cancelled = pin!(self.token.cancelled());
        let mut listed: Option<Waker> = None;
        poll_fn(|cx| {
            if listed.as_ref().is_some_and(|listed| listed.will_wake(cx.waker())) && !self.has_begun() {
                return Poll::Pending;
            }
            listed = Some(cx.waker().clone());
            cancelled.as_mut().poll(cx)
        })
        .await;
    }
}

impl Tasks {
    #[must_use]
    pub fn new(stages: Stages) -> Tasks {
        Tasks { tracker: TaskTracker::new(), stages }
    }

    #[must_use]
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Runs `work` on this thread until it is done or everything ends. A drain waits for it.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        let stages = self.stages.clone();
        tokio::task::spawn_local(self.tracker.track_future(async move {
            tokio::select! {
                biased;
                () = work => {}
                () = stages.ending() => {}
            }
        }));
    }

    /// Runs `work` as [`spawn`](Tasks::spawn) does, without adding to its size; a drain waits for it.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn_small(&self, work: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(self.tracker.track_future(work));
    }

    /// Runs `work` on this thread in the background: a drain does not wait for it.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn_background(&self, work: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        tokio::task::spawn_local(work)
    }

    /// The same, for as long as what it gives is kept.
    #[must_use]
    pub fn spawn_running(&self, work: impl Future<Output = ()> + 'static) -> Running {
        Running(self.spawn_background(work))
    }

    /// How many tasks run that a drain waits for.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// Completes when none of them runs any more.
    pub async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `work` on the runtime's capped pool of threads for what blocks.
///
/// # Errors
/// If it panics.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// A random part of `window`.
#[must_use]
pub fn random_part(window: Duration) -> Duration {
    window.mul_f64(random_unit())
}

/// A random number of milliseconds within `range`.
#[must_use]
pub fn random_millis(range: Range<Duration>) -> u128 {
    (range.start + range.end.saturating_sub(range.start).mul_f64(random_unit())).as_millis()
}

/// Puts `items` in random order.
pub fn shuffle<T>(items: &mut [T]) {
    let random = RandomState::new();
    for last in (1..items.len()).rev() {
        let other = random.hash_one(last) % (last as u64 + 1);
        items.swap(last, usize::try_from(other).unwrap_or(last));
    }
}

/// A random number from 0 up to 1; good enough to spread load, not for secrets.
#[must_use]
pub fn random_unit() -> f64 {
    const STEPS: u32 = 1 << 20;
    let step = RandomState::new().hash_one(0u8) % u64::from(STEPS);
    step as f64 / f64::from(STEPS)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tokio::sync::oneshot;

    use super::{Future as _, Stages, random_unit, shuffle};

    #[tokio::test]
    async fn a_stage_is_heard_of_by_whoever_waits_whoever_waited_before() {
        let stages = Stages::default();
        let waiting = stages.clone();
        let (begins, begun) = oneshot::channel::<()>();
        let told = async move {
            let mut told = pin!(waiting.draining());
            // Another's waker first, as when a future moves to another task.
            assert!(told.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(futures_util::poll!(told.as_mut()).is_pending());
            assert!(futures_util::poll!(told.as_mut()).is_pending());
            drop(begins);
            told.await;
        };
        let begin = async {
            let _ = begun.await;
            assert!(!stages.is_draining());
            stages.drain();
        };
        tokio::join!(told, begin);
        assert!(stages.is_draining());
        stages.draining().await;
        assert!(futures_util::poll!(pin!(stages.ending())).is_pending());
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_changes_the_order() {
        let mut items: Vec<u32> = (0..1000).collect();
        shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert_eq!(items, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_random_part_is_at_least_nothing_and_less_than_all() {
        let parts: Vec<f64> = (0..1000).map(|_| random_unit()).collect();
        assert!(parts.iter().all(|part| (0.0..1.0).contains(part)));
        assert!(parts.iter().any(|part| *part < 0.5) && parts.iter().any(|part| *part >= 0.5));
    }
}
