//! One source's connection as its feed, its log and its metrics see it.
//!
//! Owns: when a source counts as up, what is logged of it (the first failure of an outage, then each other reason once, then
//! its end), and whose turn it is on the thread. Never: dials.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::failure::{Failure, without_secrets};
use crate::feed::inlet::Inlet;
use crate::feed::normalize::Incoming;
use crate::limits;
use crate::telemetry::SourceMeters;

/// What is known of a source from one connection to the next.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) inlet: &'a Inlet,
    meters: &'a SourceMeters,
    /// Where it dials, less what may be secret.
    url: String,
    /// It has been connected before.
    was_open: Cell<bool>,
    outage: RefCell<Option<Outage>>,
    too_large: Complaints,
    too_many: Complaints,
    /// The second of the time of day in which the last message came, and how many have come in it.
    second: Cell<(i64, u32)>,
}

/// Since when a source is down, and what was said of it.
#[derive(Debug)]
struct Outage {
    since: Instant,
    /// At most [`limits::SOURCE_REASONS`]: a backend that gives another reason each time is not told of each time.
    told: Vec<String>,
}

/// When something was last complained of, and how often there was reason to since.
#[derive(Debug, Default)]
struct Complaints(Cell<Option<(Instant, u64)>>);

/// One connection, or the attempt to have it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) record: &'a Record<'a>,
    opened: Cell<Option<Instant>>,
    opens: Notify,
    stands: Cell<bool>,
    /// Messages in this turn.
    turn: Cell<u32>,
}

impl<'a> Record<'a> {
    pub(super) fn new(inlet: &'a Inlet, meters: &'a SourceMeters, url: &str) -> Record<'a> {
        Record {
            inlet,
            meters,
            url: without_secrets(url),
            was_open: Cell::new(false),
            outage: RefCell::new(None),
            too_large: Complaints::default(),
            too_many: Complaints::default(),
            second: Cell::default(),
        }
    }

    /// Bytes of the largest message.
    pub(super) fn max_message(&self) -> usize {
        self.inlet.feed().options().max_message
    }

    /// The connection is gone, or was not to be had.
    pub(super) fn fell(&self, failure: &Failure) {
        self.meters.up.set(0);
        self.meters.failed(failure.reason());
        self.inlet.fell();
    }

    /// Says why, once; `again` is when it is tried again, nothing being for whenever a viewer comes with a token.
    pub(super) fn tell(&self, failure: &Failure, again: Option<Duration>) {
        let reason = failure.to_string();
        let (feed, source) = (self.inlet.feed().name(), &self.url);
        let again = again.map_or_else(|| "with the next token".to_owned(), |again| format!("in {again:.1?}"));
        let mut outage = self.outage.borrow_mut();
        match &mut *outage {
            Some(Outage { told, .. }) if told.contains(&reason) || told.len() >= limits::SOURCE_REASONS => {
                tracing::debug!(feed, source, reason, again, "source is still down");
            }
            Some(Outage { told, .. }) => {
                tracing::warn!(feed, source, reason, again, "source is still down");
                told.push(reason);
            }
            None => {
                tracing::warn!(feed, source, reason, again, "source is down: it is dialled until it is back");
                *outage = Some(Outage { since: Instant::now(), told: vec![reason] });
            }
        }
    }

    fn stood(&self) {
        self.meters.up.set(1);
        let (feed, source) = (self.inlet.feed().name(), &self.url);
        match self.outage.take() {
            Some(Outage { since, .. }) => {
                let down = format!("{:.1?}", since.elapsed());
                tracing::info!(feed, source, down, "source is back");
            }
            None => tracing::debug!(feed, source, "source is up"),
        }
    }

    /// Counts a message of at least `bytes` that was dropped.
    pub(super) fn too_large(&self, bytes: u64) {
        self.meters.too_large.inc();
        let Some(more) = self.too_large.voice() else { return };
        let (feed, source, max_message) = (self.inlet.feed().name(), &self.url, self.max_message());
        tracing::warn!(feed, source, bytes, max_message, more, "message is too large, and dropped");
    }

    /// Counts a message, and says so where there are more in a second than anyone could look at.
    fn count(&self, received: Timestamp) {
        let now = received.as_second();
        let (second, count) = self.second.get();
        let count = if second == now { count.saturating_add(1) } else { 1 };
        self.second.set((now, count));
        if count != limits::SOURCE_FLOOD {
            return;
        }
        let Some(more) = self.too_many.voice() else { return };
        let (feed, source, remedy) = (self.inlet.feed().name(), &self.url, "set `min_interval`");
        tracing::warn!(feed, source, in_a_second = count, more, remedy, "source floods its feed");
    }
}

impl Complaints {
    /// How often there was reason to complain since it was last done; `None` where that was a moment ago.
    fn voice(&self) -> Option<u64> {
        let now = Instant::now();
        let more = match self.0.get() {
            Some((at, since)) if now.saturating_duration_since(at) < limits::SOURCE_COMPLAINT => {
                self.0.set(Some((at, since.saturating_add(1))));
                return None;
            }
            Some((_, since)) => since,
            None => 0,
        };
        self.0.set(Some((now, 0)));
        Some(more)
    }
}

/// What is no longer run delivers nothing.
impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.meters.up.set(0);
    }
}

impl<'a> Line<'a> {
    pub(super) fn new(record: &'a Record<'a>) -> Line<'a> {
        Line { record, opened: Cell::new(None), opens: Notify::new(), stands: Cell::new(false), turn: Cell::new(0) }
    }

    /// The connection was had.
    pub(super) fn open(&self) {
        if self.opened.get().is_some() {
            return;
        }
        self.opened.set(Some(Instant::now()));
        if self.record.was_open.replace(true) {
            self.record.meters.reconnects.inc();
        }
        self.opens.notify_one();
    }

    /// How long it has been open.
    pub(super) fn held(&self) -> Duration {
        self.opened.get().map_or(Duration::ZERO, |opened| opened.elapsed())
    }

    /// A message came. Others on this thread have their turn now and then.
    pub(super) async fn take(&self, message: Incoming<'_>) {
        let received = Timestamp::now();
        self.record.count(received);
        self.record.inlet.publish(message, received);
        if !self.stands.replace(true) {
            self.record.stood();
        }
        let turn = self.turn.get() + 1;
        self.turn.set(turn % limits::SOURCE_TURN);
        if turn == limits::SOURCE_TURN {
            tokio::task::yield_now().await;
        }
    }

    /// The connection is good, though it may have said nothing new.
    pub(super) fn stand(&self) {
        if !self.stands.replace(true) {
            self.record.stood();
            self.record.inlet.stands();
        }
    }

    /// Has it stand once it has been open for a while; never ends.
    pub(super) async fn hold(&self) -> Infallible {
        self.opens.notified().await;
        let opened = self.opened.get().unwrap_or_else(Instant::now);
        sleep_until(opened + limits::SOURCE_STANDS).await;
        self.stand();
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;

    use super::*;
    use crate::feed;
    use crate::feed::hub::Feed;
    use crate::feed::inlet::Rank;
    use crate::source::testing::Log;
    use crate::telemetry::Metrics;

    fn with_line(metrics: &Metrics) -> (Inlet, SourceMeters) {
        let feed = Arc::new(Feed::try_new(feed::Options::named("f"), false, metrics.feed("f")).unwrap());
        (Inlet::new(&feed, Rank::Source), metrics.source("f", "websocket"))
    }

    #[test]
    fn others_have_their_turn_after_so_many_messages() {
        let (inlet, meters) = with_line(&Metrics::new());
        let record = Record::new(&inlet, &meters, "ws://h/");
        let line = Line::new(&record);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for turn in 1..=3 * limits::SOURCE_TURN {
            let taken = pin!(line.take(Incoming::Text("1"))).poll(&mut cx);
            assert_eq!(taken.is_pending(), turn % limits::SOURCE_TURN == 0, "{turn}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_open_line_holds_and_it_stands_once_it_has() {
        let (inlet, meters) = with_line(&Metrics::new());
        let record = Record::new(&inlet, &meters, "ws://h/");
        let line = Line::new(&record);
        assert!(tokio::time::timeout(limits::SOURCE_HELD, line.hold()).await.is_err());
        assert_eq!((line.held(), meters.up.get()), (Duration::ZERO, 0));
        line.open();
        let almost = limits::SOURCE_STANDS - Duration::from_millis(1);
        let mut hold = pin!(line.hold());
        assert!(tokio::time::timeout(almost, &mut hold).await.is_err());
        assert_eq!((line.held(), meters.up.get()), (almost, 0));
        assert!(tokio::time::timeout(2 * limits::SOURCE_STANDS - almost, hold).await.is_err());
        assert_eq!((line.held(), meters.up.get()), (2 * limits::SOURCE_STANDS, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_once_for_each_reason_and_large_messages_once_a_while() {
        let log = Log::capture();
        let (inlet, meters) = with_line(&Metrics::new());
        let record = Record::new(&inlet, &meters, "ws://h/?hunter2");
        let second = Duration::from_secs(1);
        for failure in [Failure::Ended, Failure::Ended, Failure::NoUpstream, Failure::NoUpstream, Failure::NoToken] {
            record.fell(&failure);
            record.tell(&failure, Some(second));
            tokio::time::advance(second).await;
        }
        Line::new(&record).stand();
        for _ in 0..100 {
            record.too_large(7);
            tokio::time::advance(second).await;
        }
        let said = log.text();
        let count = |part: &str| said.matches(part).count();
        assert_eq!((count(" WARN "), count(" DEBUG "), count("source is back")), (5, 2, 1), "{said}");
        assert!(said.contains("down=\"5.0s\"") && said.contains("again=\"in 1.0s\""), "{said}");
        assert_eq!((count("message is too large"), count("more=59"), meters.too_large.get()), (2, 1, 100), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_told_once_a_while_and_many_messages_are_none() {
        let log = Log::capture();
        let (inlet, meters) = with_line(&Metrics::new());
        let record = Record::new(&inlet, &meters, "ws://h/");
        let second = |second| {
            for _ in 0..limits::SOURCE_FLOOD {
                record.count(Timestamp::from_second(second).unwrap());
            }
        };
        record.count(Timestamp::UNIX_EPOCH);
        second(1);
        second(2);
        (1..limits::SOURCE_FLOOD).for_each(|_| record.count(Timestamp::from_second(3).unwrap()));
        let said = log.text();
        assert!(said.matches(" WARN ").count() == 1 && said.contains("floods") && said.contains("more=0"), "{said}");
        tokio::time::advance(limits::SOURCE_COMPLAINT).await;
        second(4);
        assert!(log.text().contains("more=1"), "{}", log.text());
    }

    #[tokio::test(start_paused = true)]
    async fn reasons_that_take_turns_are_each_told_once_and_not_without_end() {
        let log = Log::capture();
        let (inlet, meters) = with_line(&Metrics::new());
        let record = Record::new(&inlet, &meters, "ws://h/");
        for failure in [Failure::Ended, Failure::NoUpstream].iter().cycle().take(20) {
            record.tell(failure, None);
        }
        assert_eq!(log.text().matches(" WARN ").count(), 2, "{}", log.text());
        for number in 0..100 {
            record.tell(&Failure::Upgrade(number.to_string()), None);
        }
        assert_eq!(log.text().matches(" WARN ").count(), limits::SOURCE_REASONS, "{}", log.text());
    }
}
