//! `[feed.NAME]` as it is typed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::choice::{OneOf, ShareBy};
use crate::config::dials::{HttpUrl, WsUrl};
use crate::config::field::{Field, List, Named, Table};
use crate::config::texts::{HeaderText, Pointer, ZoneOffset};
use crate::config::values::{DurationOrFalse, Flag, Json, Number, Parsed, Size, Whole};
use crate::feed::{Shape, Slow, Snapshot};
use crate::guard::ForwardToken;

/// `[feed.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct FeedFile {
    /// What fills the feed: exactly one of `stats`, `websocket`, `poll`, `sse`, `alerts` and `publish`.
    pub source: Field<Table<SourceFile>>,
    /// Several sources, merged into one feed; in place of `source`.
    pub sources: Field<List<Table<SourceFile>>>,
    /// A larger message of a source is dropped. A size; default "1MiB".
    pub max_message: Field<Size>,
    /// What serves while every source is down: `stats`, `websocket`, `poll` or `sse`. Default: nothing.
    pub fallback: Field<Table<FallbackFile>>,
    /// Given to messages that carry none. Default "message".
    #[serde(rename = "type")]
    pub type_: Field<Parsed<String>>,
    /// How messages are written. Default "envelope".
    pub shape: Field<OneOf<Shape>>,
    /// Messages to drop. Default: none.
    pub skip: Field<List<Table<SkipFile>>>,
    /// Drop the source's own connected, keepalive, heartbeat, ping and pong. Default true.
    pub skip_system: Field<Flag>,
    /// Old type = new type. Default: none.
    pub rename: Field<Named<Parsed<String>>>,
    /// JSON Pointer; a last value and a history are kept for each type and what this finds. Default: none.
    pub key: Field<Parsed<Pointer>>,
    /// Bound on (type, key) pairs; the least recently updated is forgotten. Default 1000.
    pub keys: Field<Whole>,
    /// Viewers that differ in these have upstream sockets of their own: "path", "query", "subject" (of their tokens).
    /// Default []: one for all.
    pub share: Field<List<OneOf<ShareBy>>>,
    /// How long such a socket outlives its last viewer. A duration; default "30s".
    pub linger: Field<Parsed<Duration>>,
    /// Pass a viewer's own token upstream: "header", or "query:NAME"; only where `share` has "subject". Default: never.
    pub forward_token: Field<Parsed<ForwardToken>>,
    /// What a viewer gets first; "none" suits events. Default "last".
    pub snapshot: Field<OneOf<Snapshot>>,
    /// Messages kept per (type, key), for ?last=N and Last-Event-ID. Default 30.
    pub history: Field<Whole>,
    /// Say `connected` first. Default true.
    pub greet: Field<Flag>,
    /// Say `keepalive` after this much silence on a socket. A duration, or false; default "5s".
    pub keepalive: Field<DurationOrFalse>,
    /// WebSocket ping after this much silence from a viewer. A duration, or false; default "25s".
    pub ping: Field<DurationOrFalse>,
    /// How long a ping may stay unanswered before the socket is dropped. A duration; default "20s".
    pub pong_timeout: Field<Parsed<Duration>>,
    /// Tell a change of the source at once, on a keepalive. Default true.
    pub notices: Field<Flag>,
    /// At most one message a (type, key) in this time, the newest. A duration; default "0s".
    pub min_interval: Field<Parsed<Duration>>,
    /// A viewer that can't keep up skips to the newest of each (type, key), or is closed with 1013. Default "conflate".
    pub slow: Field<OneOf<Slow>>,
    /// Zone of timestamps that name none: "utc", or an offset as in "+09:00". Default "utc".
    pub naive_time: Field<Parsed<ZoneOffset>>,
}

/// A source of a feed
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct SourceFile {
    /// Statistics of this host.
    pub stats: Field<Table<StatsFile>>,
    /// A WebSocket to dial, as in "ws://app:8000/ws".
    pub websocket: Field<Parsed<WsUrl>>,
    /// A URL to ask again and again, as in "http://app:8000/stats".
    pub poll: Field<Parsed<HttpUrl>>,
    /// An event stream to read, as in "http://app:8000/events".
    pub sse: Field<Parsed<HttpUrl>>,
    /// With `poll`: how often it is asked. A duration; default "5s".
    pub every: Field<Parsed<Duration>>,
    /// With `websocket`, `poll` and `sse`: headers to send. Default: none.
    pub headers: Field<Named<Parsed<HeaderText>>>,
    /// Rules over another feed.
    pub alerts: Field<Table<AlertsFile>>,
    /// What is POSTed to /api/feeds/NAME on the admin listener; an empty table.
    pub publish: Field<Table<PublishFile>>,
}

/// `fallback = { ... }`: a source, and when it serves
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct FallbackFile {
    /// Statistics of this host.
    pub stats: Field<Table<StatsFile>>,
    /// A WebSocket to dial.
    pub websocket: Field<Parsed<WsUrl>>,
    /// A URL to ask again and again.
    pub poll: Field<Parsed<HttpUrl>>,
    /// An event stream to read.
    pub sse: Field<Parsed<HttpUrl>>,
    /// With `poll`: how often it is asked. A duration; default "5s".
    pub every: Field<Parsed<Duration>>,
    /// With `websocket`, `poll` and `sse`: headers to send. Default: none.
    pub headers: Field<Named<Parsed<HeaderText>>>,
    /// How long every source has been down by then. A duration; default "10s".
    pub after: Field<Parsed<Duration>>,
}

/// `stats = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct StatsFile {
    /// How often they are read. A duration; default "2s".
    pub every: Field<Parsed<Duration>>,
    /// `disk` is the mount that holds this path. Default "/".
    pub path: Field<Parsed<String>>,
}

/// `alerts = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct AlertsFile {
    /// The feed that is watched.
    pub of: Field<Parsed<String>>,
    /// What to watch for.
    pub rules: Field<List<Table<RuleFile>>>,
}

/// One of `rules`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct RuleFile {
    /// JSON Pointer to a number of the envelope, as in "/data/cpu/usage".
    pub at: Field<Parsed<Pointer>>,
    /// The number is too large above this.
    pub above: Field<Number>,
    /// How long it must be before `alert` is said. A duration; default "0s".
    #[serde(rename = "for")]
    pub for_: Field<Parsed<Duration>>,
    /// A word for how bad it is. Default "warning".
    pub level: Field<Parsed<String>>,
}

/// `publish = {}`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct PublishFile {}

/// One of `skip`: `type`, or `at` with `equals`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct SkipFile {
    /// Messages of this type.
    #[serde(rename = "type")]
    pub type_: Field<Parsed<String>>,
    /// JSON Pointer into the message as it came.
    pub at: Field<Parsed<Pointer>>,
    /// Messages where `at` finds just this value.
    pub equals: Field<Json>,
}
