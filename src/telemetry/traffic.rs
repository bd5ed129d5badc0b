//! Messages that are counted: whose they are, and the handles of a route's sessions.
//!
//! Owns: the metrics of sessions. Never: looks a family up for a message.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::{Metrics, RouteLabels};

/// Whose messages are counted.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) enum TrafficLabels {
    Feed(FeedLabels),
    Route(DirectionLabels),
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct FeedLabels {
    feed: String,
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct DirectionLabels {
    route: String,
    direction: &'static str,
}

/// What is counted of all sessions.
#[derive(Debug, Default)]
pub(super) struct SessionFamilies {
    held: Family<RouteLabels, Gauge>,
    reconnects: Family<RouteLabels, Counter>,
    too_large: Family<RouteLabels, Counter>,
}

/// The handles of one route's sessions.
#[derive(Debug, Clone)]
pub struct SessionMeters {
    /// As configured.
    pub route: String,
    /// Sessions whose upstream socket is down.
    pub held: Gauge,
    pub reconnects: Counter,
    /// Messages of an upstream that were dropped for their size.
    pub too_large: Counter,
    messages_in: Counter,
    messages_out: Counter,
    bytes_in: Counter,
    bytes_out: Counter,
}

type Traffic = Family<TrafficLabels, Counter>;

impl SessionFamilies {
    pub(super) fn register(&self, registry: &mut Registry) {
        let held = "Sessions whose upstream socket is down, their clients kept";
        registry.register("sessions_held", held, self.held.clone());
        let reconnects = "Upstream sockets opened in place of one that was lost";
        registry.register("session_reconnects", reconnects, self.reconnects.clone());
        let too_large = "Messages of a session's upstream that were dropped for their size";
        registry.register("session_messages_too_large", too_large, self.too_large.clone());
    }

    pub(super) fn of(&self, route: &str, messages: &Traffic, bytes: &Traffic) -> SessionMeters {
        let labels = |direction| TrafficLabels::Route(DirectionLabels { route: route.to_owned(), direction });
        let named = RouteLabels { route: route.to_owned() };
        SessionMeters {
            held: self.held.get_or_create_owned(&named),
            reconnects: self.reconnects.get_or_create_owned(&named),
            too_large: self.too_large.get_or_create_owned(&named),
            messages_in: messages.get_or_create_owned(&labels("in")),
            messages_out: messages.get_or_create_owned(&labels("out")),
            bytes_in: bytes.get_or_create_owned(&labels("in")),
            bytes_out: bytes.get_or_create_owned(&labels("out")),
            route: named.route,
        }
    }
}

impl SessionMeters {
    /// Counts a message of a client, its payload of so many bytes.
    pub fn received(&self, bytes: usize) {
        self.messages_in.inc();
        self.bytes_in.inc_by(bytes as u64);
    }

    /// Counts a message to a client, its frame of so many bytes.
    pub fn sent(&self, bytes: usize) {
        self.messages_out.inc();
        self.bytes_out.inc_by(bytes as u64);
    }

    /// Handles that no registry shows, for tests.
    #[must_use]
    pub fn unseen() -> SessionMeters {
        Metrics::new().session("unseen")
    }
}

impl TrafficLabels {
    pub(super) fn feed(feed: &str, direction: &'static str) -> TrafficLabels {
        TrafficLabels::Feed(FeedLabels { feed: feed.to_owned(), direction })
    }
}

impl EncodeLabelSet for TrafficLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        match self {
            TrafficLabels::Feed(labels) => labels.encode(encoder),
            TrafficLabels::Route(labels) => labels.encode(encoder),
        }
    }
}
