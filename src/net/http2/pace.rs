//! Streams of one HTTP/2 connection that make no progress: each is ended alone, with a reset.
//!
//! Owns: `send_timeout` of a stream: one that has something to send and waits for room stands still. Never: ends the
//! connection, nor a stream that only waits for others: while the socket itself takes little, that is the connection's
//! clock's to judge.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits;
use crate::message::alarm::Alarm;
use crate::net::Peer;
use crate::net::clock::Clock;
use crate::telemetry::log::client_warning;

/// How fast the streams of one connection are to go.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Arc<Clock>,
    peer: Peer,
    send_timeout: Duration,
}

/// Whether one stream stands still. Most never do, and keep no more than a pointer for it.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<Box<Standing>>);

#[derive(Debug, Default)]
struct Standing {
    since: Option<Since>,
    alarm: Alarm,
}

#[derive(Debug)]
struct Since {
    at: Instant,
    /// Bytes that the connection had sent when the stream began to stand still.
    sent: u64,
}

impl Pace {
    pub(super) fn new(clock: Arc<Clock>, peer: Peer, send_timeout: Duration) -> Pace {
        Pace { clock, peer, send_timeout }
    }

    /// Called while the stream waits for room; completes when it is its own fault that it has stood still for
    /// `send_timeout`: while the socket took nothing now and then, it may have been for want of its turn, until every stream
    /// must have had one.
    pub(super) fn poll_late(&self, stall: &mut Stall, cx: &mut Context<'_>) -> Poll<()> {
        const ROUND: u64 = limits::H2_STREAMS as u64 * limits::H2_SEND_BUFFER as u64;
        let Standing { since, alarm } = &mut **stall.0.get_or_insert_default();
        let since = since.get_or_insert_with(|| Since { at: Instant::now(), sent: self.clock.sent() });
        loop {
            ready!(alarm.poll(cx, since.at + self.send_timeout));
            if !self.clock.was_blocked_since(since.at) || self.clock.sent() - since.sent > ROUND {
                break;
            }
            since.at = Instant::now();
        }
        if let Some(unsaid) = client_warning() {
            let client = self.peer.client;
            tracing::warn!(%client, reason = "a response made no progress", unsaid, "stream ended");
        }
        Poll::Ready(())
    }
}

impl Stall {
    /// The stream has had room.
    pub(super) fn moved(&mut self) {
        if let Some(standing) = &mut self.0 {
            standing.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::super::testing::pace;
    use super::*;

    /// After how many seconds a stream is late that moved at these, each after the one before, with a socket that takes so
    /// many bytes each second and then none, if it is `blocked`; `None` after a thousand.
    async fn check(moves: &[u64], blocked: bool, sent: u64, expected: Option<u64>) {
        let (pace, clock) = pace();
        let (mut stall, start) = (Stall::default(), Instant::now());
        let late = async {
            for gap in moves {
                let waited = timeout(Duration::from_secs(*gap), poll_fn(|cx| pace.poll_late(&mut stall, cx))).await;
                assert!(waited.is_err(), "it moved after {gap} s");
                stall.moved();
            }
            poll_fn(|cx| pace.poll_late(&mut stall, cx)).await;
            start.elapsed().as_secs()
        };
        let socket = async {
            while start.elapsed() < Duration::from_secs(1000) {
                clock.sending(Some(sent));
                if blocked {
                    clock.sending(None);
                }
                advance(Duration::from_secs(1)).await;
                tokio::task::yield_now().await;
            }
        };
        let seen = tokio::select! {
            late = late => Some(late),
            () = socket => None,
        };
        // The socket's own second may be the one in which the alarm rings.
        assert!(
            seen.is_some() == expected.is_some() && seen.unwrap_or(0).abs_diff(expected.unwrap_or(0)) <= 1,
            "{seen:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_had_no_room_for_that_long_is_late() {
        check(&[], false, 0, Some(30)).await;
        check(&[20, 20, 20], false, 0, Some(90)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_for_its_turn_on_a_slow_connection_is_not_before_all_have_had_theirs() {
        check(&[], true, 1, None).await;
        check(&[], true, 100_000, Some(90)).await;
    }
}
