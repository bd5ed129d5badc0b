//! What a configuration of nginx comes to: the tables of our config, not yet written.

/// The whole config.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub workers: Option<usize>,
    pub trusted_proxies: Vec<String>,
    /// `[log] access`, where it is off.
    pub access_off: bool,
    /// `[limits]`: key and value, in the order they were found.
    pub limits: Vec<(&'static str, String)>,
    pub listeners: Vec<Listener>,
    pub upstreams: Vec<Upstream>,
    pub rates: Vec<Rates>,
    pub routes: Vec<Route>,
    /// Headers were dropped that are written for every upstream.
    pub drops_usual_headers: bool,
}

/// `[[listener]]`
#[derive(Debug, Default)]
pub(super) struct Listener {
    pub address: String,
    pub comment: Option<String>,
    pub proxy_protocol: bool,
    pub redirect_to_https: Option<Redirected>,
    pub tls: bool,
    /// Certificate and key.
    pub certificates: Vec<(String, String)>,
    pub min_version: Option<&'static str>,
    pub client_ca: Option<String>,
}

/// `redirect_to_https`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirected {
    SameHost,
    To(String),
}

/// `[upstream.NAME]`
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Upstream {
    pub name: String,
    pub servers: Vec<String>,
    pub balance: Option<&'static str>,
    /// Milliseconds.
    pub connect_timeout: Option<u64>,
    /// Milliseconds; for the head of a response and between two reads of its body.
    pub read_timeout: Option<u64>,
}

/// `[limit.NAME]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub name: String,
    pub requests: Option<String>,
    pub burst: Option<u32>,
    pub connections_per_client: Option<u32>,
    pub connections: Option<u32>,
}

/// `[[route]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub host: Option<String>,
    pub path: String,
    pub action: Action,
    pub strip_prefix: Option<String>,
    pub cache: Vec<(String, String)>,
    pub request_headers: Vec<(String, String)>,
    pub response_headers: Vec<(String, String)>,
    pub compress: bool,
    pub body_size: Option<String>,
    pub body_timeout: Option<String>,
    pub auth_request: Option<String>,
    /// Headers of its answer that the upstream is given.
    pub auth_copy: Vec<String>,
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    pub limit: Option<String>,
    /// Why it answers 403 until somebody has looked at it: nginx guarded it with what is not served here.
    pub closed: Option<String>,
    pub comments: Vec<String>,
}

/// What a route does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Proxy(String),
    Files { root: String, spa: Option<String> },
    Redirect { to: String, status: u16 },
    Respond { status: u16, body: String, type_: Option<String> },
}

impl Route {
    pub(super) fn new(path: String, action: Action) -> Route {
        Route {
            host: None,
            path,
            action,
            strip_prefix: None,
            cache: Vec::new(),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            compress: false,
            body_size: None,
            body_timeout: None,
            auth_request: None,
            auth_copy: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            limit: None,
            closed: None,
            comments: Vec::new(),
        }
    }
}
