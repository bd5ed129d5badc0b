//! What is counted of one feed, and how long its messages and pings take.
//!
//! Owns: the handles that a feed holds, and which sources it has. Never: looks a family up for a message.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::metrics::{FeedLabels, Metrics};

/// One feed's handles.
#[derive(Debug, Clone)]
pub struct FeedMeters {
    pub viewers: Gauge,
    pub conflated: Counter,
    pub(super) messages_in: Counter,
    pub(super) messages_out: Counter,
    pub(super) bytes_out: Counter,
    pub(super) last: Gauge,
    pub(super) lag: Histogram,
    pub(super) rtt: Histogram,
}

/// What is kept of all feeds beside the counts.
#[derive(Debug)]
pub(super) struct FeedTimes {
    lag: Family<FeedLabels, Histogram, fn() -> Histogram>,
    last: Family<FeedLabels, Gauge>,
    rtt: Histogram,
    /// Whether it delivers, by feed and source.
    up: Mutex<BTreeMap<(String, String), Gauge>>,
}

impl FeedTimes {
    pub(super) fn register(&self, registry: &mut Registry) {
        let lag = "From a message reaching a worker to its last viewer there that keeps up having been offered it; event streams and HTTP/2 left out";
        registry.register("feed_lag_seconds", lag, self.lag.clone());
        let last = "When the newest message of a source came, in seconds since 1970; 0 before the first";
        registry.register("feed_last_message_seconds", last, self.last.clone());
        let rtt = "From a ping to a feed's viewer to its pong";
        registry.register("ping_rtt_seconds", rtt, self.rtt.clone());
    }

    /// The handles of when: last message, lag, round trip.
    pub(super) fn of(&self, feed: &FeedLabels) -> (Gauge, Histogram, Histogram) {
        (self.last.get_or_create_owned(feed), self.lag.get_or_create_owned(feed), self.rtt.clone())
    }

    pub(super) fn add_source(&self, feed: &str, source: &str, up: &Gauge) {
        let mut all = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((feed.to_owned(), source.to_owned())).or_insert_with(|| up.clone());
    }

    pub(super) fn drop_source(&self, feed: &str, source: &str) {
        let mut all = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(feed.to_owned(), source.to_owned()));
    }

    /// Each source's name, and whether it delivers.
    pub(super) fn sources(&self, feed: &str) -> Vec<(String, bool)> {
        let all = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.iter().filter(|((of, _), _)| of == feed);
        own.map(|((_, source), up)| (source.clone(), up.get() > 0)).collect()
    }
}

impl Default for FeedTimes {
    fn default() -> FeedTimes {
        FeedTimes {
            lag: Family::new_with_constructor(seconds),
            last: Family::default(),
            rtt: seconds(),
            up: Mutex::default(),
        }
    }
}

/// From half a millisecond to five seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.5, 11))
}

impl FeedMeters {
    /// Counts what came in, at this time.
    pub fn received(&self, at: Timestamp) {
        self.messages_in.inc();
        self.last.set(at.as_second());
    }

    /// Counts what went out.
    pub fn sent(&self, messages: u64, bytes: u64) {
        self.messages_out.inc_by(messages);
        self.bytes_out.inc_by(bytes);
    }

    /// A worker took this long to offer a message to all of its viewers.
    pub fn lagged(&self, took: Duration) {
        self.lag.observe(took.as_secs_f64());
    }

    /// A viewer answered a ping after this long.
    pub fn ponged(&self, took: Duration) {
        self.rtt.observe(took.as_secs_f64());
    }

    /// How many messages came in and went out.
    #[must_use]
    pub fn messages(&self) -> (u64, u64) {
        (self.messages_in.get(), self.messages_out.get())
    }

    /// When the newest message came, to the second; `None` before the first.
    #[must_use]
    pub fn last_message(&self) -> Option<Timestamp> {
        let seconds = Some(self.last.get()).filter(|seconds| *seconds != 0)?;
        Timestamp::from_second(seconds).ok()
    }

    /// Handles that no registry shows, for tests and benches.
    #[must_use]
    pub fn unseen() -> FeedMeters {
        Metrics::new().feed("unseen")
    }
}
