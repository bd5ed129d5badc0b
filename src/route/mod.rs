//! Routes: host and path to one action, behind its checks.

use crate::feed::Delivery;
use crate::guard::OriginRule;

/// One `[[route]]`, checked.
#[derive(Debug, Clone)]
pub struct Options {
    pub host: HostPattern,
    pub path: PathPattern,
    pub action: Action,
    /// For upgrades and SSE.
    pub origins: Vec<OriginRule>,
}

/// Lower-case, without a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Any,
    Exact(String),
    /// `*.example.com`, kept as `.example.com`: one or more labels before it.
    Suffix(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    Exact(String),
    /// `/api/*`, kept as `/api/`: that path and all below it.
    Prefix(String),
}

/// What a route does: exactly one.
#[derive(Debug, Clone)]
pub enum Action {
    /// The feed's name, and its delivery with the route's own overrides applied.
    Feed {
        feed: String,
        delivery: Delivery,
    },
    /// The built-in live page of a feed.
    Page {
        feed: String,
    },
    Respond(Respond),
}

/// A fixed answer.
#[derive(Debug, Clone)]
pub struct Respond {
    pub status: http::StatusCode,
    pub body: bytes::Bytes,
    /// `Content-Type`.
    pub type_: http::HeaderValue,
}
