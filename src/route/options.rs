//! What the config says of a route, checked.

use std::fmt;

use crate::feed::Delivery;
use crate::guard::OriginRule;

/// One `[[route]]`.
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

/// As the config writes it.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Exact(path) => f.write_str(path),
            PathPattern::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// As the config writes it; nothing for any host.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Any => Ok(()),
            HostPattern::Exact(host) => f.write_str(host),
            HostPattern::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}
