//! Why a request is refused: what the client is told of it, with which status, and under which name it is counted.
//!
//! Never: a token, or anything else that whoever reads the answer should not know.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::fault::TokenFault;
use super::rate::Excess;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the server is about to restart; try again in a moment")]
    Draining,
    #[error("the server holds as many connections as it may")]
    OverCap,
    /// `denied`: by the route's `deny`; else its `allow` does not name it.
    #[error("requests from this address are not taken here")]
    Address { denied: bool },
    #[error("this client asks too often; try again in {} s", excess.seconds())]
    TooOften { limit: Arc<str>, excess: Excess },
    #[error("{}", cap.told())]
    TooMany { limit: Arc<str>, cap: Cap, most: NonZeroU32 },
    #[error("pages of this origin may not open this socket; the route's `origins` must name it")]
    Origin { origin: String, authority: String },
    #[error("this connection's certificate is not for this host; ask again on a connection of its own")]
    Misdirected,
    /// `auth_request` was answered 401 or 403, with these `WWW-Authenticate`.
    #[error("this needs a leave that the request does not have")]
    Refused { status: StatusCode, challenges: Vec<HeaderValue> },
    /// `auth_request` was answered neither yes nor no.
    #[error("whether this may pass cannot be told")]
    Unclear { server: Arc<str>, status: StatusCode },
    /// `auth_request` was not answered.
    #[error("whether this may pass cannot be asked at the moment")]
    Unasked { reason: String },
    /// No token, or not a good one.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// The secret that tokens are signed with comes from an environment variable that is not set.
    #[error(
        "this needs a token, and none can be good: set the environment variable {variable} to the secret that tokens are signed with, and restart"
    )]
    NotSetUp { variable: Arc<str> },
}

/// A cap of a `[limit.NAME]` on what is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    Client,
    Subject,
    Route,
}

impl Denied {
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Denied::Draining | Denied::OverCap => StatusCode::SERVICE_UNAVAILABLE,
            Denied::Origin { .. } | Denied::Address { .. } => StatusCode::FORBIDDEN,
            Denied::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
            Denied::TooMany { cap: Cap::Client | Cap::Subject, .. } => StatusCode::TOO_MANY_REQUESTS,
            Denied::TooMany { cap: Cap::Route, .. } => StatusCode::SERVICE_UNAVAILABLE,
            Denied::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Denied::Refused { status, .. } => *status,
            Denied::Unclear { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Denied::Unasked { .. } => StatusCode::BAD_GATEWAY,
            Denied::Token(fault) => fault.status(),
            Denied::NotSetUp { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The `reason` of `steadfeed_denied_total`: for a limit, its key in `[limit.NAME]`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Denied::Draining => "draining",
            Denied::OverCap => "connections",
            Denied::Address { .. } => "address",
            Denied::TooOften { excess, .. } => excess.policy.key,
            Denied::TooMany { cap, .. } => cap.key(),
            Denied::Origin { .. } => "origin",
            Denied::Misdirected => "misdirected",
            Denied::Refused { .. } => "auth_request",
            Denied::Unclear { .. } | Denied::Unasked { .. } => "auth_request_failed",
            Denied::Token(fault) => fault.reason(),
            Denied::NotSetUp { .. } => "no_secret",
        }
    }
}

impl Cap {
    /// Its key in `[limit.NAME]`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Cap::Client => "connections_per_client",
            Cap::Subject => "connections_per_subject",
            Cap::Route => "connections",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Cap::Client => "this client has as many sockets open here as it may; close one first",
            Cap::Subject => "this user has as many sockets open here as one may; close one first",
            Cap::Route => "as many sockets are open here as may be; try again soon",
        }
    }
}
