//! The route table: from a request's host and path to the most specific route.
//!
//! Owns: what "most specific" means: a named host before a wildcard, the longer wildcard first, any host last; within a
//! host the exact path, then the longest prefix. Where the named host has nothing for the path, the next one is asked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;

use super::options::{self, Action, AuthRequest, Cors, HeaderRules, HostPattern, Options, PathPattern};
use crate::feed::Delivery;
use crate::guard::connections::RouteCount;
use crate::guard::{Check, ForwardToken, Guards, Network, TokenRule, Wardens};
use crate::handler::files::{CacheRule, Folder};
use crate::handler::{Asset, FeedDoor, Files, Fixed, Forwarding, Handler, Proxy, Redirect, Session, Ticket};
use crate::message::framing::Rule;
use crate::message::target::{self, Readings};
use crate::page::{Door, Page};
use crate::telemetry::{Metrics, RouteMeters};

/// All routes.
#[derive(Debug, Default)]
pub struct Table {
    hosts: HashMap<String, Paths>,
    /// Longest first.
    suffixes: Vec<(String, Paths)>,
    any: Paths,
    /// What of each route outlives a table, in the config's order.
    lasting: Vec<Lasting>,
    /// One of them has `allow` or `deny`.
    is_restricted: bool,
}

/// What of a route outlives its table, where the next one has the route, too.
#[derive(Debug, Clone)]
pub struct Lasting {
    pub meters: Arc<RouteMeters>,
    /// What is open on it.
    pub open: RouteCount,
    network: Network,
}

/// What a route has from the table before.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Where its sockets stay.
    pub meters: Option<Arc<RouteMeters>>,
    pub open: Option<RouteCount>,
}

/// A route, ready to serve.
#[derive(Debug)]
pub struct Route {
    pub handler: Handler,
    pub guards: Guards,
    pub cors: Option<Cors>,
    pub headers: HeaderRules,
    pub check: Option<Check>,
    /// The client's token goes on with its request.
    pub forward_token: Option<ForwardToken>,
    /// What is text is compressed on the way.
    pub compress: bool,
    pub meters: Arc<RouteMeters>,
}

#[derive(Debug, Default)]
struct Paths {
    exact: HashMap<String, Arc<Route>>,
    /// Longest first.
    prefixes: Vec<(String, Arc<Route>)>,
}

impl Table {
    /// `alerts` gives the feeds that watch a feed, for its page; `kept` what there is of a route from the table before.
    #[must_use]
    pub fn new(
        routes: &[Options],
        wardens: &Wardens,
        metrics: &Metrics,
        alerts: impl Fn(&str) -> Vec<String>,
        kept: impl Fn(&Options) -> Kept,
    ) -> Table {
        let mut table = Table::default();
        for options in routes {
            let name = format!("{}{}", options.host, options.path);
            let Kept { meters: known, open } = kept(options);
            let meters = known.unwrap_or_else(|| Arc::new(meters(&options.action, &name, metrics)));
            let guards = Guards { open: open.unwrap_or_default(), ..guards(options, wardens) };
            table.is_restricted |= !options.allow.is_empty() || !options.deny.is_empty();
            table.lasting.push(Lasting {
                meters: Arc::clone(&meters),
                open: guards.open.clone(),
                network: guards.network.clone(),
            });
            let mut add = |path: PathPattern, handler: Handler| {
                let route = Route {
                    guards: guards_of(&handler, &guards),
                    handler,
                    cors: options.cors.clone(),
                    headers: options.headers.clone(),
                    check: options.auth_request.as_ref().map(check),
                    forward_token: options.forward_token.clone(),
                    compress: options.compress,
                    meters: Arc::clone(&meters),
                };
                table.paths_mut(&options.host).insert(path, Arc::new(route));
            };
            match &options.action {
                Action::Feed { feed, delivery } => {
                    add(options.path.clone(), Handler::Feed(door(&options.path, feed, delivery)));
                }
                Action::Respond(fixed) => {
                    let fixed = Fixed { status: fixed.status, type_: fixed.type_.clone(), body: fixed.body.clone() };
                    add(options.path.clone(), Handler::Respond(fixed));
                }
                Action::Redirect(to) => {
                    let redirect = Redirect { to: to.to.clone(), status: to.status };
                    add(options.path.clone(), Handler::Redirect(redirect));
                }
                Action::Proxy { upstream } => add(options.path.clone(), Handler::Proxy(proxy(upstream, options))),
                Action::Session { upstream, session } => {
                    let forwarding = options.forward_token.as_ref().map(forwarding);
                    let session = Session::new(proxy(upstream, options), session, forwarding, metrics.session(&name));
                    add(options.path.clone(), Handler::Session(session));
                }
                Action::Ticket { auth } => {
                    add(options.path.clone(), Handler::Ticket(Ticket { auth: auth.clone() }));
                }
                Action::Files(files) => add(options.path.clone(), Handler::Files(folder(options, files))),
                Action::Page { feed } => {
                    let path = options.path.to_string();
                    let page = page(routes, feed, &alerts(feed), options.auth.as_deref(), guards.token.query());
                    add(options.path.clone(), Handler::Page(Asset::document(page.document(&path))));
                    for (name, asset) in Page::assets(&path) {
                        add(PathPattern::Exact(name), Handler::Page(Asset::part(asset)));
                    }
                }
            }
        }
        table.sort();
        table
    }

    /// What of each route outlives the table, in the config's order.
    #[must_use]
    pub fn lasting(&self) -> &[Lasting] {
        &self.lasting
    }

    /// Whether what a client opened by the route of these meters, in this table or in one before that is retired, may stay.
    #[must_use]
    pub fn lets_stay(&self, meters: &Arc<RouteMeters>, client: IpAddr) -> bool {
        let bars = |lasting: &Lasting| Arc::ptr_eq(&lasting.meters, meters) && lasting.network.check(client).is_err();
        let is_barred = self.is_restricted && self.lasting.iter().any(bars);
        !(meters.is_retired() || is_barred)
    }

    /// The route for `host` (without a port) and `path`, whichever way the path is read.
    ///
    /// # Errors
    /// If it is none, or its readings lead to different routes.
    pub fn route(&self, host: &str, path: &str) -> Result<Option<&Arc<Route>>, Rule> {
        let Readings { plain, resolved } = target::readings(path).ok_or(Rule::Path)?;
        let route = self.find(host, &resolved);
        let same = || match (route, self.find(host, &plain)) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if plain == resolved || same() { Ok(route) } else { Err(Rule::Path) }
    }

    /// The route for `host` (without a port) and `path` in its normal form. A dot at the host's end says only that it is
    /// whole (RFC 1034, section 3.1).
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let suffix = |suffix: &str| host.len() > suffix.len() && host.ends_with(suffix);
        let wild = self.suffixes.iter().filter(|(pattern, _)| suffix(pattern)).map(|(_, paths)| paths);
        self.hosts.get(&*host).into_iter().chain(wild).chain([&self.any]).find_map(|paths| paths.find(path))
    }

    fn paths_mut(&mut self, host: &HostPattern) -> &mut Paths {
        match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(host) => self.hosts.entry(host.clone()).or_default(),
            HostPattern::Suffix(suffix) => {
                let place = self.suffixes.iter().position(|(known, _)| known == suffix).unwrap_or_else(|| {
                    self.suffixes.push((suffix.clone(), Paths::default()));
                    self.suffixes.len() - 1
                });
                &mut self.suffixes[place].1
            }
        }
    }

    fn sort(&mut self) {
        self.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        let suffixed = self.suffixes.iter_mut().map(|(_, paths)| paths);
        for paths in self.hosts.values_mut().chain(suffixed).chain([&mut self.any]) {
            paths.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        }
    }
}

impl Paths {
    /// The first route for a path stays: a page's own parts never displace a route that was written down.
    fn insert(&mut self, path: PathPattern, route: Arc<Route>) {
        match path {
            PathPattern::Exact(path) => drop(self.exact.entry(path).or_insert(route)),
            PathPattern::Prefix(prefix) => self.prefixes.push((prefix, route)),
        }
    }

    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        self.exact.get(path).or_else(|| {
            self.prefixes.iter().find(|(prefix, _)| path.starts_with(prefix.as_str())).map(|(_, route)| route)
        })
    }
}

fn door(path: &PathPattern, feed: &str, delivery: &Delivery) -> FeedDoor {
    let (path, is_prefix) = match path {
        PathPattern::Exact(path) => (path, false),
        PathPattern::Prefix(path) => (path, true),
    };
    FeedDoor { is_prefix, ..FeedDoor::at(path, feed, Arc::new(delivery.clone())) }
}

fn folder(route: &Options, files: &options::Files) -> Files {
    let rule = |(path, value): &(PathPattern, HeaderValue)| match path {
        PathPattern::Exact(path) => CacheRule { path: path.clone(), prefix: false, value: value.clone() },
        PathPattern::Prefix(path) => CacheRule { path: path.clone(), prefix: true, value: value.clone() },
    };
    let folder = Folder {
        root: files.root.clone(),
        spa: files.spa.clone(),
        cache: files.cache.iter().map(rule).collect(),
        compress: route.compress,
    };
    Files::new(folder, route.strip_prefix.clone())
}

fn forwarding(token: &ForwardToken) -> Forwarding {
    match token {
        ForwardToken::Header => Forwarding::Header,
        ForwardToken::Query(name) => Forwarding::Query(name.as_str().into()),
    }
}

fn proxy(upstream: &str, options: &Options) -> Proxy {
    let ruled = options.headers.request.iter().map(|(name, _)| name.clone());
    let copied = options.auth_request.iter().flat_map(|asked| asked.copy.iter().cloned());
    Proxy {
        upstream: upstream.to_owned(),
        strip_prefix: options.strip_prefix.clone(),
        body_size: options.body_size as u64,
        body_timeout: options.body_timeout,
        headers: options.headers.request.clone(),
        barred: ruled.chain(copied).collect(),
    }
}

/// A page's parts have those of the page: their counts are one.
fn guards(options: &Options, wardens: &Wardens) -> Guards {
    let token = match (&options.action, &options.auth) {
        // One ticket is not had for another.
        (Action::Ticket { auth }, _) => wardens.token(auth, false),
        (_, Some(auth)) => wardens.token(auth, true),
        (_, None) => TokenRule::None,
    };
    Guards {
        token,
        network: Network::new(&options.allow, &options.deny),
        origins: options.origins.as_slice().into(),
        limit: options.limit.as_deref().and_then(|name| wardens.limit(name)).map(Arc::clone),
        ..Guards::default()
    }
}

/// What is counted of a route that does this.
fn meters(action: &Action, name: &str, metrics: &Metrics) -> RouteMeters {
    match action {
        Action::Proxy { .. } => metrics.tunnels(name),
        Action::Session { .. } => metrics.sessions(name),
        Action::Feed { .. }
        | Action::Page { .. }
        | Action::Respond(_)
        | Action::Ticket { .. }
        | Action::Files(_)
        | Action::Redirect(_) => metrics.route(name),
    }
}

fn check(asked: &AuthRequest) -> Check {
    Check::new(asked.upstream.name.clone(), &asked.path, asked.copy.clone())
}

/// What the guards of a route ask of its `handler`'s requests. What every page loads holds no secret, and browsers ask for it
/// without the token that stands in the page's own address.
fn guards_of(handler: &Handler, guards: &Guards) -> Guards {
    let is_part = matches!(handler, Handler::Page(asset) if asset.is_part());
    let token = if is_part { TokenRule::None } else { guards.token.clone() };
    Guards { token, ..guards.clone() }
}

/// The page of `feed`, which `alerts` watch, behind an `auth` that looks for a token in this parameter of the query.
fn page<'a>(
    routes: &'a [Options],
    feed: &'a str,
    alerts: &[String],
    auth: Option<&str>,
    token: Option<&'a str>,
) -> Page<'a> {
    let alerts = alerts.iter().filter_map(|name| page_door(routes, name, auth)).collect();
    Page { name: feed, feed: page_door(routes, feed, auth), alerts, token }
}

/// Where a page asks for a feed: by the page's own `auth`, else where everyone may, else where it first is served.
fn page_door<'a>(routes: &'a [Options], feed: &str, auth: Option<&str>) -> Option<Door<'a>> {
    let doors = routes.iter().filter_map(|route| match (&route.action, &route.path) {
        (Action::Feed { feed: served, .. }, PathPattern::Exact(path)) if served == feed => {
            Some((route.auth.as_deref(), path.as_str()))
        }
        (
            Action::Feed { .. }
            | Action::Page { .. }
            | Action::Respond(_)
            | Action::Proxy { .. }
            | Action::Session { .. }
            | Action::Ticket { .. }
            | Action::Files(_)
            | Action::Redirect(_),
            _,
        ) => None,
    });
    // The first of those that are alike.
    let (asks, path) = doors.min_by_key(|(asks, _)| (*asks != auth, asks.is_some()))?;
    Some(Door { path, token: asks.is_some() && asks == auth })
}

#[cfg(test)]
mod tests {
    use super::{Kept, Table};
    use crate::guard::Wardens;
    use crate::handler::Handler;
    use crate::message::framing::Rule;
    use crate::route::{Action, HostPattern, Options, PathPattern, Respond};
    use crate::telemetry::Metrics;

    fn route(host: HostPattern, path: PathPattern, name: &'static str) -> Options {
        let answer = Respond {
            status: http::StatusCode::OK,
            body: bytes::Bytes::from_static(name.as_bytes()),
            type_: http::HeaderValue::from_static("text/plain"),
        };
        Options::new(host, path, Action::Respond(answer))
    }

    fn table() -> Table {
        let exact = |path: &str| PathPattern::Exact(path.to_owned());
        let prefix = |path: &str| PathPattern::Prefix(path.to_owned());
        let routes = [
            route(HostPattern::Any, prefix("/"), "any"),
            route(HostPattern::Any, prefix("/api/"), "api"),
            route(HostPattern::Any, prefix("/api/v1/"), "v1"),
            route(HostPattern::Any, exact("/api/v1/x"), "x"),
            route(HostPattern::Suffix(".example.com".to_owned()), prefix("/api/"), "wild"),
            route(HostPattern::Suffix(".b.example.com".to_owned()), prefix("/api/"), "wilder"),
            route(HostPattern::Exact("a.example.com".to_owned()), exact("/api/y"), "named"),
        ];
        Table::new(&routes, &Wardens::default(), &Metrics::new(), |_| Vec::new(), |_| Kept::default())
    }

    #[track_caller]
    fn check(host: &str, path: &str, expected: &str) {
        let table = table();
        let route = table.find(host, path).expect("the last prefix takes everything");
        let Handler::Respond(fixed) = &route.handler else { panic!("only respond routes here") };
        assert_eq!(fixed.body, expected.as_bytes(), "{host}{path}");
    }

    #[test]
    fn the_most_specific_route_wins() {
        check("z", "/", "any");
        check("z", "/api", "any");
        check("z", "/api/", "api");
        check("z", "/api/v1/y", "v1");
        check("z", "/api/v1/x", "x");
        check("A.Example.com", "/api/y", "named");
        check("a.example.com", "/api/z", "wild");
        check("a.b.example.com", "/api/z", "wilder");
        check("example.com", "/api/z", "api");
        check("evil-example.com", "/api/z", "api");
        check("a.example.com", "/other", "any");
        check("a.example.com.", "/api/y", "named");
    }

    #[track_caller]
    fn check_route(path: &str, expected: Result<&str, Rule>) {
        let table = table();
        let found = table.route("z", path).map(|route| {
            let Handler::Respond(fixed) = &route.expect("the last prefix takes everything").handler else {
                panic!("only respond routes here")
            };
            String::from_utf8(fixed.body.to_vec()).unwrap()
        });
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{path}");
    }

    #[test]
    fn a_path_that_leads_to_two_routes_leads_to_none() {
        check_route("/%61pi/x", Ok("api"));
        check_route("/api%2fx", Err(Rule::Path));
        check_route("//api/x", Err(Rule::Path));
        check_route("/other/../api/x", Err(Rule::Path));
        check_route("/api/%2e%2e/other", Err(Rule::Path));
        check_route("/api/a/../b", Ok("api"));
        check_route("/api//x", Ok("api"));
        check_route("/..", Err(Rule::Path));
    }
}
