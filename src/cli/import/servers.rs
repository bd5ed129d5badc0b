//! `server` blocks: which hosts each answers to, and the listeners they share.
//!
//! Our routes hold on every listener and are told apart by host, so that a server that only one port reached may have no
//! counterpart: it is listed whole, rather than opened to the other ports.

use super::listen::{Listen, listen};
use super::model::{Action, Redirected};
use super::redirect::{Around, Condition, condition, only_action, returned, rewritten, to_https};
use super::scope::Scope;
use super::syntax::Directive;
use super::translate::Translation;
use super::values::constant;

/// One `server`.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub directive: &'a Directive,
    pub scope: Scope<'a>,
    pub listens: Vec<Listen>,
    /// As `host` writes them.
    pub names: Vec<String>,
    /// What it sends to https, and which directive says so.
    pub https: Option<(Redirected, &'a Directive)>,
    /// It does nothing but that, but for its other locations.
    pub only_https: bool,
    /// What it answers to everything.
    pub whole: Option<(Action, &'a Directive)>,
    pub hosts: Hosts,
}

/// Which hosts a server's routes are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hosts {
    Any,
    Named,
    /// No request reaches it, or it can't be told apart.
    None,
}

impl Server<'_> {
    fn is_tls(&self) -> bool {
        self.listens.iter().any(|listen| listen.tls)
    }

    /// It only turns away what names no host of ours, which is done for every such request.
    pub(super) fn only_refuses(&self) -> bool {
        matches!(&self.whole, Some((Action::Respond { status: 400..=499, .. }, _)))
            || self.scope.own_named("ssl_reject_handshake").any(|d| d.arg(0) == "on")
    }

    pub(super) fn around(&self) -> Around {
        let plain = self.listens.iter().any(|listen| !listen.tls);
        let scheme = match (self.is_tls(), plain) {
            (true, false) => Some("https"),
            (false, _) => Some("http"),
            (true, true) => None,
        };
        Around { name: self.names.first().cloned(), scheme }
    }
}

/// All servers, with the hosts that each answers to.
pub(super) fn servers<'a>(http: &Scope<'a>, translation: &mut Translation) -> Vec<Server<'a>> {
    let mut servers: Vec<Server<'a>> =
        http.all("server").map(|directive| server(directive, http, translation)).collect();
    let has_ipv6: Vec<String> = servers
        .iter()
        .flat_map(|server| &server.listens)
        .filter_map(|listen| listen.address.strip_prefix("[::]:").map(str::to_owned))
        .collect();
    for server in &mut servers {
        for listen in &mut server.listens {
            // One socket takes both, and a second would find the port in use.
            if let Some(port) =
                listen.address.strip_prefix("0.0.0.0:").filter(|port| has_ipv6.iter().any(|v6| v6 == port))
            {
                listen.address = format!("[::]:{port}");
            }
        }
    }
    let tls: Vec<String> =
        servers.iter().flat_map(|s| &s.listens).filter(|l| l.tls).map(|l| l.address.clone()).collect();
    for server in &mut servers {
        // TLS is the address's, whichever server says so.
        server.listens.iter_mut().for_each(|listen| listen.tls |= tls.contains(&listen.address));
        behaviour(server, !tls.is_empty(), translation);
    }
    hosts(&mut servers, translation);
    servers
}

fn server<'a>(directive: &'a Directive, http: &Scope<'a>, translation: &mut Translation) -> Server<'a> {
    translation.report.see(directive);
    let scope = http.with(directive.inside());
    let all_tls = scope.own_named("ssl").any(|d| d.arg(0) == "on");
    let mut listens: Vec<Listen> =
        scope.own_named("listen").filter_map(|directive| listen(directive, &mut translation.report)).collect();
    if scope.own_named("listen").next().is_none() {
        listens.push(Listen::usual());
    }
    listens.iter_mut().for_each(|listen| listen.tls |= all_tls);
    let mut names = Vec::new();
    for directive in scope.own_named("server_name") {
        translation.report.see(directive);
        for name in &directive.args {
            host_names(name, directive, &scope, &mut names, translation);
        }
    }
    let (https, whole) = (None, None);
    Server { directive, scope, listens, names, https, only_https: false, whole, hosts: Hosts::None }
}

/// A `server_name` as `host` writes it.
fn host_names(
    name: &str,
    directive: &Directive,
    scope: &Scope<'_>,
    names: &mut Vec<String>,
    translation: &mut Translation,
) {
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(label) && name.split('.').all(|part| !part.is_empty());
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    let lower = name.to_ascii_lowercase();
    match constant(&lower, scope) {
        _ if matches!(name, "" | "_" | "-" | "__" | "localhost.localdomain" | "*") => {}
        _ if name.starts_with("${") && constant(name, scope).is_some() => add(name.to_owned()),
        Some(lower) if is_name(lower.strip_prefix("*.").unwrap_or(&lower)) => add(lower),
        Some(lower) if lower.strip_prefix('.').is_some_and(is_name) => {
            add(lower.trim_start_matches('.').to_owned());
            add(format!("*{lower}"));
        }
        _ => {
            let why =
                if name.starts_with('~') { "hosts are not matched by regexes" } else { "this is no name of a host" };
            translation.report.left(directive, why, "write each host, or a wildcard as in \"*.example.com\"");
        }
    }
}

/// What the server does as a whole.
fn behaviour<'a>(server: &mut Server<'a>, has_tls: bool, translation: &mut Translation) {
    let around = server.around();
    let scope = server.scope.clone();
    let rules = scope.own().iter().filter(|d| matches!(d.name.as_str(), "return" | "rewrite"));
    for rule in rules {
        let action = match rule.name.as_str() {
            "return" => returned(rule, &scope, &around),
            _ => rewritten(rule, &scope, &around),
        };
        let Some(action) = action else { continue };
        translation.report.see(rule);
        server.whole = Some((action, rule));
        break;
    }
    if !has_tls {
        return;
    }
    let is_plain = !server.is_tls();
    if let (Some((action, rule)), true) = (&server.whole, is_plain)
        && let Some(to) = to_https(action)
    {
        server.https = Some((to, rule));
        server.only_https = true;
    }
    for asked in scope.own_named("if") {
        let to = only_action(asked, &scope, &around).as_ref().and_then(to_https);
        match (condition(asked), to) {
            (Condition::Plain, Some(to)) => {
                translation.report.see_all(asked);
                server.https = Some((to, asked));
                server.only_https = is_plain;
            }
            // What certbot writes, with a 404 for all other hosts behind it.
            (Condition::Host(host), Some(to))
                if is_plain && (to == Redirected::SameHost || to == Redirected::To(format!("https://{host}"))) =>
            {
                translation.report.see_all(asked);
                server.https = Some((Redirected::SameHost, asked));
                server.only_https = true;
                if let Some((Action::Respond { .. }, _)) = &server.whole {
                    server.whole = None;
                }
            }
            _ => {}
        }
    }
    let root = scope.own_named("location").find(|d| d.args.last().is_some_and(|path| path == "/"));
    if let (Some(root), None, true) = (root, &server.https, is_plain)
        && let Some(rule) = root.inside().iter().find(|d| matches!(d.name.as_str(), "return" | "rewrite"))
    {
        let inside = scope.with(root.inside());
        let action =
            if rule.name == "return" { returned(rule, &inside, &around) } else { rewritten(rule, &inside, &around) };
        if let Some(to) = action.as_ref().and_then(to_https) {
            translation.report.see(rule);
            server.https = Some((to, rule));
            server.only_https = true;
        }
    }
}

/// Gives each server its hosts: one takes those that no other names.
fn hosts(servers: &mut [Server<'_>], translation: &mut Translation) {
    let is_open = servers.iter().any(|server| server.listens.iter().any(|listen| !listen.is_loopback()));
    let mut first: Option<usize> = None;
    let mut defaults = Vec::new();
    for index in 0..servers.len() {
        let is_default = servers.get(index).is_some_and(|server| {
            server.listens.iter().any(|listen| default_of(servers, &listen.address) == Some(index))
        });
        defaults.push(is_default);
    }
    for (index, server) in servers.iter().enumerate() {
        let takes_all = defaults.get(index) == Some(&true) && !server.only_https && !server.only_refuses();
        let says_so = server.listens.iter().any(|listen| listen.default);
        let stays_inside = is_open && server.listens.iter().all(Listen::is_loopback);
        if takes_all
            && !stays_inside
            && (first.is_none()
                || (says_so
                    && !first
                        .is_some_and(|first| servers.get(first).is_some_and(|s| s.listens.iter().any(|l| l.default)))))
        {
            first = Some(index);
        }
    }
    for (index, server) in servers.iter_mut().enumerate() {
        let report = &mut translation.report;
        let stays_inside = is_open && !server.listens.is_empty() && server.listens.iter().all(Listen::is_loopback);
        let takes_all = defaults.get(index) == Some(&true);
        server.hosts = if stays_inside {
            let why = "it listens on this machine alone, and a route would hold on every listener";
            report.left(server.directive, why, "serve it with a steadfeed of its own");
            report.see_all(server.directive);
            server.listens.clear();
            Hosts::None
        } else if first == Some(index) || (server.only_https && (takes_all || server.names.is_empty())) {
            Hosts::Any
        } else if !server.names.is_empty() {
            if takes_all && !server.only_https && !server.only_refuses() {
                let why = "it took every host on its port, and a route holds on every port";
                report.note(server.directive, why, "here it answers to its own names");
            }
            Hosts::Named
        } else if server.only_refuses() {
            report.see_all(server.directive);
            report.note(server.directive, "a host that no route names is answered 404", "leave it out");
            Hosts::None
        } else {
            let why = if takes_all {
                "another server takes every host, and a route holds on every port"
            } else {
                "it has no name, and no request reaches it"
            };
            report.left(server.directive, why, "give it a `host`, or serve it with a steadfeed of its own");
            report.see_all(server.directive);
            server.listens.clear();
            Hosts::None
        };
    }
}

/// The server that takes an address's hosts that no other names: the one that says so, or the first.
pub(super) fn default_of(servers: &[Server<'_>], address: &str) -> Option<usize> {
    let at = |wanted: &dyn Fn(&Listen) -> bool| {
        servers
            .iter()
            .position(|server| server.listens.iter().any(|listen| listen.address == address && wanted(listen)))
    };
    at(&|listen| listen.default).or_else(|| at(&|_| true))
}
