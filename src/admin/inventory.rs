//! `/api/feeds` and `/api/upstreams`: what is served, from where, and how it stands.
//!
//! Never: shows a message, or a URL's query.

use http::Response;
use serde::Serialize;

use crate::feed::hub::{FeedHub, Stem};
use crate::message::Body;
use crate::telemetry::{FeedMeters, Metrics};
use crate::upstream::{self, ServerReport};

/// One feed.
#[derive(Debug, Serialize)]
struct FeedRow {
    name: String,
    /// `starting`, `live`, `stale` or `fallback`; each branch of a split feed has its own.
    standing: Option<&'static str>,
    viewers: i64,
    messages_in: u64,
    messages_out: u64,
    /// RFC 3339, to the second.
    last_message: Option<String>,
    sources: Vec<SourceRow>,
    /// Of a split feed.
    branches: Option<usize>,
}

#[derive(Debug, Serialize)]
struct SourceRow {
    name: String,
    up: bool,
}

#[derive(Debug, Serialize)]
struct UpstreamRow {
    name: String,
    servers: Vec<ServerRow>,
}

#[derive(Debug, Serialize)]
struct ServerRow {
    server: String,
    state: &'static str,
    /// Requests in flight and sockets open.
    load: usize,
}

/// An array, by name.
pub(super) fn feeds(hub: &FeedHub, metrics: &Metrics) -> Response<Body> {
    let mut rows: Vec<FeedRow> = hub.iter().map(|(name, stem)| feed(name, stem, metrics)).collect();
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    super::json(&rows)
}

/// An array, in the config's order, those first that it names itself.
pub(super) fn upstreams(shared: &upstream::Shared) -> Response<Body> {
    let mut rows: Vec<UpstreamRow> = Vec::new();
    for ServerReport { upstream, server, state, load } in shared.report() {
        let row = ServerRow { server: String::from(&*server), state, load };
        match rows.last_mut().filter(|last| last.name == upstream) {
            Some(last) => last.servers.push(row),
            None => rows.push(UpstreamRow { name: upstream, servers: vec![row] }),
        }
    }
    super::json(&rows)
}

fn feed(name: &str, stem: &Stem, metrics: &Metrics) -> FeedRow {
    let (meters, standing, branches): (&FeedMeters, _, _) = match stem {
        Stem::Whole(feed) => (feed.meters(), Some(feed.standing().name()), None),
        Stem::Split(branches) => (branches.plan().meters(), None, Some(branches.count())),
    };
    let (messages_in, messages_out) = meters.messages();
    let sources = metrics.sources(name).into_iter().map(|(name, up)| SourceRow { name, up });
    FeedRow {
        name: name.to_owned(),
        standing,
        viewers: meters.viewers.get(),
        messages_in,
        messages_out,
        last_message: meters.last_message().map(|at| at.to_string()),
        sources: sources.collect(),
        branches,
    }
}
