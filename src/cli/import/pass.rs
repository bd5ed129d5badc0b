//! `proxy_pass` and `grpc_pass`, and the `upstream` blocks they name.
//!
//! Owns: which [upstream.NAME] a pass leads to, and what is cut off the path on the way.

use super::model::Upstream;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::values::{Part, millis, settled};
use crate::config::Form;

/// nginx's own for connecting, and ours for the rest, in milliseconds.
const USUAL_READ: u64 = 60_000;

/// Where a pass leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    /// `http`, `https` or `h2c`.
    pub scheme: &'static str,
    /// The name of an `upstream`, or host and port, or `unix:/path`.
    pub to: String,
    /// What replaces the location's path.
    pub uri: Option<String>,
}

/// The upstreams that passes have led to so far.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    /// What each was made of: scheme and target.
    made: Vec<(String, String)>,
    pub tables: Vec<Upstream>,
}

impl Pass {
    /// What a directive says; `None` where variables or an unknown scheme keep it from being said here.
    pub(super) fn of(directive: &Directive, scope: &Scope<'_>) -> Option<Pass> {
        let mut parts = settled(directive.arg(0), scope);
        let varies = super::values::parts(directive.arg(0)).iter().any(|part| matches!(part, Part::Variable(_)));
        let names: Vec<&str> = parts
            .iter()
            .rev()
            .map_while(|part| match part {
                Part::Variable(name) => Some(name.as_str()),
                Part::Text(_) => None,
            })
            .collect();
        // The request's own URI, said aloud.
        let tail = match names.as_slice() {
            ["request_uri"] => 1,
            ["args" | "query_string", "is_args", "uri"] => 3,
            [] => 0,
            _ => return None,
        };
        parts.truncate(parts.len() - tail);
        let text = match parts.as_slice() {
            [Part::Text(text)] => text.as_str(),
            _ => return None,
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let scheme = match (scheme, directive.name.as_str()) {
            ("http", "proxy_pass") => "http",
            ("https", "proxy_pass") | ("grpcs", "grpc_pass") => "https",
            ("grpc" | "", "grpc_pass") => "h2c",
            _ => return None,
        };
        let (to, uri) = if rest.starts_with("unix:") {
            match rest.split_once(".sock:") {
                Some((path, uri)) => (format!("{path}.sock"), Some(uri.to_owned())),
                None => (rest.to_owned(), None),
            }
        } else {
            match rest.find('/') {
                Some(at) => (rest.get(..at)?.to_owned(), Some(rest.get(at..)?.to_owned())),
                None => (rest.to_owned(), None),
            }
        };
        if upstream_block(&to, scope).is_none() {
            server(scheme, &to)?;
        }
        // With variables it is what is asked for, whatever the request was.
        let replaces_all = varies && tail == 0 && uri.is_some();
        (!replaces_all).then_some(Pass { scheme, to, uri })
    }

    /// The pass as one URL, for a subrequest to `path`.
    pub(super) fn url(&self, path: &str, scope: &Scope<'_>) -> Option<String> {
        let server = upstream_block(&self.to, scope)
            .and_then(|block| block.inside().iter().find(|d| d.name == "server").map(|d| d.arg(0).to_owned()));
        let server = server.unwrap_or_else(|| self.to.clone());
        let is_simple = !server.starts_with("unix:") && self.scheme != "h2c";
        let url = format!("{}://{server}{}", self.scheme, self.uri.as_deref().unwrap_or(path));
        (is_simple && Form::AuthUrl.takes(&url)).then_some(url)
    }
}

/// What is cut off the path so that what stood at `path` stands at `uri`; `None` where cutting is not enough.
#[expect(clippy::option_option, reason = "nothing to cut off is another answer than no way to do it")]
pub(super) fn cut(path: &str, uri: &str) -> Option<Option<String>> {
    if path == uri {
        return Some(None);
    }
    // nginx would write two slashes; one is what was meant.
    let path = if uri == "/" && !path.ends_with('/') { format!("{path}/") } else { path.to_owned() };
    match path.strip_suffix(uri) {
        Some("") => Some(None),
        Some(prefix) if uri.starts_with('/') => Some(Some(prefix.to_owned())),
        Some(_) | None => None,
    }
}

/// What `rewrite ^/api/(.*)$ /$1 break` cuts off.
pub(super) fn cut_by_rewrite(directive: &Directive) -> Option<String> {
    let [regex, to, flag] = directive.args.as_slice() else { return None };
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    let regex = regex.strip_suffix('$').unwrap_or(regex);
    let prefix = match (regex.strip_suffix("/(.*)"), regex.strip_suffix("(/.*)"), to.as_str(), flag.as_str()) {
        (Some(prefix), _, "/$1", "break") | (_, Some(prefix), "$1", "break") => prefix,
        _ => return None,
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    let is_path = prefix.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !part.is_empty()));
    (is_path && prefix.chars().all(is_plain)).then(|| prefix.to_owned())
}

fn upstream_block<'a>(name: &str, scope: &Scope<'a>) -> Option<&'a Directive> {
    scope.all("upstream").find(|block| block.arg(0) == name)
}

impl Upstreams {
    /// The name of the table that a pass leads to, made on first need; `None` where no server would stand in it.
    pub(super) fn name(&mut self, pass: &Pass, scope: &Scope<'_>, report: &mut Report) -> Option<String> {
        let key = (pass.scheme.to_owned(), pass.to.clone());
        if let Some(at) = self.made.iter().position(|made| *made == key) {
            return self.tables.get(at).map(|table| table.name.clone());
        }
        let block = upstream_block(&pass.to, scope);
        let mut table = match block {
            Some(block) => pool(block, pass.scheme, report),
            None => Upstream { servers: server(pass.scheme, &pass.to).into_iter().collect(), ..Upstream::default() },
        };
        if table.servers.is_empty() {
            return None;
        }
        table.name = self.free_name(pass, block.is_some());
        let name = table.name.clone();
        self.made.push(key);
        self.tables.push(table);
        Some(name)
    }

    /// A name that no other table has: the block's, or the host's.
    fn free_name(&self, pass: &Pass, is_block: bool) -> String {
        let (host, port) = match pass.to.rsplit_once(':') {
            Some((host, port)) if !is_block && !port.contains(']') => (host, port),
            _ => (pass.to.as_str(), ""),
        };
        let is_nameless =
            host == "localhost" || host.contains(['[', '/', '$']) || host.parse::<std::net::IpAddr>().is_ok();
        let plain = |text: &str| -> String {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            text.chars().map(|c| if is_word(c) { c } else { '-' }).take(48).collect()
        };
        let base = if is_nameless { "app".to_owned() } else { plain(host) };
        let base = if base.trim_matches('-').is_empty() { "app".to_owned() } else { base };
        let longer = [base.clone(), format!("{base}-{}", plain(port)), format!("{base}-{}", pass.scheme)];
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let is_free = |name: &String| !name.ends_with('-') && self.tables.iter().all(|table| table.name != *name);
        longer.into_iter().chain(numbered).find(is_free).unwrap_or(base)
    }

    /// Takes the timeouts of a location into the table called `name`: of two, the longer.
    pub(super) fn timeouts(&mut self, name: &str, scope: &Scope<'_>, tunnels: bool, report: &mut Report) {
        let Some(table) = self.tables.iter_mut().find(|table| table.name == name) else { return };
        let mut longest = |names: [&str; 2], kept: &mut Option<u64>, usual: Option<u64>| {
            for directive in names.iter().filter_map(|name| scope.last(name)) {
                report.see(directive);
                let Some(time) = millis(directive.arg(0)).filter(|time| *time > 0 && Some(*time) != usual) else {
                    continue;
                };
                if kept.is_some_and(|kept| kept != time) {
                    report.note(directive, "an upstream has one timeout for all routes", "the longest is taken");
                }
                *kept = Some(kept.map_or(time, |kept| kept.max(time)));
            }
        };
        longest(["proxy_connect_timeout", "grpc_connect_timeout"], &mut table.connect_timeout, None);
        if !tunnels {
            longest(["proxy_read_timeout", "grpc_read_timeout"], &mut table.read_timeout, Some(USUAL_READ));
        } else if let Some(directive) = scope.last("proxy_read_timeout") {
            // Nothing but the peers ends an upgraded socket.
            report.needless(directive);
        }
    }
}

/// An `upstream` block.
fn pool(block: &Directive, scheme: &str, report: &mut Report) -> Upstream {
    report.see(block);
    let mut table = Upstream::default();
    for directive in block.inside() {
        report.see(directive);
        match directive.name.as_str() {
            "server" => {
                let options: Vec<&str> = directive.args.iter().skip(1).map(String::as_str).collect();
                if options.contains(&"down") {
                    continue;
                }
                match server(scheme, directive.arg(0)) {
                    Some(server) if table.servers.contains(&server) => {}
                    Some(server) => table.servers.push(server),
                    None => {
                        let why = "this is no host or address, with or without a port, that is spoken to like this";
                        report.left(
                            directive,
                            why,
                            "name one, as in \"app:8000\"; unix sockets are asked over plain HTTP",
                        );
                        continue;
                    }
                }
                server_options(directive, &options, report);
            }
            "least_conn" => table.balance = Some("least_conn"),
            "ip_hash" => table.balance = Some("client_ip"),
            "hash" if matches!(directive.arg(0), "$remote_addr" | "$binary_remote_addr") => {
                table.balance = Some("client_ip");
            }
            "random" => {
                table.balance = Some("least_conn");
                report.note(directive, "servers are not chosen at random", "the one with the fewest requests is taken");
            }
            "keepalive" | "keepalive_requests" | "keepalive_timeout" | "keepalive_time" | "zone" | "resolver"
            | "resolver_timeout" => report.needless(directive),
            "hash" => report.left(directive, "servers are not chosen by this", "use balance = \"client_ip\""),
            "sticky" => report.left(directive, "there are no sticky cookies", "use balance = \"client_ip\""),
            "health_check" | "check" => {
                report.left(directive, "it is written otherwise", "use health = { path = \"/health\" }");
            }
            _ => report.left(directive, "it has no counterpart here", "see config/full.toml, [upstream.NAME]"),
        }
    }
    match (table.servers.len(), table.balance) {
        (0, _) => report.left(block, "it has no server", "write `servers`"),
        (1, _) => table.balance = None,
        (_, None) => table.balance = Some("round_robin"),
        // Ours where nothing is said.
        (_, Some("least_conn")) => table.balance = None,
        (_, Some(_)) => {}
    }
    table
}

fn server_options(directive: &Directive, options: &[&str], report: &mut Report) {
    for option in options {
        let (why, instead) = match option.split('=').next().unwrap_or_default() {
            "weight" if *option == "weight=1" => continue,
            "resolve" => continue,
            "weight" => ("servers have no weights", "balance = \"least_conn\" gives a faster server more"),
            "backup" => ("there are no backup servers", "it takes its share here: leave it out, or give it `health`"),
            "max_fails" | "fail_timeout" => {
                report.note(
                    directive,
                    "a server that fails is passed over by itself",
                    "add `health` for active checks",
                );
                continue;
            }
            "max_conns" => ("connections to a server are not limited", "use `limit` with `connections` on the route"),
            _ => ("this option has no counterpart", "see config/full.toml, [upstream.NAME]"),
        };
        report.left(directive, why, instead);
    }
}

/// A server as `servers` writes it; `None` where that would not take it.
fn server(scheme: &str, to: &str) -> Option<String> {
    let is_unix = to.starts_with("unix:");
    let written = if is_unix { to.to_owned() } else { format!("{scheme}://{to}") };
    ((!is_unix || scheme == "http") && Form::Server.takes(&written)).then_some(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::testing::directive;

    #[track_caller]
    fn check(name: &str, url: &str, expected: &str) {
        let shown = Pass::of(&directive(name, &[url]), &Scope::default())
            .map_or("-".to_owned(), |pass| format!("{} {} {:?}", pass.scheme, pass.to, pass.uri));
        assert_eq!(shown, expected, "{url}");
    }

    #[test]
    fn passes_have_a_scheme_a_target_and_perhaps_a_uri() {
        check("proxy_pass", "http://app:8000", "http app:8000 None");
        check("proxy_pass", "https://app/", "https app Some(\"/\")");
        check("proxy_pass", "http://${APP}:80", "http ${APP}:80 None");
        check("proxy_pass", "http://unix:/run/a.sock", "http unix:/run/a.sock None");
        check("proxy_pass", "http://unix:/run/a.sock:/x/", "http unix:/run/a.sock Some(\"/x/\")");
        check("proxy_pass", "http://app$request_uri", "http app None");
        check("grpc_pass", "grpc://app:50051", "h2c app:50051 None");
        check("grpc_pass", "grpcs://app:50051", "https app:50051 None");
        for wrong in
            ["http://$backend", "app", "ftp://a", "http://", "http://u@h/", "https://unix:/a", "", "http://a\\:1"]
        {
            check("proxy_pass", wrong, "-");
        }
    }

    #[test]
    fn a_prefix_is_cut_where_that_is_all() {
        for (path, uri, expected) in [
            ("/api/", "/", Some(Some("/api"))),
            ("/api", "/", Some(Some("/api"))),
            ("/api/", "/api/", Some(None)),
            ("/", "/", Some(None)),
            ("/x/api/", "/api/", Some(Some("/x"))),
            ("/api/", "/v1/", None),
            ("/", "/v1/", None),
            ("/api", "pi", None),
        ] {
            assert_eq!(cut(path, uri), expected.map(|prefix: Option<&str>| prefix.map(str::to_owned)), "{path} {uri}");
        }
    }

    #[test]
    fn a_rewrite_may_cut_too() {
        let of = |args: &[&str]| cut_by_rewrite(&directive("rewrite", args));
        assert_eq!(of(&["^/api/(.*)$", "/$1", "break"]).as_deref(), Some("/api"));
        assert_eq!(of(&["^/api(/.*)$", "$1", "break"]).as_deref(), Some("/api"));
        assert_eq!(of(&["^/api/(.*)$", "/v1/$1", "break"]), None);
        assert_eq!(of(&["^/api/(.*)$", "/$1", "last"]), None);
        assert_eq!(of(&["^/(a|b)/(.*)$", "/$1", "break"]), None);
        assert_eq!(of(&["^//(.*)$", "/$1", "break"]), None);
    }
}
