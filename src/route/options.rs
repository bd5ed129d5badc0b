//! What the config says of a route, checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::feed::Delivery;
use crate::guard::{ForwardToken, OriginRule};
use crate::handler::SessionOptions;
use crate::{limits, upstream};

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub host: HostPattern,
    pub path: PathPattern,
    pub action: Action,
    /// For upgrades and SSE.
    pub origins: Vec<OriginRule>,
    /// Cut off the path before it is forwarded or looked up; as in `/api`, without a slash at its end.
    pub strip_prefix: Option<String>,
    pub headers: HeaderRules,
    pub cors: Option<Cors>,
    /// The `[auth.NAME]` whose tokens let in; `None` lets everyone in.
    pub auth: Option<String>,
    /// The `[limit.NAME]` that holds here.
    pub limit: Option<String>,
    /// Client addresses that may ask; empty is all.
    pub allow: Vec<IpNet>,
    /// Client addresses that may not, whatever `allow` says.
    pub deny: Vec<IpNet>,
    /// With `proxy`: the client's own token is passed upstream.
    pub forward_token: Option<ForwardToken>,
    /// Asked before each request whether it may pass.
    pub auth_request: Option<AuthRequest>,
    /// Compress what is text on the way to the client.
    pub compress: bool,
    /// Bytes of a request body.
    pub body_size: usize,
    /// Between two reads of a request body.
    pub body_timeout: Duration,
}

impl Options {
    /// A route with the defaults for all that may be left out.
    #[must_use]
    pub fn new(host: HostPattern, path: PathPattern, action: Action) -> Options {
        Options {
            host,
            path,
            action,
            origins: vec![OriginRule::Same],
            strip_prefix: None,
            headers: HeaderRules::default(),
            cors: None,
            auth: None,
            limit: None,
            allow: Vec::new(),
            deny: Vec::new(),
            forward_token: None,
            auth_request: None,
            compress: false,
            body_size: limits::BODY_SIZE,
            body_timeout: limits::BODY_TIMEOUT,
        }
    }
}

/// `headers`: what is set, or removed where there is no value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRules {
    pub request: Vec<(HeaderName, Option<HeaderValue>)>,
    pub response: Vec<(HeaderName, Option<HeaderValue>)>,
}

/// `cors`: which pages of other origins may read the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    pub origins: Vec<OriginRule>,
    /// Cookies and authorization may come with the request.
    pub credentials: bool,
}

/// `auth_request`: a subrequest that is answered 2xx where the request may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthRequest {
    /// An upstream of its own, with one server.
    pub upstream: upstream::Options,
    /// Path and query.
    pub path: String,
    /// Headers of its answer that the forwarded request is given.
    pub copy: Vec<HeaderName>,
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
#[derive(Debug, Clone, PartialEq)]
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
    /// Forward to this upstream; upgrades are tunnelled.
    Proxy {
        upstream: String,
    },
    /// Forward to this upstream; WebSockets are sessions, one upstream socket a client.
    Session {
        upstream: String,
        session: SessionOptions,
    },
    /// POST, with a token that this `[auth.NAME]` finds good, gives a one-time ticket.
    Ticket {
        auth: String,
    },
    Files(Files),
    Redirect(Redirect),
}

/// A folder that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub root: PathBuf,
    /// Given, of `root`, in place of a path without an extension that is not there.
    pub spa: Option<String>,
    /// `Cache-Control` by path; the most specific pattern wins.
    pub cache: Vec<(PathPattern, HeaderValue)>,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `Location`, in which `{host}`, `{path}`, `{query}` (with its `?`) and `{uri}` (path and query) stand for the
    /// request's own.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub status: http::StatusCode,
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
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
