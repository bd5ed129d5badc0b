//! The metrics, in the text format of OpenMetrics; [`super::exposition`] gives Prometheus's own.
//!
//! Owns: every metric's name and help text. Never: looks a family up on a request: whoever counts holds its handles.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::feeds::{FeedMeters, FeedTimes};
use super::key_sets::{KeySetMeters, KeySets};
use super::reloads::Reloads;
use super::source::{FailureLabels, SourceMeters};
use super::sums::{Part, Sum};
use super::traffic::{SessionFamilies, SessionMeters, TrafficLabels};

/// Every metric of the process.
pub struct Metrics {
    registry: Mutex<Registry>,
    pub connections_open: Gauge,
    pub log_lines_dropped: Counter,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    websocket_open: Family<ModeLabels, Gauge>,
    websocket_closed: Family<CloseLabels, Counter>,
    denied: Family<DeniedLabels, Counter>,
    messages: Family<TrafficLabels, Counter>,
    message_bytes: Family<TrafficLabels, Counter>,
    sessions: SessionFamilies,
    feed_viewers: Family<FeedLabels, Gauge>,
    pub(super) feed_up: Family<SourceLabels, Gauge>,
    /// Of the branches of split feeds.
    pub(super) branches_up: Mutex<HashMap<SourceLabels, Sum>>,
    feed_reconnects: Family<FeedLabels, Counter>,
    feed_failures: Family<FailureLabels, Counter>,
    feed_too_large: Family<FeedLabels, Counter>,
    feed_conflated: Family<FeedLabels, Counter>,
    pub(super) feed_times: FeedTimes,
    pub(super) upstream_up: Family<ServerLabels, Gauge>,
    pub(super) key_sets: KeySets,
    pub(super) reloads: Reloads,
}

/// One route's handles.
#[derive(Debug)]
pub struct RouteMeters {
    route: String,
    mode: &'static str,
    requests: Family<RequestLabels, Counter>,
    /// The counter of each status from 100 to 599, once it was used.
    statuses: Arc<[OnceLock<Counter>]>,
    closed: Family<CloseLabels, Counter>,
    denied: Family<DeniedLabels, Counter>,
    pub seconds: Histogram,
    pub sockets: Gauge,
    /// Another config has no such route: what was opened by it is to close.
    pub(super) retired: AtomicBool,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub(super) route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModeLabels {
    route: String,
    mode: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CloseLabels {
    route: String,
    code: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DeniedLabels {
    route: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct FeedLabels {
    feed: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct SourceLabels {
    pub(super) feed: String,
    pub(super) source: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ServerLabels {
    pub(super) upstream: String,
    pub(super) server: String,
}

impl Metrics {
    #[must_use]
    pub fn new() -> Metrics {
        let metrics = Metrics {
            registry: Mutex::new(Registry::with_prefix("steadfeed")),
            connections_open: Gauge::default(),
            log_lines_dropped: Counter::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.5, 11))),
            websocket_open: Family::default(),
            websocket_closed: Family::default(),
            denied: Family::default(),
            messages: Family::default(),
            message_bytes: Family::default(),
            sessions: SessionFamilies::default(),
            feed_viewers: Family::default(),
            feed_up: Family::default(),
            branches_up: Mutex::default(),
            feed_reconnects: Family::default(),
            feed_failures: Family::default(),
            feed_too_large: Family::default(),
            feed_conflated: Family::default(),
            feed_times: FeedTimes::default(),
            upstream_up: Family::default(),
            key_sets: KeySets::default(),
            reloads: Reloads::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register("connections_open", "Client connections now open", self.connections_open.clone());
        let dropped = "Access-log lines that stdout was too slow for";
        registry.register("log_lines_dropped", dropped, self.log_lines_dropped.clone());
        let requests = "Requests answered, and with status 499 those whose client left before";
        registry.register("requests", requests, self.requests.clone());
        registry.register(
            "request_seconds",
            "Request head to response head; sockets left out",
            self.request_seconds.clone(),
        );
        registry.register("websocket_open", "WebSockets now open", self.websocket_open.clone());
        registry.register("websocket_closed", "WebSockets ended, by close code", self.websocket_closed.clone());
        registry.register("denied", "Requests refused by a guard", self.denied.clone());
        registry.register(
            "messages",
            "Messages of a feed, in from its sources and out to its viewers; of a route's sessions, in from their clients and out to them",
            self.messages.clone(),
        );
        registry.register("message_bytes", "Bytes of those messages, framed", self.message_bytes.clone());
        self.sessions.register(&mut registry);
        registry.register("feed_viewers", "Viewers of a feed", self.feed_viewers.clone());
        registry.register("feed_up", "Whether a source of a feed delivers", self.feed_up.clone());
        let again = "Times a source's connection was made again after it was lost";
        registry.register("feed_reconnects", again, self.feed_reconnects.clone());
        let lost = "Times a source's connection was lost, or could not be made";
        registry.register("feed_failures", lost, self.feed_failures.clone());
        let too_large = "Messages of a source that were larger than max_message, and dropped";
        registry.register("feed_too_large", too_large, self.feed_too_large.clone());
        registry.register("feed_conflated", "Times a viewer fell behind the history", self.feed_conflated.clone());
        self.feed_times.register(&mut registry);
        registry.register("upstream_up", "Whether a server of an upstream is given requests", self.upstream_up.clone());
        self.key_sets.register(&mut registry);
        self.reloads.register(&mut registry);
    }

    /// The handles of the route `route`, as configured.
    #[must_use]
    pub fn route(&self, route: &str) -> RouteMeters {
        self.route_of(route, "feed")
    }

    /// The same, of a route whose sockets are tunnels.
    #[must_use]
    pub fn tunnels(&self, route: &str) -> RouteMeters {
        self.route_of(route, "tunnel")
    }

    /// The same, of a route whose sockets are sessions.
    #[must_use]
    pub fn sessions(&self, route: &str) -> RouteMeters {
        self.route_of(route, "session")
    }

    fn route_of(&self, route: &str, mode: &'static str) -> RouteMeters {
        let label = RouteLabels { route: route.to_owned() };
        RouteMeters {
            seconds: self.request_seconds.get_or_create_owned(&label),
            sockets: self.websocket_open.get_or_create(&ModeLabels { route: label.route.clone(), mode }).clone(),
            route: label.route,
            mode,
            requests: self.requests.clone(),
            statuses: (100..600).map(|_| OnceLock::new()).collect(),
            closed: self.websocket_closed.clone(),
            denied: self.denied.clone(),
            retired: AtomicBool::new(false),
        }
    }

    /// The handles of what the sessions of the route `route` say.
    #[must_use]
    pub fn session(&self, route: &str) -> SessionMeters {
        self.sessions.of(route, &self.messages, &self.message_bytes)
    }

    /// The handles of the feed `feed`.
    #[must_use]
    pub fn feed(&self, feed: &str) -> FeedMeters {
        let labels = |direction| TrafficLabels::feed(feed, direction);
        let named = FeedLabels { feed: feed.to_owned() };
        let (last, lag, rtt) = self.feed_times.of(&named);
        FeedMeters {
            last,
            lag,
            rtt,
            messages_in: self.messages.get_or_create_owned(&labels("in")),
            messages_out: self.messages.get_or_create_owned(&labels("out")),
            bytes_out: self.message_bytes.get_or_create_owned(&labels("out")),
            viewers: self.feed_viewers.get_or_create_owned(&named),
            conflated: self.feed_conflated.get_or_create_owned(&named),
        }
    }

    /// The handles of the source `source` of `feed`.
    #[must_use]
    pub fn source(&self, feed: &str, source: &str) -> SourceMeters {
        let named = FeedLabels { feed: feed.to_owned() };
        let labels = SourceLabels { feed: feed.to_owned(), source: source.to_owned() };
        let up = self.feed_up.get_or_create_owned(&labels);
        self.feed_times.add_source(feed, source, &up);
        SourceMeters {
            up,
            reconnects: self.feed_reconnects.get_or_create_owned(&named),
            too_large: self.feed_too_large.get_or_create_owned(&named),
            failures: self.feed_failures.clone(),
            feed: named.feed,
        }
    }

    /// The same of one branch of `feed`: what is shown is how many deliver, of those that are kept.
    #[must_use]
    pub fn branch_source(&self, feed: &str, source: &str) -> (SourceMeters, Part) {
        let labels = SourceLabels { feed: feed.to_owned(), source: source.to_owned() };
        let meters = self.source(feed, source);
        let mut sums = self.branches_up.lock().unwrap_or_else(PoisonError::into_inner);
        let part = sums.entry(labels).or_insert_with(|| Sum::shown_by(meters.up.clone())).part();
        (SourceMeters { up: part.gauge().clone(), ..meters }, part)
    }

    /// The sources of `feed`, and whether each delivers: of a split feed, in any of its branches.
    #[must_use]
    pub fn sources(&self, feed: &str) -> Vec<(String, bool)> {
        self.show_branches();
        self.feed_times.sources(feed)
    }

    fn show_branches(&self) {
        self.branches_up.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(Sum::show);
    }

    /// Whether `server` of `upstream` is given requests: 1 or 0.
    #[must_use]
    pub fn server(&self, upstream: &str, server: &str) -> Gauge {
        let labels = ServerLabels { upstream: upstream.to_owned(), server: server.to_owned() };
        self.upstream_up.get_or_create_owned(&labels)
    }

    /// The handles of the key set of the auth `auth`.
    #[must_use]
    pub fn key_set(&self, auth: &str) -> KeySetMeters {
        self.key_sets.of(auth)
    }

    /// All of them, in the text format of OpenMetrics 1.0.0.
    #[must_use]
    pub fn text(&self) -> String {
        self.show_branches();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl RouteMeters {
    /// As configured.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// How its sockets are served: `feed`, `session` or `tunnel`.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        self.mode
    }

    pub fn answered(&self, status: u16, seconds: f64) {
        self.count(status);
        self.seconds.observe(seconds);
    }

    /// A request that became a socket, or whose client left (499), is counted, and not timed.
    pub fn count(&self, status: u16) {
        let make = || self.requests.get_or_create_owned(&RequestLabels { route: self.route.clone(), status });
        match self.statuses.get(usize::from(status.saturating_sub(100))) {
            Some(counter) => counter.get_or_init(make).inc(),
            None => make().inc(),
        };
    }

    pub fn closed(&self, code: u16) {
        self.closed.get_or_create(&CloseLabels { route: self.route.clone(), code }).inc();
    }

    pub fn denied(&self, reason: &'static str) {
        self.denied.get_or_create(&DeniedLabels { route: self.route.clone(), reason }).inc();
    }
}
