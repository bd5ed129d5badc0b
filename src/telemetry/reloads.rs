//! What becomes of the metrics when another config is put into use, and the count of how often that was tried.
//!
//! Owns: which figures go with what a config names no more: those that say how something *is*. Never: takes back a count.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::metrics::{Metrics, RouteMeters, ServerLabels, SourceLabels};

/// How often the config was read again.
#[derive(Debug, Default)]
pub(super) struct Reloads(Family<ReloadLabels, Counter>);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

impl Reloads {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("config_reloads", "Times the config was read again, by what came of it", self.0.clone());
    }
}

impl Metrics {
    /// Counts a reload: `ok` or `refused`.
    pub fn reloaded(&self, result: &'static str) {
        self.reloads.0.get_or_create(&ReloadLabels { result }).inc();
    }

    /// The feed has no such source any more.
    pub fn forget_source(&self, feed: &str, source: &str) {
        let labels = SourceLabels { feed: feed.to_owned(), source: source.to_owned() };
        self.branches_up.lock().unwrap_or_else(PoisonError::into_inner).remove(&labels);
        self.feed_up.remove(&labels);
        self.feed_times.drop_source(feed, source);
    }

    /// The auth has no key set any more.
    pub fn forget_key_set(&self, auth: &str) {
        self.key_sets.forget(auth);
    }

    /// The upstream has no such server any more.
    pub fn forget_server(&self, upstream: &str, server: &str) {
        self.upstream_up.remove(&ServerLabels { upstream: upstream.to_owned(), server: server.to_owned() });
    }
}

impl RouteMeters {
    /// From now on what is opened by this route closes at once: another config is in use, with which it could not have been.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn what_is_no_more_is_not_shown_and_a_reload_is_counted() {
        let metrics = Metrics::new();
        metrics.source("f", "poll").up.set(1);
        metrics.source("f", "sse").up.set(1);
        metrics.server("app", "http://a").set(1);
        metrics.forget_source("f", "poll");
        metrics.forget_server("app", "http://a");
        metrics.reloaded("ok");
        let text = metrics.text();
        assert!(text.contains("steadfeed_config_reloads_total{result=\"ok\"} 1\n"), "{text}");
        assert!(text.contains("source=\"sse\"") && !text.contains("source=\"poll\""), "{text}");
        assert!(!text.contains("http://a"), "{text}");
        assert_eq!(metrics.sources("f"), [("sse".to_owned(), true)]);
    }
}
