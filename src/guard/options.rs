//! What the config says of who may ask, checked.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

use crate::rate::Rate;
use crate::secret::Secret;
use crate::upstream;

/// One `[auth.NAME]`: which tokens (JWT, RFC 7519) are good.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthOptions {
    pub name: String,
    pub key: KeyOptions,
    /// Not empty; all of one family, which fits the key.
    pub algorithms: Vec<Algorithm>,
    /// The claim `iss` must be this.
    pub issuer: Option<String>,
    /// The claim `aud` must be this, or hold it.
    pub audience: Option<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// Claims and the values that they must have: equal, or a member where the claim is an array.
    pub require: Vec<(String, serde_json::Value)>,
    /// Where a token is looked for; the first carrier present decides.
    pub from: Vec<Carrier>,
}

impl AuthOptions {
    /// Whether its keys are those of a set.
    #[must_use]
    pub fn has_key_set(&self) -> bool {
        match &self.key {
            KeyOptions::JwksUrl(_) | KeyOptions::JwksFile(_) => true,
            KeyOptions::Secret(_) | KeyOptions::PublicKeyFile(_) | KeyOptions::Absent { .. } => false,
        }
    }
}

/// What a token is verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOptions {
    /// Shared with whoever signs (HS*).
    Secret(Secret),
    /// PEM, of a public key or a certificate.
    PublicKeyFile(PathBuf),
    /// A JSON Web Key Set (RFC 7517), fetched and fetched again.
    JwksUrl(JwksUrl),
    /// The same from a file, read again when a `kid` is not known.
    JwksFile(PathBuf),
    /// None: the secret was written as `"${VARIABLE:-}"`, and the environment has no such variable. No token can be
    /// good, so whoever asks is told (503) that this variable is to be set.
    Absent { variable: String },
}

/// Where a key set is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl {
    /// An upstream of its own, with one server.
    pub upstream: Box<upstream::Options>,
    /// Path and query.
    pub path: String,
    /// As the config writes it.
    pub url: String,
}

/// Signature algorithms (RFC 7518, section 3.1; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// How a token comes with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer` (RFC 6750, section 2.1).
    Header,
    /// `Sec-WebSocket-Protocol: bearer, <token>`.
    Subprotocol,
    /// `cookie:NAME`
    Cookie(String),
    /// `query:NAME`
    Query(String),
    /// A one-time ticket, as `?ticket=`.
    Ticket,
}

/// One `[limit.NAME]`; what is `None` is not limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitOptions {
    pub name: String,
    /// New sockets a client.
    pub upgrades: Option<Rate>,
    /// How many of those may come at once, or of `requests` where there is no bound on those.
    pub burst: Option<NonZeroU32>,
    /// Requests a client.
    pub requests: Option<Rate>,
    pub connections_per_client: Option<NonZeroU32>,
    pub connections_per_subject: Option<NonZeroU32>,
    /// Of each route that names this limit.
    pub connections: Option<NonZeroU32>,
    /// Inbound, a socket.
    pub messages: Option<Rate>,
    /// Bytes, after inflating.
    pub message_size: usize,
}

impl LimitOptions {
    /// How many requests may come at once; `None` is as many as their rate has. Where sockets have a rate, the burst is theirs:
    /// what may come at once of those is no measure for requests.
    #[must_use]
    pub fn requests_burst(&self) -> Option<NonZeroU32> {
        self.burst.filter(|_| self.upgrades.is_none())
    }
}

/// How a client's own token is passed upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardToken {
    /// `Authorization: Bearer`.
    Header,
    /// `query:NAME`
    Query(String),
}

/// Header names that carry tokens: their values are never shown.
pub const TOKEN_HEADERS: [HeaderName; 3] =
    [http::header::AUTHORIZATION, http::header::COOKIE, http::header::SEC_WEBSOCKET_PROTOCOL];
