//! Which pages may open a socket: the `Origin` request header against a route's `origins` (RFC 6454, RFC 6455 section 10.2).
//!
//! Owns: the same-origin rule and the patterns. Never: refuses a request without the header: that is no browser.

use http::HeaderValue;
use http::header::ORIGIN;

use super::{Denied, Visit};

/// One entry of a route's `origins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginRule {
    /// The request's own origin.
    Same,
    /// `*`.
    Any,
    /// The literal `null`, which sandboxed frames and files send.
    Null,
    /// `https://dash.example.com`, `http://localhost:*`, `https://*.example.com`.
    Pattern { scheme: String, host: OriginHost, port: OriginPort },
}

/// Lower-case; an IPv6 address in brackets, as in an `Origin` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginHost {
    Exact(String),
    /// `*.example.com`, kept as `.example.com`.
    Suffix(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginPort {
    /// None was named: the default one of the scheme.
    Default,
    Exact(u16),
    Any,
}

/// An `Origin` header's value, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: u16,
}

/// What a request's `Origin` is to some rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// It has none.
    Nobody,
    Admitted(&'a HeaderValue),
    /// No rule admits it, or there are several.
    Foreign(&'a HeaderValue),
}

/// Judges the `Origin` of a request by `rules`.
#[must_use]
pub fn named<'a>(rules: &[OriginRule], visit: &Visit<'a>) -> Named<'a> {
    let mut values = visit.request.headers.get_all(ORIGIN).iter();
    let Some(value) = values.next() else { return Named::Nobody };
    let text = value.to_str().unwrap_or_default();
    let alone = values.next().is_none();
    if alone && rules.iter().any(|rule| rule.admits(text, visit)) {
        Named::Admitted(value)
    } else {
        Named::Foreign(value)
    }
}

/// # Errors
/// If the request has an `Origin` that no rule admits.
pub fn check(rules: &[OriginRule], visit: &Visit<'_>) -> Result<(), Denied> {
    match named(rules, visit) {
        Named::Nobody | Named::Admitted(_) => Ok(()),
        Named::Foreign(value) => {
            let origin = value.to_str().unwrap_or_default().to_owned();
            Err(Denied::Origin { origin, authority: visit.authority.to_owned() })
        }
    }
}

impl OriginRule {
    fn admits(&self, text: &str, visit: &Visit<'_>) -> bool {
        match self {
            OriginRule::Any => true,
            OriginRule::Null => text == "null",
            OriginRule::Same => parse(text).is_some_and(|origin| is_same(origin, visit.authority, visit.https)),
            OriginRule::Pattern { scheme, host, port } => parse(text).is_some_and(|origin| {
                origin.scheme.eq_ignore_ascii_case(scheme) && host.matches(origin.host) && port.matches(origin)
            }),
        }
    }
}

impl OriginHost {
    fn matches(&self, host: &str) -> bool {
        match self {
            OriginHost::Exact(exact) => host.eq_ignore_ascii_case(exact),
            OriginHost::Suffix(suffix) => {
                host.len() > suffix.len()
                    && host.is_char_boundary(host.len() - suffix.len())
                    && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
            }
        }
    }
}

impl OriginPort {
    fn matches(self, origin: Origin<'_>) -> bool {
        match self {
            OriginPort::Any => true,
            OriginPort::Exact(port) => origin.port == port,
            OriginPort::Default => Some(origin.port) == default_port(origin.scheme),
        }
    }
}

/// The host agrees with `Host`, and so does the port, an absent one being the default of the origin's scheme; where the
/// request's scheme is known, it is the origin's too. On a plain socket TLS may have ended before us.
fn is_same(origin: Origin<'_>, authority: &str, https: Option<bool>) -> bool {
    let (host, port) = split_port(authority);
    let port = match port {
        Some(port) => number(port),
        None => default_port(origin.scheme),
    };
    // What a page of another scheme calls its host is another's name: an app's, an extension's.
    let is_web = ["http", "https"].iter().any(|scheme| origin.scheme.eq_ignore_ascii_case(scheme));
    is_web
        && origin.host.eq_ignore_ascii_case(host)
        && port == Some(origin.port)
        && https.is_none_or(|https| origin.scheme.eq_ignore_ascii_case(if https { "https" } else { "http" }))
}

/// `scheme://host[:port]` and nothing more.
fn parse(text: &str) -> Option<Origin<'_>> {
    let (scheme, rest) = text.split_once("://")?;
    let (host, port) = split_port(rest);
    let port = match port {
        Some(port) => number(port)?,
        None => default_port(scheme)?,
    };
    let odd = |c: char| matches!(c, '/' | '?' | '#' | '@' | '\\' | ',') || c.is_whitespace() || c.is_control();
    (!host.is_empty() && !host.contains(odd)).then_some(Origin { scheme, host, port })
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colons within an IPv6 address are inside its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

/// A port as it is written: digits alone.
fn number(port: &str) -> Option<u16> {
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten()
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{OriginHost, OriginPort, OriginRule, check};
    use crate::guard::Visit;

    #[track_caller]
    fn admitted(rules: &[OriginRule], origin: &str, authority: &str, secure: bool) -> bool {
        admitted_from(rules, origin, authority, secure.then_some(true))
    }

    #[track_caller]
    fn admitted_from(rules: &[OriginRule], origin: &str, authority: &str, https: Option<bool>) -> bool {
        let (request, ()) = Request::builder().header("origin", origin).body(()).unwrap().into_parts();
        let client = std::net::Ipv4Addr::LOCALHOST.into();
        let visit = Visit { request: &request, client, authority, https, lasting: true, draining: false };
        check(rules, &visit).is_ok()
    }

    #[track_caller]
    fn check_same(origin: &str, authority: &str, secure: bool, expected: bool) {
        assert_eq!(admitted(&[OriginRule::Same], origin, authority, secure), expected, "{origin} on {authority}");
    }

    #[test]
    fn the_same_origin_agrees_in_host_and_port_and_over_tls_in_scheme() {
        check_same("https://a.example", "a.example", true, true);
        check_same("https://A.Example", "a.example:443", true, true);
        check_same("https://a.example:8443", "a.example:8443", true, true);
        check_same("http://a.example", "a.example", false, true);
        check_same("https://a.example", "a.example", false, true);
        check_same("https://[::1]:8443", "[::1]:8443", true, true);
        check_same("http://[::1]", "[::1]", false, true);
        check_same("http://a.example", "a.example", true, false);
        check_same("https://a.example:8443", "a.example", true, false);
        check_same("https://a.example", "a.example:8443", true, false);
        check_same("http://a.example", "a.example:443", false, false);
        check_same("https://b.example", "a.example", true, false);
        check_same("https://evil-a.example", "a.example", true, false);
        check_same("https://a.example.evil", "a.example", true, false);
        check_same("null", "a.example", true, false);
        check_same("", "a.example", true, false);
        check_same("https://a.example@evil.example", "a.example", true, false);
    }

    #[test]
    fn a_scheme_that_a_trusted_proxy_told_must_agree_too() {
        for (origin, https, expected) in [
            ("https://a.example", Some(true), true),
            ("https://a.example", Some(false), false),
            ("https://a.example", None, true),
            ("http://a.example", Some(true), false),
            ("http://a.example", Some(false), true),
            ("http://a.example", None, true),
        ] {
            let same = admitted_from(&[OriginRule::Same], origin, "a.example", https);
            assert_eq!(same, expected, "{origin} {https:?}");
        }
    }

    #[test]
    fn another_port_is_another_origin() {
        check_same("https://a.example:444", "a.example", true, false);
        check_same("https://a.example:8443", "a.example:8444", true, false);
        check_same("http://a.example:443", "a.example", false, false);
        check_same("https://a.example:", "a.example", true, false);
        check_same("https://a.example:+443", "a.example", true, false);
        check_same("https://a.example:65979", "a.example", true, false);
    }

    #[test]
    fn another_scheme_is_another_origin_where_the_requests_own_is_known() {
        check_same("http://a.example", "a.example", true, false);
        check_same("http://a.example:443", "a.example:443", true, false);
        // Whatever is known: these are no pages of a site.
        for scheme in ["ftp", "chrome-extension", "ws", "file"] {
            check_same(&format!("{scheme}://a.example:80"), "a.example:80", false, false);
        }
    }

    #[test]
    fn a_host_that_begins_or_ends_like_ours_is_another() {
        for host in
            ["evil-example.com", "example.com.evil", "example.com.evil.example", "evil.example.com", "example.co"]
        {
            check_same(&format!("https://{host}"), "example.com", true, false);
        }
        let below = pattern("https", OriginHost::Suffix(".example.com".to_owned()), OriginPort::Any);
        for host in ["evil-example.com", "example.com.evil", "a.example.com.evil", "a.example.comevil"] {
            assert!(!admitted(&below, &format!("https://{host}"), "x", true), "{host}");
        }
        let exact = pattern("https", OriginHost::Exact("example.com".to_owned()), OriginPort::Any);
        for host in
            ["evil-example.com", "example.com.evil", "a.example.com", "example.com:443@evil", "example.com\\.evil"]
        {
            assert!(!admitted(&exact, &format!("https://{host}"), "x", true), "{host}");
        }
    }

    #[test]
    fn a_list_admits_what_any_of_its_rules_does() {
        let mut rules =
            pattern("https", OriginHost::Exact("dash.example.com".to_owned()), OriginPort::Default).to_vec();
        rules.push(OriginRule::Same);
        assert!(admitted(&rules, "https://dash.example.com", "a.example", true));
        assert!(admitted(&rules, "https://a.example", "a.example", true));
        assert!(!admitted(&rules, "https://b.example", "a.example", true));
        assert!(!admitted(&[], "https://a.example", "a.example", true));
    }

    #[test]
    fn no_header_passes_and_two_do_not() {
        let visit = |request: http::request::Builder| {
            let (request, ()) = request.body(()).unwrap().into_parts();
            let (client, authority) = (std::net::Ipv4Addr::LOCALHOST.into(), "a.example");
            check(&[], &Visit { request: &request, client, authority, https: None, lasting: true, draining: false })
                .is_ok()
        };
        assert!(visit(Request::builder()));
        let (request, ()) = Request::builder()
            .header("origin", "http://a.example")
            .header("origin", "http://a.example")
            .body(())
            .unwrap()
            .into_parts();
        let client = std::net::Ipv4Addr::LOCALHOST.into();
        for rule in [OriginRule::Same, OriginRule::Any] {
            let visit = Visit {
                request: &request,
                client,
                authority: "a.example",
                https: None,
                lasting: true,
                draining: false,
            };
            assert!(check(&[rule], &visit).is_err());
        }
    }

    fn pattern(scheme: &str, host: OriginHost, port: OriginPort) -> [OriginRule; 1] {
        [OriginRule::Pattern { scheme: scheme.to_owned(), host, port }]
    }

    #[test]
    fn a_pattern_may_leave_the_port_or_the_first_labels_open() {
        let local = pattern("http", OriginHost::Exact("localhost".to_owned()), OriginPort::Any);
        assert!(admitted(&local, "http://localhost:5173", "x", true));
        assert!(admitted(&local, "http://localhost", "x", true));
        assert!(!admitted(&local, "https://localhost:5173", "x", true));
        assert!(!admitted(&local, "http://localhost.evil:5173", "x", true));
        let below = pattern("https", OriginHost::Suffix(".example.com".to_owned()), OriginPort::Default);
        assert!(admitted(&below, "https://a.b.example.com", "x", true));
        assert!(!admitted(&below, "https://example.com", "x", true));
        assert!(!admitted(&below, "https://evil-example.com", "x", true));
        assert!(!admitted(&below, "https://a.example.com:444", "x", true));
        let port = pattern("https", OriginHost::Exact("a.example".to_owned()), OriginPort::Exact(444));
        assert!(admitted(&port, "https://a.example:444", "x", true));
        assert!(!admitted(&port, "https://a.example", "x", true));
    }

    #[test]
    fn null_is_admitted_only_when_listed() {
        assert!(admitted(&[OriginRule::Null], "null", "x", true));
        assert!(!admitted(&[OriginRule::Same], "null", "null", false));
    }
}
