//! From the tree of directives to the tables of our config.
//!
//! Owns: the order in which things are looked at, and what holds for the whole process.

use std::fmt;

use super::access::cidr;
use super::listeners::listeners;
use super::location::Places;
use super::model::{Action, Route, Site};
use super::pass::Upstreams;
use super::report::Report;
use super::scope::Scope;
use super::servers::{Hosts, Server, servers};
use super::syntax::{Directive, Tree};
use super::values::{bytes, duration, millis, size};
use crate::limits;

/// `[limits]`: a key, and the directive that gives it a time.
const TIMES: [(&str, &str); 4] = [
    ("header_timeout", "client_header_timeout"),
    ("body_timeout", "client_body_timeout"),
    ("send_timeout", "send_timeout"),
    ("keepalive_timeout", "keepalive_timeout"),
];

/// What nginx calls no limit, as the largest body we take.
const UNLIMITED: u64 = 1 << 40;

/// A translation in the making.
pub(super) struct Translation {
    pub report: Report,
    pub site: Site,
    pub upstreams: Upstreams,
}

impl fmt::Debug for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translation").field("site", &self.site).finish_non_exhaustive()
    }
}

/// What a tree comes to, and what is to be said of it.
pub(super) fn translate(tree: &Tree) -> (Site, Report) {
    let mut translation =
        Translation { report: Report::new(tree), site: Site::default(), upstreams: Upstreams::default() };
    // A file of servers alone, as containers have it, is read as if it stood within `http`.
    let mut http = Scope::default().with(&tree.directives);
    for block in tree.directives.iter().filter(|directive| directive.name == "http") {
        translation.report.see(block);
        http = http.with(block.inside());
    }
    translation.process(&http);
    translation.upgrade_maps(&http);
    let servers = servers(&http, &mut translation);
    translation.bounds(&http, &servers);
    translation.site.listeners = listeners(&servers, &mut translation);
    translation.trust(&servers);
    let one_takes_all = servers.iter().any(|server| server.hosts == Hosts::Any && !server.only_https);
    for server in &servers {
        translation.server(server, one_takes_all);
    }
    translation.site.upstreams = std::mem::take(&mut translation.upstreams.tables);
    translation.report.finish(&tree.directives);
    (translation.site, translation.report)
}

impl Translation {
    /// Workers, trusted proxies, logs.
    fn process(&mut self, http: &Scope<'_>) {
        if let Some(directive) = http.last("worker_processes") {
            self.report.see(directive);
            self.site.workers =
                directive.arg(0).parse().ok().filter(|workers| (1..=limits::WORKERS_MAX).contains(workers));
        }
        let servers: Vec<Scope<'_>> = http.all("server").map(|server| http.with(server.inside())).collect();
        for scope in servers.iter().chain([http]) {
            for directive in scope.nearest("set_real_ip_from") {
                self.report.see(directive);
                match cidr(directive.arg(0)) {
                    Some(network) if !self.site.trusted_proxies.contains(&network) => {
                        self.site.trusted_proxies.push(network);
                    }
                    Some(_) => {}
                    None => self.report.left(directive, "proxies are trusted by address", "write their network"),
                }
            }
            for directive in scope.nearest("real_ip_header") {
                self.report.see(directive);
                if !matches!(directive.arg(0).to_ascii_lowercase().as_str(), "x-forwarded-for" | "proxy_protocol") {
                    let why = "a client's address is read from X-Forwarded-For, Forwarded or the PROXY header";
                    self.report.left(directive, why, "let the proxy in front set X-Forwarded-For");
                }
            }
        }
        let logs = http.nearest("access_log");
        self.site.access_off = logs.iter().any(|directive| directive.arg(0) == "off");
        for directive in logs.into_iter().filter(|directive| directive.arg(0) == "off") {
            self.report.see(directive);
        }
        self.access_logs(http);
    }

    /// Where the access log goes is nobody's question here: it is on standard output, for all routes or none.
    fn access_logs(&mut self, scope: &Scope<'_>) {
        for directive in scope.own() {
            if directive.name == "access_log" {
                self.report.needless(directive);
            }
            self.access_logs(&Scope::default().with(directive.inside()));
        }
    }

    /// A PROXY header is believed of somebody only.
    fn trust(&mut self, servers: &[Server<'_>]) {
        let mut listens = servers.iter().flat_map(|server| server.scope.own_named("listen"));
        let Some(directive) = listens.find(|d| d.args.iter().any(|arg| arg == "proxy_protocol")) else { return };
        if self.site.trusted_proxies.is_empty() && self.site.listeners.iter().any(|listener| listener.proxy_protocol) {
            self.site.trusted_proxies = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(str::to_owned).into();
            let why = "a PROXY header is believed of trusted proxies only, and nginx named none";
            self.report.note(directive, why, "name yours in place of the private networks in `trusted_proxies`");
        }
    }

    /// `map $http_upgrade $connection_upgrade`: upgrades pass by themselves.
    fn upgrade_maps(&mut self, http: &Scope<'_>) {
        for map in http.all("map").filter(|map| map.arg(0) == "$http_upgrade") {
            self.report.see_all(map);
            self.report.needless(map);
            self.site.drops_usual_headers = true;
        }
    }

    /// `[limits]`: what the servers agree on.
    fn bounds(&mut self, http: &Scope<'_>, servers: &[Server<'_>]) {
        for (key, name) in TIMES {
            self.bound(key, name, http, servers, |directive| {
                millis(directive.arg(0)).filter(|&time| time > 0).map(duration)
            });
        }
        self.bound("header_size", "large_client_header_buffers", http, servers, |directive| {
            let count: u64 = directive.arg(0).parse().ok()?;
            let size = usize::try_from(count.checked_mul(bytes(directive.arg(1))?)?).ok()?;
            let size = size.clamp(limits::HEADER_SIZE_MIN, limits::HEADER_SIZE_MAX);
            Some(super::values::size(size as u64))
        });
        let all: Vec<&Directive> =
            servers.iter().filter_map(|server| server.scope.last("client_max_body_size")).collect();
        if let Some(first) = all.first()
            && (http.last("client_max_body_size").is_some() || all.iter().all(|other| other.args == first.args))
        {
            let holds = http.last("client_max_body_size").unwrap_or(first);
            self.report.see(holds);
            if let Some(size) = body_size(holds.arg(0)) {
                self.site.limits.push(("body_size", size));
            }
            all.iter().filter(|other| other.args == holds.args).for_each(|other| self.report.see(other));
        }
    }

    /// A bound of the process: the first that is found, since it has but one.
    fn bound(
        &mut self,
        key: &'static str,
        name: &str,
        http: &Scope<'_>,
        servers: &[Server<'_>],
        value: impl Fn(&Directive) -> Option<String>,
    ) {
        let inner = servers.iter().flat_map(|server| server.scope.own_named(name).collect::<Vec<_>>());
        let mut kept: Option<String> = None;
        for directive in http.last(name).into_iter().chain(inner) {
            self.report.see(directive);
            match (value(directive), &kept) {
                (Some(value), None) => kept = Some(value),
                (Some(value), Some(kept)) if value == *kept => {}
                (Some(_), Some(_)) => {
                    self.report.left(
                        directive,
                        "this holds for the whole process, and is said otherwise before",
                        "see [limits]",
                    );
                }
                (None, _) => self.report.left(directive, "this can't be switched off", "see [limits]"),
            }
        }
        if let Some(value) = kept {
            self.site.limits.push((key, value));
        }
    }

    /// What a route says of request bodies, beside `[limits]`.
    pub(super) fn bodies(&mut self, route: &mut Route, scope: &Scope<'_>) {
        let general =
            |key: &str| self.site.limits.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone());
        if let Some(directive) = scope.last("client_max_body_size") {
            self.report.see(directive);
            route.body_size = body_size(directive.arg(0)).filter(|size| Some(size) != general("body_size").as_ref());
        }
        if let Some(directive) = scope.own_named("client_body_timeout").last() {
            self.report.see(directive);
            match millis(directive.arg(0)).filter(|&time| time > 0).map(duration) {
                Some(time) => {
                    route.body_timeout = Some(time).filter(|time| Some(time) != general("body_timeout").as_ref());
                }
                None => self.report.left(directive, "this can't be switched off", "see [limits]"),
            }
        }
    }

    /// The routes of one server, for each of its hosts.
    fn server(&mut self, server: &Server<'_>, one_takes_all: bool) {
        if server.hosts == Hosts::None {
            return;
        }
        super::files::error_pages(&server.scope, &mut self.report);
        let (routes, closed, hints) = match &server.whole {
            Some((action, _)) if !server.only_https => {
                let mut route = Route::new("/*".to_owned(), action.clone());
                let headers = super::headers::headers(&server.scope, false, &mut self.report);
                route.response_headers = headers.response;
                server.directive.inside().iter().filter(|d| d.name == "location").for_each(|d| {
                    self.report.see_all(d);
                    self.report.note(d, "the server answers before it is asked", "leave it out");
                });
                (vec![route], [None, None], Vec::new())
            }
            _ => {
                let mut places = Places {
                    around: server.around(),
                    server: server.scope.clone(),
                    sends_to_https: server.only_https,
                    routes: Vec::new(),
                    has_root: false,
                    closed: None,
                    closed_files: None,
                    hints: Vec::new(),
                    translation: self,
                };
                places.all();
                (places.routes, [places.closed, places.closed_files], places.hints)
            }
        };
        let mut routes = super::fold::folded(routes);
        for route in routes.iter_mut().filter(|route| route.path.ends_with("/*")) {
            let [all, files] = &closed;
            let why = match route.action {
                Action::Files { .. } => all.as_ref().or(files.as_ref()),
                Action::Proxy(_) => all.as_ref(),
                Action::Redirect { .. } | Action::Respond { .. } => None,
            };
            if route.closed.is_none() {
                route.closed = why.cloned();
            }
        }
        // The folder around all others stands last.
        if let Some(route) = routes.iter_mut().rfind(|route| matches!(route.action, Action::Files { .. })) {
            route.comments.extend(hints);
        }
        let is_whole = routes.iter().any(|route| route.path == "/*");
        if server.hosts == Hosts::Named && one_takes_all && !is_whole && !server.only_https {
            let mut rest =
                Route::new("/*".to_owned(), Action::Respond { status: 404, body: String::new(), type_: None });
            rest.comments.push("What this host has not, and the routes of every host would answer.".to_owned());
            routes.push(rest);
        }
        self.spread(server, &routes);
    }

    /// Writes the routes once a host.
    fn spread(&mut self, server: &Server<'_>, routes: &[Route]) {
        let hosts: Vec<Option<String>> = match server.hosts {
            Hosts::Any => vec![None],
            Hosts::Named => server.names.iter().cloned().map(Some).collect(),
            Hosts::None => Vec::new(),
        };
        for host in hosts {
            for route in routes {
                let route = Route { host: host.clone(), ..route.clone() };
                let stands = |other: &Route| other.host == route.host && other.path == route.path;
                if self.site.routes.len() >= limits::ROUTES {
                    let why = "there are more routes than a config may have";
                    return self.report.left(server.directive, why, "split the config");
                }
                if !self.site.routes.iter().any(stands) {
                    self.site.routes.push(route);
                } else if !server.only_https {
                    let why = format!(
                        "another server has {}{} already",
                        route.host.as_deref().unwrap_or_default(),
                        route.path
                    );
                    self.report.left(server.directive, &why, "give it a `host` of its own");
                }
            }
        }
    }
}

/// A size of nginx, where 0 is none at all.
fn body_size(text: &str) -> Option<String> {
    bytes(text).map(|bytes| size(if bytes == 0 { UNLIMITED } else { bytes }))
}
