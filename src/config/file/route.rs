//! `[[route]]` as it is typed.

use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::session::SessionFile;
use crate::config::choice::OneOf;
use crate::config::either::TextOr;
use crate::config::field::{Field, List, Named, Table};
use crate::config::texts::HeaderText;
use crate::config::urls::{AuthUrl, Location};
use crate::config::values::{DurationOrFalse, Flag, Parsed, Size, Whole};
use crate::feed::Shape;
use crate::guard::{ForwardToken, OriginRule};
use crate::route::{HostPattern, PathPattern};

/// `[[route]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct RouteFile {
    /// A host name, or "*.example.com" for all names below one. Default: every host.
    pub host: Field<Parsed<HostPattern>>,
    /// An exact path, or a prefix as in "/api/*".
    pub path: Field<Parsed<PathPattern>>,
    /// Serve this feed: WebSocket, SSE or plain GET. Exactly one of `feed`, `proxy`, `files`, `page`, `redirect`,
    /// `respond` and `ticket`.
    pub feed: Field<Parsed<String>>,
    /// Forward to this upstream; upgrades are tunnelled.
    pub proxy: Field<Parsed<String>>,
    /// Serve the files of this folder.
    pub files: Field<Parsed<String>>,
    /// Serve the built-in live page of this feed.
    pub page: Field<Parsed<String>>,
    /// Redirect to there; {host}, {path}, {query} (with its "?") and {uri} (path and query) are the request's own.
    pub redirect: Field<Parsed<Location>>,
    /// Give a fixed answer.
    pub respond: Field<Table<RespondFile>>,
    /// Answer POST, with a token that this [auth.NAME] finds good, with a one-time ticket for `?ticket=`.
    pub ticket: Field<Parsed<String>>,
    /// With `proxy`: WebSockets are understood, so that a client outlives its upstream socket.
    pub session: Field<Table<SessionFile>>,
    /// Ask for a token that this [auth.NAME] finds good. Default: everyone is let in.
    pub auth: Field<Parsed<String>>,
    /// How often and how much, by [limit.NAME]. Default: no bound.
    pub limit: Field<Parsed<String>>,
    /// Networks and addresses of clients that may ask. Default: all.
    pub allow: Field<List<Parsed<IpNet>>>,
    /// Networks and addresses of clients that may not, whatever `allow` says. Default: none.
    pub deny: Field<List<Parsed<IpNet>>>,
    /// With `proxy` and `auth`: pass the client's own token upstream, as "header" or "query:NAME". Default: never.
    pub forward_token: Field<Parsed<ForwardToken>>,
    /// With `files`: the file, as in "index.html", that is served for paths without an extension that are not there.
    pub spa: Field<Parsed<String>>,
    /// With `files`: path or prefix = Cache-Control; the most specific wins. Default: none.
    pub cache: Field<Named<Parsed<String>>>,
    /// With `redirect`: 301, 302, 303, 307 or 308. Default 308.
    pub status: Field<Whole>,
    /// With `proxy` or `files`: cut off the path first, as in "/api". Default: nothing.
    pub strip_prefix: Field<Parsed<PathPattern>>,
    /// Headers to set, or with "" to remove.
    pub headers: Field<Table<HeadersFile>>,
    /// A URL that is asked before each request whether it may pass: 2xx lets it; or { url = "...", copy = [...] }.
    pub auth_request: Field<TextOr<AuthUrl, AuthRequestFile>>,
    /// With `proxy` or `files`: compress what is text. Default false.
    pub compress: Field<Flag>,
    /// Which pages of other origins may read the answers.
    pub cors: Field<Table<CorsFile>>,
    /// With `proxy`: the largest request body. A size; default: that of [limits].
    pub body_size: Field<Size>,
    /// With `proxy`: between two reads of a request body. A duration; default: that of [limits].
    pub body_timeout: Field<Parsed<Duration>>,
    /// Which origins may open a WebSocket or SSE stream: "same", "*", "null", or as in "https://dash.example.com",
    /// "http://localhost:*", "https://*.example.com". Default ["same"].
    pub origins: Field<List<Parsed<OriginRule>>>,
    /// Overrides the feed's.
    pub shape: Field<OneOf<Shape>>,
    /// Overrides the feed's.
    pub greet: Field<Flag>,
    /// Overrides the feed's. A duration, or false.
    pub keepalive: Field<DurationOrFalse>,
    /// Overrides the feed's.
    pub notices: Field<Flag>,
}

/// `headers = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct HeadersFile {
    /// Of the request that is forwarded; with `proxy`.
    pub request: Field<Named<Parsed<HeaderText>>>,
    /// Of the response.
    pub response: Field<Named<Parsed<HeaderText>>>,
}

/// `auth_request = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct AuthRequestFile {
    /// What is asked, as in "http://app:8000/auth".
    pub url: Field<Parsed<AuthUrl>>,
    /// Headers of its answer that the forwarded request is given. Default: none.
    pub copy: Field<List<Parsed<HeaderName>>>,
}

/// `cors = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct CorsFile {
    /// As in the route's own `origins`.
    pub origins: Field<List<Parsed<OriginRule>>>,
    /// Cookies and authorization may come with the request. Default false.
    pub credentials: Field<Flag>,
}

/// `respond = { ... }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct RespondFile {
    /// The HTTP status. Default 200.
    pub status: Field<Whole>,
    /// The body. Default "".
    pub body: Field<Parsed<String>>,
    /// Its Content-Type. Default "text/plain; charset=utf-8".
    #[serde(rename = "type")]
    pub type_: Field<Parsed<http::HeaderValue>>,
}
