//! `allow`, `deny`, `limit_req`, `limit_conn`, `auth_request` and what else may keep a request out.
//!
//! Never: lets in what nginx kept out; a route whose guard can't be written is closed.

use super::model::{Rates, Route};
use super::pass::Pass;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::values::{constant, rate};
use crate::limits;

/// Keys that mean one client's address.
const CLIENT: [&str; 2] = ["$binary_remote_addr", "$remote_addr"];

/// Whether nobody may ask: `deny all` alone.
pub(super) fn admits_nobody(scope: &Scope<'_>, report: &mut Report) -> bool {
    let rules = scope.levels_with(|d| matches!(d.name.as_str(), "allow" | "deny"));
    let nobody = rules.first().is_some_and(|rule| rule.name == "deny" && rule.arg(0) == "all");
    if nobody {
        rules.into_iter().for_each(|rule| report.see(rule));
    }
    nobody
}

/// Everything that guards a place, put into `route`.
pub(super) fn guards(scope: &Scope<'_>, route: &mut Route, rates: &mut Vec<Rates>, report: &mut Report) {
    limits(scope, route, rates, report);
    passwords(scope, route, report);
    networks(scope, route, report);
    subrequest(scope, route, report);
    for directive in scope.own() {
        match directive.name.as_str() {
            "limit_except" => {
                report.left(directive, "a route takes every method", "let the app refuse them");
                report.see_all(directive);
                route.closed = Some("nginx let only some methods in".to_owned());
            }
            "if" if refuses(directive) => {
                report.left(directive, "there are no conditions on requests", "let the app refuse them");
                report.see_all(directive);
                route.closed = Some("nginx refused requests on a condition".to_owned());
            }
            _ => {}
        }
    }
}

fn refuses(directive: &Directive) -> bool {
    let is_refusal = |d: &Directive| d.name == "return" && matches!(d.arg(0), "401" | "403" | "404" | "444");
    directive.inside().iter().any(|d| is_refusal(d) || d.name == "deny")
}

/// `allow` and `deny`, of which nginx takes the first that fits: we deny first, then allow.
fn networks(scope: &Scope<'_>, route: &mut Route, report: &mut Report) {
    let names = |d: &&Directive| matches!(d.name.as_str(), "allow" | "deny");
    let rules: Vec<&Directive> = scope.levels_with(names);
    let mut all_denied = false;
    for rule in &rules {
        report.see(rule);
        if all_denied {
            break;
        }
        match (rule.name.as_str(), rule.arg(0)) {
            ("allow", "all") => break,
            ("deny", "all") => all_denied = true,
            (name, network) => {
                let Some(network) = cidr(network) else {
                    report.left(rule, "this is not a network", "write one, as in \"10.0.0.0/8\"");
                    if name == "allow" {
                        continue;
                    } else {
                        route.closed = Some("nginx denied more".to_owned())
                    }
                    continue;
                };
                if name == "deny" && !route.allow.is_empty() {
                    let instead = "name the networks so that no allowed one holds a denied one";
                    report.note(rule, "here `deny` comes before `allow`, whatever their order", instead);
                }
                if name == "allow" { route.allow.push(network) } else { route.deny.push(network) }
            }
        }
    }
    if all_denied && route.allow.is_empty() {
        route.closed = Some("nginx let nobody else in".to_owned());
    }
    if !all_denied {
        // All others are let in, those that were named too.
        route.allow.clear();
    }
}

/// An address or network as our config writes it.
pub(super) fn cidr(text: &str) -> Option<String> {
    match text.parse::<std::net::IpAddr>() {
        Ok(ip) => Some(format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })),
        Err(_) => text.parse::<ipnet::IpNet>().ok().map(|network| network.trunc().to_string()),
    }
}

fn passwords(scope: &Scope<'_>, route: &mut Route, report: &mut Report) {
    for (name, why) in [
        ("auth_basic", "nginx asked for a password"),
        ("auth_jwt", "nginx asked for a token"),
        ("secure_link", "nginx checked signed links"),
    ] {
        if let Some(directive) = scope.last(name).filter(|directive| directive.arg(0) != "off") {
            let instead = "use `auth_request`, or let the app ask; the route is closed until you decide";
            report.left(directive, "it has no counterpart", instead);
            route.closed = Some(format!("{why} ({name})"));
        } else if let Some(directive) = scope.last(name) {
            report.see(directive);
        }
    }
}

fn subrequest(scope: &Scope<'_>, route: &mut Route, report: &mut Report) {
    let Some(directive) = scope.last("auth_request") else { return };
    report.see(directive);
    let path = directive.arg(0);
    if path == "off" {
        return;
    }
    let url = constant(path, scope).and_then(|path| {
        let asked =
            scope.all("location").find(|d| d.args.last().is_some_and(|last| last.trim_start_matches('=') == path))?;
        report.see_all(asked);
        let inside = scope.with(asked.inside());
        let pass = asked.inside().iter().find(|d| d.name == "proxy_pass")?;
        Pass::of(pass, &inside)?.url(&path, &inside)
    });
    match url {
        Some(url) => route.auth_request = Some(url),
        None => {
            let instead = "write auth_request = \"http://auth:9000/verify\"";
            report.left(directive, "where it asks can't be told", instead);
            route.closed = Some("nginx asked another service first (auth_request)".to_owned());
        }
    }
}

/// `limit_req` and `limit_conn`, as a table of rates.
fn limits(scope: &Scope<'_>, route: &mut Route, tables: &mut Vec<Rates>, report: &mut Report) {
    let mut rates = Rates::default();
    let mut used = Vec::new();
    for directive in scope.nearest("limit_req") {
        let option = |key: &str| directive.args.iter().find_map(|arg| arg.strip_prefix(key));
        let zone = option("zone=").unwrap_or_default();
        let Some(definition) = zone_of(zone, "limit_req_zone", scope, report) else {
            report.left(directive, "its zone is not known, or does not count clients", "write [limit.NAME] requests");
            continue;
        };
        let rate = definition.args.iter().find_map(|arg| arg.strip_prefix("rate=")).and_then(rate);
        let (Some(rate), None) = (rate, &rates.requests) else {
            report.left(directive, "a route has one rate, written as in 10r/s", "keep the stricter one");
            continue;
        };
        rates.requests = Some(rate);
        rates.burst = option("burst=").and_then(|burst| burst.parse().ok()).filter(|&burst| burst > 0);
        rates.burst = rates.burst.map(|burst: u32| burst.min(limits::RATE_MAX));
        zone.clone_into(&mut rates.name);
        used.push(directive);
    }
    for directive in scope.nearest("limit_conn") {
        let (zone, count) = (directive.arg(0), directive.arg(1).parse::<u32>());
        let known = scope
            .all("limit_conn_zone")
            .find(|d| d.args.iter().any(|arg| arg.strip_prefix("zone=").is_some_and(|rest| name_of(rest) == zone)));
        let kept = match known.map(|known| known.arg(0)) {
            Some(key) if CLIENT.contains(&key) => &mut rates.connections_per_client,
            Some("$server_name" | "$host") => &mut rates.connections,
            _ => {
                report.left(directive, "its zone is not known, or counts something else", "write [limit.NAME]");
                continue;
            }
        };
        known.into_iter().for_each(|known| report.see(known));
        *kept = count.ok().filter(|count| *count > 0);
        if rates.name.is_empty() {
            zone.clone_into(&mut rates.name);
        }
        used.push(directive);
    }
    for name in ["limit_req_status", "limit_conn_status"] {
        if let Some(directive) = scope.last(name).filter(|_| !used.is_empty()) {
            report.needless(directive);
        }
    }
    if used.is_empty() {
        return;
    }
    used.into_iter().for_each(|directive| report.see(directive));
    route.limit = Some(named(rates, tables));
}

/// The zone that counts clients under this name.
fn zone_of<'a>(zone: &str, directive: &str, scope: &Scope<'a>, report: &mut Report) -> Option<&'a Directive> {
    let has_name =
        |d: &&Directive| d.args.iter().any(|arg| arg.strip_prefix("zone=").is_some_and(|rest| name_of(rest) == zone));
    let found = scope.all(directive).find(has_name)?;
    report.see(found);
    CLIENT.contains(&found.arg(0)).then_some(found)
}

/// The name in `one:10m`.
fn name_of(zone: &str) -> &str {
    zone.split(':').next().unwrap_or_default()
}

/// The name of the table that says just this.
fn named(mut rates: Rates, tables: &mut Vec<Rates>) -> String {
    let base: String =
        rates.name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(48).collect();
    let base = if base.is_empty() { "clients".to_owned() } else { base };
    let mut name = base.clone();
    let mut number = 1;
    while let Some(other) = tables.iter().find(|other| other.name == name) {
        rates.name.clone_from(&name);
        if *other == rates {
            return name;
        }
        number += 1;
        name = format!("{base}-{number}");
    }
    rates.name.clone_from(&name);
    tables.push(rates);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_networks() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.0.0.1", Some("10.0.0.1/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::1", Some("::1/128")),
            ("unix:", None),
            ("example.com", None),
        ] {
            assert_eq!(cidr(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn rates_that_say_the_same_are_one_table() {
        let rates =
            |requests: &str| Rates { name: "a b".to_owned(), requests: Some(requests.to_owned()), ..Rates::default() };
        let mut tables = Vec::new();
        assert_eq!(named(rates("1/s"), &mut tables), "a-b");
        assert_eq!(named(rates("2/s"), &mut tables), "a-b-2");
        assert_eq!(named(rates("1/s"), &mut tables), "a-b");
        assert_eq!(named(rates("2/s"), &mut tables), "a-b-2");
        assert_eq!(tables.len(), 2);
    }
}
