//! The config as text: TOML, laid out as a person would.
//!
//! Owns: the order of tables and keys, quoting, and that a key which this version does not serve stands behind a `#`.

use std::fmt::Write as _;

use super::model::{Action, Listener, Rates, Redirected, Route, Site, Upstream};
use super::values;

/// The longest line that holds a whole table of headers.
const LINE: usize = 100;

/// The config's text.
pub(super) fn write(site: &Site) -> String {
    let mut writer = Writer { out: String::new() };
    writer.process(site);
    site.listeners.iter().for_each(|listener| writer.listener(listener));
    if site.drops_usual_headers {
        writer.gap();
        writer.comment(
            "Host is kept, X-Forwarded-* are passed, and upgrades are tunnelled, for pages that `origins` admits: the same host's.",
        );
    }
    site.upstreams.iter().for_each(|upstream| writer.upstream(upstream, site.drops_usual_headers));
    site.rates.iter().for_each(|rates| writer.rates(rates));
    site.routes.iter().for_each(|route| writer.route(route));
    writer.out
}

struct Writer {
    out: String,
}

/// The lines of one table: a key, and its value as TOML.
type Lines = Vec<(&'static str, String)>;

impl Writer {
    fn process(&mut self, site: &Site) {
        let mut lines = Lines::new();
        lines.extend(site.workers.map(|workers| ("workers", workers.to_string())));
        if !site.trusted_proxies.is_empty() {
            lines.push(("trusted_proxies", list(&site.trusted_proxies)));
        }
        self.lines(&lines, false);
        if site.access_off {
            self.table("[log]", &vec![("access", "false".to_owned())]);
        }
        if site.listeners.iter().any(|listener| listener.address.ends_with(":9090")) {
            self.gap();
            self.comment("A listener has the usual port of this one.");
            self.raw("[admin]\nlisten = \"127.0.0.1:9091\"\n", false);
        }
        if !site.limits.is_empty() {
            let lines: Lines = site.limits.iter().map(|(key, value)| (*key, text(value))).collect();
            self.table("[limits]", &lines);
        }
    }

    fn listener(&mut self, listener: &Listener) {
        let mut lines = vec![("address", text(&listener.address))];
        if listener.proxy_protocol {
            lines.push(("proxy_protocol", "true".to_owned()));
        }
        match &listener.redirect_to_https {
            Some(Redirected::SameHost) => lines.push(("redirect_to_https", "true".to_owned())),
            Some(Redirected::To(url)) => lines.push(("redirect_to_https", text(url))),
            None => {}
        }
        self.gap();
        if let Some(comment) = &listener.comment {
            self.comment(comment);
        }
        self.raw("[[listener]]\n", false);
        self.lines(&lines, false);
        if !listener.tls {
            return;
        }
        let mut lines = Lines::new();
        let pairs: Vec<String> = listener
            .certificates
            .iter()
            .map(|(cert, key)| format!("{{ cert = {}, key = {} }}", text(cert), text(key)))
            .collect();
        lines.push(match pairs.as_slice() {
            [] => ("self_signed", list(&["localhost".to_owned()])),
            [pair] => ("certificates", format!("[{pair}]")),
            pairs => ("certificates", format!("[\n    {},\n]", pairs.join(",\n    "))),
        });
        lines.extend(listener.client_ca.as_ref().map(|ca| ("client_ca", text(ca))));
        lines.extend(listener.min_version.map(|version| ("min_version", text(version))));
        self.table("[listener.tls]", &lines);
    }

    fn upstream(&mut self, upstream: &Upstream, is_explained: bool) {
        let mut lines = vec![("servers", list(&upstream.servers))];
        lines.extend(upstream.balance.map(|balance| ("balance", text(balance))));
        lines.extend(upstream.connect_timeout.map(|time| ("connect_timeout", text(&values::duration(time)))));
        if let Some(time) = upstream.read_timeout.map(values::duration) {
            lines.extend([("response_timeout", text(&time)), ("idle_timeout", text(&time))]);
        }
        // The first one stands right below the comment that explains them.
        if is_explained && self.out.ends_with("host's.\n") {
            self.raw(&format!("[upstream.{}]\n", key(&upstream.name)), false);
            self.lines(&lines, false);
        } else {
            self.table(&format!("[upstream.{}]", key(&upstream.name)), &lines);
        }
    }

    fn rates(&mut self, rates: &Rates) {
        let number = |key, value: Option<u32>| value.map(|value| (key, value.to_string()));
        let mut lines = Lines::new();
        lines.extend(rates.requests.as_ref().map(|rate| ("requests", text(rate))));
        lines.extend(number("burst", rates.burst));
        lines.extend(number("connections_per_client", rates.connections_per_client));
        lines.extend(number("connections", rates.connections));
        self.gap();
        self.raw(&format!("[limit.{}]\n", key(&rates.name)), false);
        self.lines(&lines, false);
    }

    fn route(&mut self, route: &Route) {
        self.gap();
        route.comments.iter().for_each(|comment| self.comment(comment));
        let action = action(&route.action);
        if action.is_empty() {
            return;
        }
        self.raw("[[route]]\n", false);
        let mut lines = Lines::new();
        lines.extend(route.host.as_ref().map(|host| ("host", text(host))));
        lines.push(("path", text(&route.path)));
        self.lines(&lines, false);
        if let Some(why) = &route.closed {
            self.comment(&format!("Closed until this is looked at: {why}"));
            self.raw("respond = { status = 403 }\n", false);
        }
        let off = route.closed.is_some();
        self.lines(&action, off);
        self.lines(&rest(route), off);
        self.headers(route, off);
    }

    fn headers(&mut self, route: &Route, off: bool) {
        let table = |rules: &[(String, String)]| {
            let rules: Vec<String> =
                rules.iter().map(|(name, value)| format!("{} = {}", key(name), text(value))).collect();
            rules.join(", ")
        };
        let sides: Vec<(&str, &[(String, String)])> =
            [("request", route.request_headers.as_slice()), ("response", route.response_headers.as_slice())]
                .into_iter()
                .filter(|(_, rules)| !rules.is_empty())
                .collect();
        if sides.is_empty() {
            return;
        }
        let inline: Vec<String> =
            sides.iter().map(|(side, rules)| format!("{side} = {{ {} }}", table(rules))).collect();
        let inline = format!("{{ {} }}", inline.join(", "));
        if inline.len() <= LINE {
            return self.lines(&vec![("headers", inline)], off);
        }
        for (side, rules) in sides {
            self.raw(&format!("\n[route.headers.{side}]\n"), off);
            for (name, value) in rules {
                self.raw(&format!("{} = {}\n", key(name), text(value)), off);
            }
        }
    }

    fn table(&mut self, header: &str, lines: &Lines) {
        self.gap();
        self.raw(&format!("{header}\n"), false);
        self.lines(lines, false);
    }

    /// Keys of a table; behind a `#` where they are off.
    fn lines(&mut self, lines: &Lines, off: bool) {
        lines.iter().for_each(|(key, value)| self.raw(&format!("{key} = {value}\n"), off));
    }

    fn raw(&mut self, text: &str, off: bool) {
        for line in text.lines() {
            match (off, line.is_empty()) {
                (true, true) => self.out.push('#'),
                (true, false) => _ = write!(self.out, "# {line}"),
                (false, _) => self.out.push_str(line),
            }
            self.out.push('\n');
        }
    }

    /// One line, whatever the text holds.
    fn comment(&mut self, text: &str) {
        let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _infallible = writeln!(self.out, "# {plain}");
    }

    fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }
}

fn action(action: &Action) -> Lines {
    match action {
        Action::Proxy(upstream) => vec![("proxy", text(upstream))],
        Action::Files { root, spa } => {
            let mut lines = vec![("files", text(root))];
            lines.extend(spa.as_ref().map(|spa| ("spa", text(spa))));
            lines
        }
        Action::Redirect { to, status: 308 } => vec![("redirect", text(to))],
        Action::Redirect { to, status } => vec![("redirect", text(to)), ("status", status.to_string())],
        Action::Respond { status, body, type_ } => {
            let mut parts = vec![format!("status = {status}")];
            if !body.is_empty() {
                parts.push(format!("body = {}", text(body)));
            }
            parts.extend(type_.as_ref().map(|type_| format!("type = {}", text(type_))));
            vec![("respond", format!("{{ {} }}", parts.join(", ")))]
        }
    }
}

/// The keys of a route behind its action, but for its headers.
fn rest(route: &Route) -> Lines {
    let mut lines = Lines::new();
    lines.extend(route.strip_prefix.as_ref().map(|prefix| ("strip_prefix", text(prefix))));
    if !route.cache.is_empty() {
        let rules: Vec<String> =
            route.cache.iter().map(|(path, value)| format!("{} = {}", text(path), text(value))).collect();
        lines.push(("cache", format!("{{ {} }}", rules.join(", "))));
    }
    if route.compress {
        lines.push(("compress", "true".to_owned()));
    }
    lines.extend(route.body_size.as_ref().map(|size| ("body_size", text(size))));
    lines.extend(route.body_timeout.as_ref().map(|time| ("body_timeout", text(time))));
    lines.extend(route.limit.as_ref().map(|limit| ("limit", text(limit))));
    for (key, networks) in [("allow", &route.allow), ("deny", &route.deny)] {
        if !networks.is_empty() {
            lines.push((key, list(networks)));
        }
    }
    lines.extend(route.auth_request.as_ref().map(|url| {
        let copied = route.auth_copy.is_empty();
        let both = || format!("{{ url = {}, copy = {} }}", text(url), list(&route.auth_copy));
        ("auth_request", if copied { text(url) } else { both() })
    }));
    lines
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| text(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A key: bare where it may be.
fn key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { text(name) }
}

/// A TOML basic string (TOML 1.0, "String").
fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => _ = write!(out, "\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back_from_toml(value in any::<String>(), name in any::<String>()) {
            let table: toml::Table = format!("{} = {}", key(&name), text(&value)).parse().unwrap();
            prop_assert_eq!(table.get(&name).and_then(toml::Value::as_str), Some(value.as_str()));
        }

        #[test]
        fn any_comment_is_one_line(value in any::<String>()) {
            let mut writer = Writer { out: String::new() };
            writer.comment(&value);
            prop_assert_eq!(writer.out.parse::<toml::Table>().unwrap().len(), 0);
        }
    }
}
