//! `proxy_set_header`, `proxy_hide_header`, `add_header` and `expires`.

use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::values::{constant, millis};
use crate::config::Form;
use crate::message::rules::is_ours;

/// What is said about headers at one place.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub request: Vec<(String, String)>,
    pub response: Vec<(String, String)>,
    /// `Cache-Control`.
    pub cache: Option<String>,
    /// Headers of the answer of `auth_request` that the upstream is given.
    pub copied: Vec<String>,
    /// Headers were dropped that every upstream is given.
    pub usual: bool,
}

/// Headers of a request that every upstream is given, or that HTTP between us and it decides; and what nginx's
/// configurations set them to.
const USUAL: &[(&str, &[&str])] = &[
    ("host", &["$host", "$http_host", "$host:$server_port", "$server_name", "$host:$proxy_port"]),
    ("x-real-ip", &["$remote_addr", "$http_x_real_ip", "$realip_remote_addr"]),
    ("x-forwarded-for", &["$proxy_add_x_forwarded_for", "$remote_addr"]),
    ("x-forwarded-proto", &["$scheme", "$http_x_forwarded_proto", "$proxy_x_forwarded_proto"]),
    ("x-forwarded-protocol", &["$scheme"]),
    ("x-scheme", &["$scheme"]),
    ("x-forwarded-host", &["$host", "$http_host", "$server_name", "$host:$server_port"]),
    ("x-forwarded-server", &["$host", "$server_name"]),
    ("x-forwarded-port", &["$server_port"]),
    ("x-request-id", &["$request_id"]),
    ("upgrade", &["$http_upgrade", "websocket", "WebSocket"]),
    ("connection", &["$connection_upgrade", "upgrade", "Upgrade", "", "$http_connection", "keep-alive", "close"]),
    ("te", &["trailers"]),
];

/// Whether a location passes upgrades on.
pub(super) fn tunnels(scope: &Scope<'_>) -> bool {
    scope.nearest("proxy_set_header").iter().any(|d| d.arg(0).eq_ignore_ascii_case("upgrade"))
}

/// All that holds at a place; the rules for requests only where `is_proxy`.
pub(super) fn headers(scope: &Scope<'_>, is_proxy: bool, report: &mut Report) -> Headers {
    let mut headers = Headers::default();
    if is_proxy {
        for directive in scope.nearest("proxy_set_header") {
            request(directive, scope, &mut headers, report);
        }
        for directive in scope.nearest("proxy_hide_header") {
            report.see(directive);
            if !is_host(directive, report) {
                set(&mut headers.response, directive, String::new(), report);
            }
        }
    }
    for directive in scope.nearest("add_header") {
        response(directive, scope, &mut headers, report);
    }
    if let Some(directive) = scope.last("expires") {
        report.see(directive);
        match expiry(directive.arg(0)) {
            Ok(None) => {}
            Ok(Some(age)) => headers.cache = Some(joined(headers.cache.take(), &age)),
            Err(()) => report.left(directive, "it is not a time from now", "write cache = { \"/*\" = \"max-age=60\" }"),
        }
    }
    headers
}

fn request(directive: &Directive, scope: &Scope<'_>, headers: &mut Headers, report: &mut Report) {
    report.see(directive);
    let (name, value) = (directive.arg(0), directive.arg(1));
    let lower = name.to_ascii_lowercase();
    let passed = format!("$http_{}", lower.replace('-', "_"));
    if value == passed {
        // As it came, which is how all others pass.
        headers.usual = true;
    } else if USUAL.iter().any(|(usual, values)| *usual == lower && values.contains(&value)) {
        headers.usual = true;
        if lower == "x-real-ip" {
            report.note_once(
                directive,
                "clients' addresses are passed in X-Forwarded-For",
                "let the app read that one",
            );
        }
    } else if lower == "host" && value == "$proxy_host" {
        // What it is becomes known with the upstream.
    } else if let Some(copied) = copied(&lower, value, scope, report) {
        headers.copied.push(copied);
    } else {
        match constant(value, scope) {
            Some(value) => set(&mut headers.request, directive, value, report),
            None => {
                let instead = "let the app read it from X-Forwarded-*, or give a constant in `headers`";
                report.left(directive, "headers are set to constants only", instead);
            }
        }
    }
}

fn response(directive: &Directive, scope: &Scope<'_>, headers: &mut Headers, report: &mut Report) {
    report.see(directive);
    let name = directive.arg(0);
    let Some(value) = constant(directive.arg(1), scope) else {
        return report.left(directive, "headers are set to constants only", "let the app set it");
    };
    let value = value.trim().to_owned();
    if value.is_empty() {
        // nginx adds none then.
        return;
    }
    match name.to_ascii_lowercase().as_str() {
        "cache-control" if !Form::HeaderText.takes(&value) => {
            report.left(directive, "no message has such a header", "write a value in ASCII, on one line");
        }
        "cache-control" => headers.cache = Some(joined(headers.cache.take(), &value)),
        // `return` reads it.
        "content-type" => {}
        // For HTTP/1.0, and said by Cache-Control.
        "pragma" | "expires" => {}
        // It offers HTTP/3, which is not spoken.
        "alt-svc" => report.note(directive, "HTTP/3 is not spoken", "leave it out"),
        _ if is_host(directive, report) => {}
        _ => set(&mut headers.response, directive, value, report),
    }
}

/// Whether it is about the one header that no response has; it is listed then.
fn is_host(directive: &Directive, report: &mut Report) -> bool {
    let is_host = directive.arg(0).eq_ignore_ascii_case("host");
    if is_host {
        report.left(directive, "a response has no `Host`", "leave it out, or set it by proxy_set_header");
    }
    is_host
}

/// The header that `auth_request_set $user $upstream_http_x_user` and `proxy_set_header X-User $user` pass on.
fn copied(lower: &str, value: &str, scope: &Scope<'_>, report: &mut Report) -> Option<String> {
    let same = format!("$upstream_http_{}", lower.replace('-', "_"));
    let set = scope.all("auth_request_set").find(|d| d.arg(0) == value && d.arg(1) == same)?;
    report.see(set);
    Some(lower.to_owned())
}

/// Adds a rule: of two for one name the later holds.
fn set(rules: &mut Vec<(String, String)>, directive: &Directive, value: String, report: &mut Report) {
    let name = directive.arg(0);
    let (lower, parsed) = (name.to_ascii_lowercase(), http::HeaderName::from_bytes(name.as_bytes()));
    if parsed.as_ref().is_ok_and(is_ours) || lower.starts_with("sec-websocket-") {
        return report.note(
            directive,
            "this header is of one connection, and is written as it is needed",
            "leave it out",
        );
    }
    let value = value.trim().to_owned();
    let fits = parsed.is_ok() && Form::HeaderText.takes(&value);
    let is_known = rules.len() < crate::limits::HEADER_RULES && value.is_ascii();
    if !fits || !is_known || (lower == "host" && value.is_empty()) {
        return report.left(directive, "no message has such a header", "write a name and a value in ASCII");
    }
    rules.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    rules.push((name.to_owned(), value));
}

/// Two values of Cache-Control in one; the first to give a max-age wins.
fn joined(first: Option<String>, second: &str) -> String {
    match first {
        None => second.to_owned(),
        Some(first) if first.contains("max-age") && second.starts_with("max-age") => first,
        Some(first) if first.contains(second) => first,
        Some(first) => format!("{first}, {second}"),
    }
}

/// What `expires` gives Cache-Control; nothing where it is off.
///
/// # Errors
/// Where it is a time of day, or depends on variables.
fn expiry(text: &str) -> Result<Option<String>, ()> {
    match text {
        "off" => Ok(None),
        "epoch" => Ok(Some("no-cache".to_owned())),
        "max" => Ok(Some("max-age=315360000".to_owned())),
        text if text.starts_with('-') => Ok(Some("no-cache".to_owned())),
        text => millis(text.trim_start_matches('+')).map(|millis| Some(format!("max-age={}", millis / 1000))).ok_or(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_an_age() {
        for (text, expected) in [
            ("1h", Ok(Some("max-age=3600"))),
            ("+1y", Ok(Some("max-age=31536000"))),
            ("max", Ok(Some("max-age=315360000"))),
            ("-1", Ok(Some("no-cache"))),
            ("epoch", Ok(Some("no-cache"))),
            ("off", Ok(None)),
            ("@15h30m", Err(())),
            ("$expires", Err(())),
        ] {
            assert_eq!(expiry(text), expected.map(|age: Option<&str>| age.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn ages_and_directives_are_joined_once() {
        assert_eq!(joined(None, "max-age=1"), "max-age=1");
        assert_eq!(joined(Some("public, immutable".to_owned()), "max-age=1"), "public, immutable, max-age=1");
        assert_eq!(joined(Some("public, max-age=2".to_owned()), "max-age=1"), "public, max-age=2");
        assert_eq!(joined(Some("no-cache, no-store".to_owned()), "no-cache"), "no-cache, no-store");
    }
}
