//! A connection's clock: which deadline it is under.
//!
//! Owns: the rules of `header_timeout`, `keepalive_timeout` and `send_timeout`. Never: ends a connection; whoever
//! drives it asks. It is shared with the stream, which hyper wants to be `Send`, hence the atomics; all on one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::Limits;
use super::interim::Interim;

/// What a connection is waiting for, and since when.
#[derive(Debug)]
pub struct Clock {
    born: Instant,
    /// Requests being answered.
    in_flight: AtomicUsize,
    /// Between requests; otherwise a head is being read.
    idle: AtomicBool,
    /// When the head or the idling began, in milliseconds after `born`.
    since: AtomicU64,
    /// Bytes that come are no sign of a head: frames of HTTP/2 come between requests, too.
    multiplexed: bool,
    /// The peer may have closed its side and still wait for an answer.
    awaited: AtomicBool,
    reader: AtomicWaker,
    /// The peer has said something.
    heard: AtomicBool,
    /// When it last did, on HTTP/2, in milliseconds after `born`.
    heard_at: AtomicU64,
    /// The last request had no body that may be unread.
    whole: AtomicBool,
    /// The last four bytes that came.
    tail: AtomicU32,
    /// Our side is closed: nothing is expected any more.
    finished: AtomicBool,
    /// When the peer stopped taking bytes, in milliseconds after `born` plus one; 0 while it takes them.
    stalled: AtomicU64,
    /// When it last took none, likewise.
    blocked: AtomicU64,
    /// Bytes that it took.
    sent: AtomicU64,
    /// Of the request that is being answered on HTTP/1.
    interim: Interim,
}

/// One request being answered, counted until dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Clock>);

/// A deadline that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// The request head was not complete in time.
    Head,
    /// No request came on a kept-alive connection: nobody's fault.
    Idle,
    /// A response made no progress.
    Send,
}

impl Clock {
    /// A connection accepted at `accepted`; `multiplexed` for HTTP/2.
    #[must_use]
    pub fn new(accepted: Instant, multiplexed: bool) -> Clock {
        Clock {
            born: accepted,
            multiplexed,
            awaited: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            heard: AtomicBool::new(false),
            heard_at: AtomicU64::new(0),
            whole: AtomicBool::new(true),
            tail: AtomicU32::new(0),
            finished: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            idle: AtomicBool::new(false),
            since: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            interim: Interim::default(),
        }
    }

    /// A request head is complete, and `whole` where no body follows it.
    #[must_use]
    pub fn begin(self: &Arc<Self>, whole: bool) -> InFlight {
        self.whole.store(whole, Relaxed);
        self.awaited.store(whole && !self.multiplexed, Relaxed);
        self.interim.begin();
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// These bytes arrived: on an idle HTTP/1.1 connection, the next head has begun.
    pub fn received(&self, bytes: &[u8]) {
        self.heard.store(true, Relaxed);
        let tail = bytes[bytes.len().saturating_sub(4)..].iter();
        self.tail.store(tail.fold(self.tail.load(Relaxed), |tail, byte| tail << 8 | u32::from(*byte)), Relaxed);
        if self.multiplexed {
            self.heard_at.store(self.now(), Relaxed);
        } else if self.idle.load(Relaxed) && self.in_flight.load(Relaxed) == 0 {
            self.idle.store(false, Relaxed);
            self.since.store(self.now(), Relaxed);
        }
    }

    /// Whether the end of what the peer says is to be kept from hyper for now, which would drop the answer; the reader
    /// is woken when it may be told.
    #[must_use]
    pub fn holds_end(&self, reader: &Waker) -> bool {
        let held = self.awaited.load(Relaxed) && self.in_flight.load(Relaxed) > 0;
        if held {
            self.reader.register(reader);
        }
        held
    }

    /// What the stream is to write before anything else.
    pub(super) fn interim(&self) -> &Interim {
        &self.interim
    }

    /// Whether the peer has said anything yet.
    #[must_use]
    pub fn has_heard(&self) -> bool {
        self.heard.load(Relaxed)
    }

    /// When the peer of a connection of HTTP/2 last said anything, or when it came.
    #[must_use]
    pub fn heard_at(&self) -> Instant {
        self.born + Duration::from_millis(self.heard_at.load(Relaxed))
    }

    /// Whether a request head is under way, or the first one still to come.
    #[must_use]
    pub fn awaits_head(&self) -> bool {
        self.in_flight.load(Relaxed) == 0 && !self.idle.load(Relaxed)
    }

    /// Our side is closed, and no deadline is left but that of lingering; whether to linger at all: only where something
    /// may be unread that the peer sent or is sending.
    pub fn finish(&self) -> bool {
        self.finished.store(true, Relaxed);
        !self.whole.load(Relaxed) || (self.awaits_head() && self.heard.load(Relaxed))
    }

    /// The socket takes bytes (this many, where it is known), or does not.
    pub fn sending(&self, taken: Option<u64>) {
        if let Some(count) = taken {
            self.stalled.store(0, Relaxed);
            self.sent.fetch_add(count, Relaxed);
            return;
        }
        let now = self.now() + 1;
        self.blocked.store(now, Relaxed);
        if self.stalled.load(Relaxed) == 0 {
            self.stalled.store(now, Relaxed);
        }
    }

    /// Bytes that the socket has taken.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Whether the socket took nothing at some moment since `at`, to the millisecond.
    #[must_use]
    pub fn was_blocked_since(&self, at: Instant) -> bool {
        let blocked = self.blocked.load(Relaxed).checked_sub(1);
        blocked.is_some_and(|blocked| self.born + Duration::from_millis(blocked + 1) > at)
    }

    /// When to [`check`](Clock::check) again; nothing while a response goes out and moves.
    #[must_use]
    pub fn next(&self, limits: &Limits) -> Option<Instant> {
        if self.finished.load(Relaxed) {
            return None;
        }
        let stalled = self.stalled_at().map(|at| at + limits.send_timeout);
        let waiting = (self.in_flight.load(Relaxed) == 0).then(|| self.since() + self.allowance(limits));
        [stalled, waiting].into_iter().flatten().min()
    }

    /// The same, or a look at it now and then.
    #[must_use]
    pub fn next_look(&self, limits: &Limits) -> Instant {
        self.next(limits).unwrap_or_else(|| Instant::now() + limits.send_timeout)
    }

    /// What expired by now.
    #[must_use]
    pub fn check(&self, limits: &Limits) -> Option<Expired> {
        if self.finished.load(Relaxed) {
            return None;
        }
        let now = Instant::now();
        if self.stalled_at().is_some_and(|at| at + limits.send_timeout <= now) {
            return Some(Expired::Send);
        }
        if self.in_flight.load(Relaxed) > 0 || self.since() + self.allowance(limits) > now {
            return None;
        }
        Some(if self.idle.load(Relaxed) { Expired::Idle } else { Expired::Head })
    }

    /// Whether a part of the next head came behind a request without a body: what came does not end in a blank line.
    fn has_begun_next(&self) -> bool {
        let [_, before, last, end] = self.tail.load(Relaxed).to_be_bytes();
        let blank = end == b'\n' && (last == b'\n' || (last == b'\r' && before == b'\n'));
        !self.multiplexed && self.whole.load(Relaxed) && self.heard.load(Relaxed) && !blank
    }

    fn allowance(&self, limits: &Limits) -> Duration {
        if self.idle.load(Relaxed) { limits.keepalive_timeout } else { limits.header_timeout }
    }

    fn since(&self) -> Instant {
        self.born + Duration::from_millis(self.since.load(Relaxed))
    }

    fn stalled_at(&self) -> Option<Instant> {
        let at = self.stalled.load(Relaxed).checked_sub(1)?;
        Some(self.born + Duration::from_millis(at))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl InFlight {
    /// The answer is a stream: a peer that has closed its side has left it.
    pub fn streams(&self) {
        self.0.awaited.store(false, Relaxed);
        self.0.reader.wake();
    }

    /// Says `head`, a whole one of an informational answer, before the answer, where that can be done: on HTTP/1, between
    /// two of hyper's messages. Anywhere else it is dropped.
    pub(super) fn interject(&self, head: &[u8]) {
        self.0.interim.offer(head);
    }
}

impl Clone for InFlight {
    fn clone(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(&self.0))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Relaxed) == 1 {
            if !self.0.finished.load(Relaxed) {
                self.0.idle.store(!self.0.has_begun_next(), Relaxed);
                self.0.since.store(self.0.now(), Relaxed);
            }
            self.0.reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{Clock, Expired};
    use crate::net::Limits;

    fn limits() -> Limits {
        Limits {
            connections: 1,
            header_timeout: Duration::from_secs(10),
            header_size: 1,
            body_size: 1,
            body_timeout: Duration::from_secs(1),
            send_timeout: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(75),
        }
    }

    async fn pass(seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_does_not_put_its_deadline_off() {
        let clock = Arc::new(Clock::new(Instant::now(), false));
        pass(9).await;
        clock.received(b"GET /");
        assert_eq!(clock.check(&limits()), None);
        pass(1).await;
        assert_eq!(clock.check(&limits()), Some(Expired::Head));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_has_its_own_time_and_the_next_head_its_own_again() {
        let clock = Arc::new(Clock::new(Instant::now(), false));
        drop(clock.begin(true));
        pass(74).await;
        assert_eq!(clock.check(&limits()), None);
        clock.received(b"GET /");
        pass(9).await;
        assert_eq!(clock.check(&limits()), None);
        pass(1).await;
        assert_eq!(clock.check(&limits()), Some(Expired::Head));
        clock.received(b" HTTP/1.1\r\n\r\n");
        drop(clock.begin(true));
        pass(75).await;
        assert_eq!(clock.check(&limits()), Some(Expired::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_began_behind_a_request_has_a_heads_time() {
        for (first, behind, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", "", Expired::Idle),
            ("GET / HTTP/1.1\n\n", "", Expired::Idle),
            ("GET / HTTP/1.1\r\n\r\nGET /", "", Expired::Head),
            ("GET / HTTP/1.1\r\n\r\n", "G", Expired::Head),
            ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", Expired::Idle),
        ] {
            let clock = Arc::new(Clock::new(Instant::now(), false));
            // As it comes, in pieces of any size.
            first.as_bytes().chunks(3).for_each(|piece| clock.received(piece));
            let answering = clock.begin(true);
            clock.received(behind.as_bytes());
            pass(100).await;
            drop(answering);
            pass(9).await;
            assert_eq!(clock.check(&limits()), None);
            pass(if expected == Expired::Head { 1 } else { 66 }).await;
            assert_eq!(clock.check(&limits()), Some(expected), "{first:?} {behind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_http2_between_requests_are_no_head() {
        let clock = Arc::new(Clock::new(Instant::now(), true));
        drop(clock.begin(true));
        clock.received(b"GET /");
        pass(74).await;
        assert_eq!(clock.check(&limits()), None);
        pass(1).await;
        assert_eq!(clock.check(&limits()), Some(Expired::Idle));
    }

    #[track_caller]
    fn check_lingers(live: impl Fn(&Arc<Clock>), expected: bool) {
        let clock = Arc::new(Clock::new(Instant::now(), false));
        live(&clock);
        assert_eq!(clock.finish(), expected);
    }

    #[test]
    fn a_connection_lingers_where_something_may_be_unread() {
        check_lingers(|_| {}, false);
        check_lingers(|clock| clock.received(b"GET /"), true);
        check_lingers(|clock| drop(clock.begin(true)), false);
        check_lingers(|clock| drop(clock.begin(false)), true);
        let next_head = |clock: &Arc<Clock>| {
            drop(clock.begin(true));
            clock.received(b"GET /");
        };
        check_lingers(next_head, true);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_we_closed_is_under_no_deadline() {
        let clock = Arc::new(Clock::new(Instant::now(), false));
        clock.finish();
        pass(1000).await;
        assert_eq!(clock.check(&limits()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_is_given_time_as_long_as_it_moves() {
        let clock = Arc::new(Clock::new(Instant::now(), false));
        let answering = clock.begin(true);
        pass(1000).await;
        assert_eq!(clock.check(&limits()), None);
        clock.sending(None);
        pass(20).await;
        clock.sending(Some(1));
        clock.sending(None);
        pass(29).await;
        assert_eq!(clock.check(&limits()), None);
        pass(1).await;
        assert_eq!(clock.check(&limits()), Some(Expired::Send));
        drop(answering);
    }
}
