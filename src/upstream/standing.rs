//! What is known of one server's health, shared by all threads.
//!
//! Owns: passive marks (a server that does not answer is passed over for a while that grows) and what active checks
//! found; each change is logged once, unless the server is its upstream's only one: then nothing is passed over in favour of
//! it, and whoever asked for it says what came of that. Never: asks a server.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use super::failure::Failure;
use crate::limits;

/// One server's health.
#[derive(Debug)]
pub(super) struct Standing {
    upstream: String,
    server: String,
    /// Its upstream has no other.
    alone: AtomicBool,
    born: Instant,
    /// Active checks find it down.
    unhealthy: AtomicBool,
    /// Requests in a row that it left unanswered.
    breaks: AtomicU32,
    /// How often it was marked since it last answered.
    marks: AtomicU32,
    /// Until when it is passed over, in milliseconds after `born`.
    until: AtomicU64,
    /// Until when a request that finds out is waited for.
    probed: AtomicU64,
    /// When it was last marked, in milliseconds after `born`.
    marked: AtomicU64,
    up: Gauge,
}

/// Whether a server may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Up,
    /// Its time has passed: one request may find out, see [`Standing::claim`].
    Due,
    Marked,
    /// Found down by active checks.
    Unhealthy,
}

impl State {
    /// As operators are told.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Due => "retried",
            State::Marked => "avoided",
            State::Unhealthy => "down",
        }
    }
}

impl Standing {
    pub(super) fn new(upstream: &str, server: &str, alone: bool, up: Gauge) -> Standing {
        up.set(1);
        Standing {
            upstream: upstream.to_owned(),
            server: server.to_owned(),
            alone: AtomicBool::new(alone),
            born: Instant::now(),
            unhealthy: AtomicBool::new(false),
            breaks: AtomicU32::new(0),
            marks: AtomicU32::new(0),
            until: AtomicU64::new(0),
            probed: AtomicU64::new(0),
            marked: AtomicU64::new(0),
            up,
        }
    }

    pub(super) fn state(&self) -> State {
        if self.unhealthy.load(Relaxed) {
            return State::Unhealthy;
        }
        if self.marks.load(Relaxed) == 0 {
            return State::Up;
        }
        let waits = self.until.load(Relaxed).max(self.probed.load(Relaxed));
        if waits > self.now() { State::Marked } else { State::Due }
    }

    /// Its upstream has no other now, or has.
    pub(super) fn set_alone(&self, alone: bool) {
        self.alone.store(alone, Relaxed);
    }

    /// Whether active checks find it up, as far as is known.
    pub(super) fn is_healthy(&self) -> bool {
        !self.unhealthy.load(Relaxed)
    }

    /// Takes the one request that a server gets when its time has passed; the others pass it over a little longer.
    pub(super) fn claim(&self) -> bool {
        let (probed, now) = (self.probed.load(Relaxed), self.now());
        let next = now + millis(limits::MARK_FIRST);
        probed <= now && self.probed.compare_exchange(probed, next, Relaxed, Relaxed).is_ok()
    }

    /// How long ago it was marked: the greater, the likelier it is back.
    pub(super) fn marked_at(&self) -> u64 {
        self.marked.load(Relaxed)
    }

    /// It answered, whatever it said.
    pub(super) fn answered(&self) {
        // Read before writing: this is every request, and the line is shared by all workers.
        if self.breaks.load(Relaxed) != 0 {
            self.breaks.store(0, Relaxed);
        }
        if self.marks.load(Relaxed) != 0 {
            self.unmark();
        }
    }

    /// A request that it was given failed.
    pub(super) fn failed(&self, failure: &Failure) {
        match failure {
            Failure::Connect { .. } | Failure::ConnectTimeout { .. } => self.mark(failure),
            Failure::ResponseTimeout { .. } | Failure::Broken { .. } => {
                if self.breaks.fetch_add(1, Relaxed) + 1 >= limits::MARK_BREAKS {
                    self.mark(failure);
                }
            }
            Failure::NoneHealthy | Failure::RequestBody(_) => {}
        }
    }

    /// Active checks changed their mind.
    pub(super) fn found(&self, healthy: bool, reason: &str) {
        if self.unhealthy.swap(!healthy, Relaxed) != healthy {
            return;
        }
        let Standing { upstream, server, .. } = self;
        if healthy {
            tracing::info!(upstream, server, "server is healthy again");
        } else {
            tracing::warn!(upstream, server, reason, "server is down: its health checks fail");
        }
        self.show();
    }

    fn mark(&self, failure: &Failure) {
        let now = self.now();
        // What was under way when it was marked says nothing new.
        if self.until.load(Relaxed) > now {
            return;
        }
        let marks = self.marks.fetch_add(1, Relaxed);
        let wait = limits::MARK_FIRST.saturating_mul(1 << marks.min(16)).min(limits::MARK_MAX);
        self.until.store(now + millis(wait), Relaxed);
        self.marked.store(now, Relaxed);
        if marks == 0 {
            let Standing { upstream, server, .. } = self;
            if self.alone.load(Relaxed) {
                tracing::debug!(upstream, server, reason = %failure, "server does not answer, and is the only one");
            } else {
                tracing::warn!(upstream, server, reason = %failure, "server does not answer: passed over for a while");
            }
            self.show();
        }
    }

    fn unmark(&self) {
        self.until.store(0, Relaxed);
        self.breaks.store(0, Relaxed);
        if self.marks.swap(0, Relaxed) != 0 {
            let Standing { upstream, server, .. } = self;
            if self.alone.load(Relaxed) {
                tracing::debug!(upstream, server, "server answers again");
            } else {
                tracing::info!(upstream, server, "server answers again");
            }
            self.show();
        }
    }

    fn show(&self) {
        let up = !self.unhealthy.load(Relaxed) && self.marks.load(Relaxed) == 0;
        self.up.set(i64::from(up));
    }

    fn now(&self) -> u64 {
        millis(self.born.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::advance;

    use super::{Standing, State};
    use crate::limits::{MARK_BREAKS, MARK_FIRST, MARK_MAX};
    use crate::upstream::Failure;

    fn standing() -> Standing {
        Standing::new("app", "http://app", false, Default::default())
    }

    fn refused() -> Failure {
        Failure::Connect { server: Arc::from("http://app"), error: io::Error::from(io::ErrorKind::ConnectionRefused) }
    }

    fn silent() -> Failure {
        Failure::ResponseTimeout { server: Arc::from("http://app") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_refuses_is_passed_over_for_longer_each_time_up_to_a_bound() {
        let standing = standing();
        let mut wait = MARK_FIRST;
        for _ in 0..10 {
            standing.failed(&refused());
            assert_eq!(standing.state(), State::Marked);
            advance(wait - Duration::from_millis(1)).await;
            assert_eq!(standing.state(), State::Marked, "{wait:?}");
            advance(Duration::from_millis(1)).await;
            assert_eq!(standing.state(), State::Due, "{wait:?}");
            wait = (wait * 2).min(MARK_MAX);
        }
        assert_eq!(wait, MARK_MAX);
        assert_eq!(standing.up.get(), 0);
        standing.answered();
        assert_eq!((standing.state(), standing.up.get()), (State::Up, 1));
        standing.failed(&refused());
        advance(MARK_FIRST).await;
        assert_eq!(standing.state(), State::Due, "an answer starts the back-off anew");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_requests_under_way_together_count_as_one() {
        let standing = standing();
        (0..100).for_each(|_| standing.failed(&refused()));
        advance(MARK_FIRST).await;
        assert_eq!(standing.state(), State::Due);
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_finds_out_whether_a_marked_server_is_back() {
        let standing = standing();
        standing.failed(&refused());
        advance(MARK_FIRST).await;
        assert!(standing.claim());
        assert_eq!(standing.state(), State::Marked);
        assert!(!standing.claim());
        advance(MARK_FIRST).await;
        assert_eq!(standing.state(), State::Due, "one that never came back holds it up for a bounded time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_leaves_requests_unanswered_is_marked_at_the_bound() {
        let standing = standing();
        (1..MARK_BREAKS).for_each(|_| standing.failed(&silent()));
        assert_eq!(standing.state(), State::Up);
        standing.answered();
        (1..MARK_BREAKS).for_each(|_| standing.failed(&silent()));
        assert_eq!(standing.state(), State::Up, "an answer in between starts the count anew");
        standing.failed(&silent());
        assert_eq!(standing.state(), State::Marked);
    }

    #[test]
    fn what_active_checks_find_counts_and_is_shown() {
        let standing = standing();
        standing.found(true, "");
        assert_eq!((standing.state(), standing.up.get()), (State::Up, 1));
        standing.found(false, "503");
        assert_eq!((standing.state(), standing.up.get()), (State::Unhealthy, 0));
        standing.answered();
        assert_eq!((standing.state(), standing.up.get()), (State::Unhealthy, 0));
        standing.found(true, "");
        assert_eq!((standing.state(), standing.up.get()), (State::Up, 1));
    }
}
