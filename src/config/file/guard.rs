//! `[auth.NAME]` and `[limit.NAME]` as they are typed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::choice::OneOf;
use crate::config::dials::HttpUrl;
use crate::config::field::{Field, List, Named};
use crate::config::values::{Hidden, Json, Parsed, Size, Whole};
use crate::guard::{Algorithm, Carrier};
use crate::rate::Rate;

/// `[auth.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct AuthFile {
    /// What tokens are signed with (HS256, HS384, HS512). Exactly one of `secret`, `secret_file`, `public_key_file`,
    /// `jwks_url` and `jwks_file`. As "${VAR:-}" it may be unset: then the routes that need it answer 503.
    pub secret: Field<Hidden>,
    /// A file that holds the secret.
    pub secret_file: Field<Parsed<String>>,
    /// A PEM file: the public key, or the certificate, of whoever signs tokens.
    pub public_key_file: Field<Parsed<String>>,
    /// A key set (RFC 7517) that is fetched, and fetched again when a token names a key that it lacks.
    pub jwks_url: Field<Parsed<HttpUrl>>,
    /// The same from a file.
    pub jwks_file: Field<Parsed<String>>,
    /// Signature algorithms that are good. Default: those that fit the key.
    pub algorithms: Field<List<OneOf<Algorithm>>>,
    /// What the claim `iss` must be. Default: anything.
    pub issuer: Field<Parsed<String>>,
    /// What the claim `aud` must be, or hold. Default: anything.
    pub audience: Field<Parsed<String>>,
    /// How far clocks may differ. A duration; default "30s".
    pub leeway: Field<Parsed<Duration>>,
    /// Claim = the value it must have, or hold where it is a list. Default: none.
    pub require: Field<Named<Json>>,
    /// Where a token is looked for; the first that is there decides: "header", "subprotocol", "query:NAME",
    /// "cookie:NAME", "ticket". Default ["header", "subprotocol", "query:token", "ticket"].
    pub from: Field<List<Parsed<Carrier>>>,
}

/// `[limit.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct LimitFile {
    /// New sockets a client address. A rate, as in "30/min". Default: no bound.
    pub upgrades: Field<Parsed<Rate>>,
    /// How many sockets may come at once before the rate of `upgrades` is held against them, or without that one requests
    /// before theirs. Default: as many as the rate has.
    pub burst: Field<Whole>,
    /// Requests a client address. A rate. Default: no bound.
    pub requests: Field<Parsed<Rate>>,
    /// Sockets of one client address. Default: no bound.
    pub connections_per_client: Field<Whole>,
    /// Sockets of one token's `sub`. Default: no bound.
    pub connections_per_subject: Field<Whole>,
    /// Sockets of one route. Default: no bound.
    pub connections: Field<Whole>,
    /// Messages that one socket may say; over it it is closed with 1008. A rate. Default: no bound.
    pub messages: Field<Parsed<Rate>>,
    /// One such message, after inflating; over it the socket is closed with 1009. A size; default "64KiB".
    pub message_size: Field<Size>,
}
