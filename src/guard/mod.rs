//! The checks on a request, in the order in which [`admit`] makes them: what concerns the whole process first, since it
//! costs nothing, then what must be parsed.
//!
//! Never: answers; a check gives `Result<_, Denied>`, and one place turns that into a response.

pub mod algorithm;
pub mod auth;
pub mod auth_request;
pub mod carrier;
pub mod fault;
mod fetch;
mod jwks;
mod jwt;
pub mod key;
mod key_set;
pub mod options;
pub mod origin;
pub mod sign;
#[cfg(test)]
mod testing;
mod ticket;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, StatusCode};

pub use auth::{Auth, AuthError, Auths};
pub use auth_request::{Check, Grant};
pub use carrier::{Found, forward};
pub use fault::{Flaw, TokenFault};
pub use key::KeyError;
pub use options::{Algorithm, AuthOptions, Carrier, ForwardToken, JwksUrl, KeyOptions, LimitOptions};
pub use origin::{OriginHost, OriginPort, OriginRule};
pub use sign::{SignError, Signer};

/// What a request is checked for.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    pub request: &'a Parts,
    /// The host that the client asked for, with its port: what a trusted proxy says, else `Host`.
    pub authority: &'a str,
    /// The client asked over TLS; `None` where that is not known, since TLS may have ended before us.
    pub https: Option<bool>,
    /// It would open a socket or an event stream.
    pub lasting: bool,
    pub draining: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the server is about to restart; try again in a moment")]
    Draining,
    #[error("the server holds as many connections as it may")]
    OverCap,
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
}

/// Makes every check that a route asks for.
///
/// # Errors
/// The first that fails.
pub fn admit(visit: &Visit<'_>, origins: &[OriginRule]) -> Result<(), Denied> {
    if visit.lasting && visit.draining {
        return Err(Denied::Draining);
    }
    if visit.lasting {
        origin::check(origins, visit)?;
    }
    Ok(())
}

impl Denied {
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Denied::Draining | Denied::OverCap => StatusCode::SERVICE_UNAVAILABLE,
            Denied::Origin { .. } => StatusCode::FORBIDDEN,
            Denied::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Denied::Refused { status, .. } => *status,
            Denied::Unclear { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Denied::Unasked { .. } => StatusCode::BAD_GATEWAY,
            Denied::Token(fault) => fault.status(),
        }
    }

    /// The `reason` of `steadfeed_denied_total`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Denied::Draining => "draining",
            Denied::OverCap => "connections",
            Denied::Origin { .. } => "origin",
            Denied::Misdirected => "misdirected",
            Denied::Refused { .. } => "auth_request",
            Denied::Unclear { .. } | Denied::Unasked { .. } => "auth_request_failed",
            Denied::Token(fault) => fault.reason(),
        }
    }
}
