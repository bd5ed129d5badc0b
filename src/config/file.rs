//! The config file as it is typed: one struct a table, one field a key, with the words that the JSON Schema shows.
//!
//! Owns: the names of all keys that are served, their units and defaults in words. Never: judges more than one value;
//! `resolve` does. A key added here must be read there, and be explained in `config/full.toml` (a test holds it).

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;

use super::choice::OneOf;
use super::field::{Field, List, Named, Table};
use super::texts::{AdminListen, Pointer, ZoneOffset};
use super::values::{DurationOrFalse, Flag, Hidden, Json, Number, Parsed, Size, Whole};
use crate::feed::{Shape, Slow, Snapshot};
use crate::guard::OriginRule;
use crate::net::tls::MinVersion;
use crate::route::{HostPattern, PathPattern};
use crate::telemetry::LogFormat;

/// The configuration of steadfeed. `"${VAR}"` and `"${VAR:-default}"` expand in any string.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, title = "steadfeed")]
pub(super) struct ConfigFile {
    /// Threads that serve connections. Default: the CPUs this container may use.
    pub workers: Field<Whole>,
    /// What is written to standard output.
    pub log: Field<Table<LogFile>>,
    /// The admin listener: readiness, metrics, publishing.
    pub admin: Field<Table<AdminFile>>,
    /// How sockets are ended on SIGTERM.
    pub drain: Field<Table<DrainFile>>,
    /// Bounds on connections, of the whole process.
    pub limits: Field<Table<LimitsFile>>,
    /// The addresses served, plain or TLS.
    pub listener: Field<List<Table<ListenerFile>>>,
    /// Named streams of envelopes.
    pub feed: Field<Named<Table<FeedFile>>>,
    /// Host and path to one action; the most specific route wins.
    pub route: Field<List<Table<RouteFile>>>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct LogFile {
    /// How lines are written. Default "text".
    pub format: Field<OneOf<LogFormat>>,
    /// The least severe level that is written. Default "info".
    pub level: Field<OneOf<tracing::Level>>,
    /// One line a request or socket. Default true.
    pub access: Field<Flag>,
}

/// `[admin]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct AdminFile {
    /// Address and port, or "off". Default "127.0.0.1:9090".
    pub listen: Field<Parsed<AdminListen>>,
    /// Required as Bearer on every path but /healthz and /readyz; needed off loopback. Default: none.
    pub token: Field<Hidden>,
    /// A file that holds the token.
    pub token_file: Field<Parsed<String>>,
}

/// `[drain]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct DrainFile {
    /// Sockets are closed with 1012 in random order over this window. A duration; default "5s".
    pub spread: Field<Parsed<Duration>>,
    /// What is left then is ended. A duration; default "8s".
    pub timeout: Field<Parsed<Duration>>,
}

/// `[limits]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct LimitsFile {
    /// Connections open at once. Default 0: from the file-descriptor limit.
    pub connections: Field<Whole>,
    /// From accept to a complete request head, TLS included. A duration; default "10s".
    pub header_timeout: Field<Parsed<Duration>>,
    /// A request head. A size; default "32KiB".
    pub header_size: Field<Size>,
    /// A request body. A size; default "10MiB".
    pub body_size: Field<Size>,
    /// Between two reads of a request body. A duration; default "30s".
    pub body_timeout: Field<Parsed<Duration>>,
    /// A response that makes no progress. A duration; default "30s".
    pub send_timeout: Field<Parsed<Duration>>,
    /// An idle connection between two requests. A duration; default "75s".
    pub keepalive_timeout: Field<Parsed<Duration>>,
}

/// `[[listener]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct ListenerFile {
    /// Address and port; port 0 takes a free one.
    pub address: Field<Parsed<SocketAddr>>,
    /// WebSocket over HTTP/2 (RFC 8441). Default false: browsers then open an HTTP/1.1 socket, which costs half.
    pub websocket_h2: Field<Flag>,
    /// Makes the listener serve TLS: exactly one of `certificates` and `self_signed`.
    pub tls: Field<Table<TlsFile>>,
}

/// `[listener.tls]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct TlsFile {
    /// Certificates, chosen by the name a client asks for (SNI), re-read when their files change.
    pub certificates: Field<List<Table<CertificateFile>>>,
    /// DNS names and addresses of a certificate that is made on first start and kept in certs/.
    pub self_signed: Field<List<Parsed<String>>>,
    /// The oldest version of TLS that is spoken. Default "1.2".
    pub min_version: Field<OneOf<MinVersion>>,
}

/// One of `certificates`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct CertificateFile {
    /// A PEM file: the certificate, then those that vouch for it.
    pub cert: Field<Parsed<String>>,
    /// A PEM file: its private key.
    pub key: Field<Parsed<String>>,
}

/// `[feed.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct FeedFile {
    /// What fills the feed: exactly one of `stats`, `alerts` and `publish`.
    pub source: Field<Table<SourceFile>>,
    /// Several sources, merged into one feed; in place of `source`.
    pub sources: Field<List<Table<SourceFile>>>,
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
pub(super) struct SourceFile {
    /// Statistics of this host.
    pub stats: Field<Table<StatsFile>>,
    /// Rules over another feed.
    pub alerts: Field<Table<AlertsFile>>,
    /// What is POSTed to /api/feeds/NAME on the admin listener; an empty table.
    pub publish: Field<Table<PublishFile>>,
}

/// `stats = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct StatsFile {
    /// How often they are read. A duration; default "2s".
    pub every: Field<Parsed<Duration>>,
    /// `disk` is the mount that holds this path. Default "/".
    pub path: Field<Parsed<String>>,
}

/// `alerts = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct AlertsFile {
    /// The feed that is watched.
    pub of: Field<Parsed<String>>,
    /// What to watch for.
    pub rules: Field<List<Table<RuleFile>>>,
}

/// One of `rules`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct RuleFile {
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
pub(super) struct PublishFile {}

/// One of `skip`: `type`, or `at` with `equals`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct SkipFile {
    /// Messages of this type.
    #[serde(rename = "type")]
    pub type_: Field<Parsed<String>>,
    /// JSON Pointer into the message as it came.
    pub at: Field<Parsed<Pointer>>,
    /// Messages where `at` finds just this value.
    pub equals: Field<Json>,
}

/// `[[route]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct RouteFile {
    /// A host name, or "*.example.com" for all names below one. Default: every host.
    pub host: Field<Parsed<HostPattern>>,
    /// An exact path, or a prefix as in "/api/*".
    pub path: Field<Parsed<PathPattern>>,
    /// Serve this feed: WebSocket, SSE or plain GET. One of `feed`, `page` and `respond`.
    pub feed: Field<Parsed<String>>,
    /// Serve the built-in live page of this feed.
    pub page: Field<Parsed<String>>,
    /// Give a fixed answer.
    pub respond: Field<Table<RespondFile>>,
    /// Which origins may open a WebSocket or SSE stream: "same", "*", "null", or as in "https://dash.example.com",
    /// "http://localhost:*", "https://*.example.com". Default ["same"].
    pub origins: Field<List<Parsed<OriginRule>>>,
    /// Overrides the feed's.
    pub shape: Field<OneOf<Shape>>,
    /// Overrides the feed's.
    pub greet: Field<Flag>,
    /// Overrides the feed's. A duration, or false.
    pub keepalive: Field<DurationOrFalse>,
}

/// `respond = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct RespondFile {
    /// The HTTP status. Default 200.
    pub status: Field<Whole>,
    /// The body. Default "".
    pub body: Field<Parsed<String>>,
    /// Its Content-Type. Default "text/plain; charset=utf-8".
    #[serde(rename = "type")]
    pub type_: Field<Parsed<http::HeaderValue>>,
}

/// The JSON Schema (draft 2020-12) of the config. Each table stands where it is used, so that it can be walked.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut settings = SchemaSettings::draft2020_12().for_deserialize();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<ConfigFile>().to_value()
}
