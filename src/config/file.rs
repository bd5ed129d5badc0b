//! The config file as it is typed: one struct a table, one field a key, with the words that the JSON Schema shows.
//!
//! Owns: the names of all keys that are served, their units and defaults in words. Never: judges more than one value;
//! `resolve` does. A key added here must be read there, and be explained in `config/full.toml` (a test holds it).

mod feed;
mod guard;
mod route;
mod session;
mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;

use super::choice::OneOf;
use super::either::FlagOr;
use super::field::{Field, List, Named, Table};
use super::texts::AdminListen;
use super::urls::HttpsUrl;
use super::values::{Flag, Hidden, Parsed, Size, Whole};
use crate::net::tls::MinVersion;
use crate::telemetry::LogFormat;

pub(super) use feed::{AlertsFile, FallbackFile, FeedFile, RuleFile, SkipFile, SourceFile, StatsFile};
pub(super) use guard::{AuthFile, LimitFile};
pub(super) use route::{AuthRequestFile, CorsFile, HeadersFile, RespondFile, RouteFile};
pub(super) use session::SessionFile;
pub(super) use upstream::{HealthFile, UpstreamFile};

/// The configuration of steadfeed. `"${VAR}"` and `"${VAR:-default}"` expand in any string.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, title = "steadfeed")]
pub(super) struct ConfigFile {
    /// Threads that serve connections. Default: the CPUs this container may use.
    pub workers: Field<Whole>,
    /// Networks and addresses whose X-Forwarded-*, Forwarded and PROXY headers are believed. Default: none.
    pub trusted_proxies: Field<List<Parsed<IpNet>>>,
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
    /// Pools of HTTP backends that routes forward to.
    pub upstream: Field<Named<Table<UpstreamFile>>>,
    /// Which tokens (JWT) routes may ask for.
    pub auth: Field<Named<Table<AuthFile>>>,
    /// How often and how much, of routes that name it.
    pub limit: Field<Named<Table<LimitFile>>>,
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
    /// A PROXY header (v1 or v2) comes first on each connection; from `trusted_proxies` only. Default false.
    pub proxy_protocol: Field<Flag>,
    /// Answer every request with 308 to the first TLS listener (true), or to another place ("https://host:port").
    /// Default false.
    pub redirect_to_https: Field<FlagOr<HttpsUrl>>,
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
    /// A PEM file of the authorities by whom clients must be vouched for; whoever shows no certificate of theirs is refused.
    /// Default: none is asked for.
    pub client_ca: Field<Parsed<String>>,
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

/// The JSON Schema (draft 2020-12) of the config. Each table stands where it is used, so that it can be walked.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut settings = SchemaSettings::draft2020_12().for_deserialize();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<ConfigFile>().to_value()
}
