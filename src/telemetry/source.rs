//! What is counted of one source of a feed.
//!
//! Never: a URL or what a source says.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// One source's handles.
#[derive(Debug, Clone)]
pub struct SourceMeters {
    pub(super) feed: String,
    /// Whether it delivers: 1 or 0.
    pub up: Gauge,
    pub reconnects: Counter,
    pub too_large: Counter,
    pub(super) failures: Family<FailureLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct FailureLabels {
    feed: String,
    reason: &'static str,
}

impl SourceMeters {
    /// Counts a connection that was lost, or not to be had.
    pub fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&FailureLabels { feed: self.feed.clone(), reason }).inc();
    }
}
