//! `[upstream.NAME]` as it is typed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::choice::OneOf;
use crate::config::field::{Field, List, Table};
use crate::config::urls::Target;
use crate::config::values::{Parsed, Whole};
use crate::upstream::{Balance, Server};

/// `[upstream.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct UpstreamFile {
    /// Where requests are forwarded to: "http://host:port", "https://host", "h2c://host:port" (HTTP/2 without TLS) or
    /// "unix:/path". A name that does not resolve yet is no error.
    pub servers: Field<List<Parsed<Server>>>,
    /// How often names are looked up again. A duration; default "10s".
    pub resolve: Field<Parsed<Duration>>,
    /// Which server is next; for "least_conn" open sockets count. Default "least_conn".
    pub balance: Field<OneOf<Balance>>,
    /// Ask each server every so often whether it is well. Default: servers are judged by what is forwarded alone.
    pub health: Field<Table<HealthFile>>,
    /// A PEM file of the authorities whom https servers are believed by, in place of this machine's.
    pub ca: Field<Parsed<String>>,
    /// To connect, TLS included. A duration; default "2s".
    pub connect_timeout: Field<Parsed<Duration>>,
    /// To the head of the response. A duration; default "60s".
    pub response_timeout: Field<Parsed<Duration>>,
    /// Between two reads of a body; never applied to an upgraded socket. A duration; default "60s".
    pub idle_timeout: Field<Parsed<Duration>>,
}

/// `health = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct HealthFile {
    /// The path that a well server answers with 2xx or 3xx.
    pub path: Field<Parsed<Target>>,
    /// How often it is asked. A duration; default "5s".
    pub every: Field<Parsed<Duration>>,
    /// How long it may take to answer. A duration; default "2s".
    pub timeout: Field<Parsed<Duration>>,
    /// Failures in a row until it counts as down. Default 3.
    pub fall: Field<Whole>,
    /// Successes in a row until it counts as up again. Default 2.
    pub rise: Field<Whole>,
}
