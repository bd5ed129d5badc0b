//! A redirect (`redirect`).

use std::net::Ipv6Addr;

use http::header::LOCATION;
use http::{Response, StatusCode, Uri};

use crate::message::{Body, headers, respond};

/// What `redirect` says.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// `Location`, in which `{host}`, `{path}`, `{query}` (with its `?`) and `{uri}` stand for the request's own.
    pub to: String,
    pub status: StatusCode,
}

impl Redirect {
    /// The answer to any method. `authority` is the request's host; its port is left out of `{host}`.
    #[must_use]
    pub fn answer(&self, authority: &str, uri: &Uri) -> Response<Body> {
        to(&self.to, self.status, authority, uri)
    }
}

/// The answer on a listener that leads to another (`redirect_to_https`): 308, so that a method and its body stay.
#[must_use]
pub fn permanent(template: &str, authority: &str, uri: &Uri) -> Response<Body> {
    to(template, StatusCode::PERMANENT_REDIRECT, authority, uri)
}

/// 400 where the request's host is part of the way, and none or not one that should be said back.
fn to(template: &str, status: StatusCode, authority: &str, uri: &Uri) -> Response<Body> {
    if template.contains("{host}") && !is_plain(headers::without_port(authority)) {
        return respond::problem(
            StatusCode::BAD_REQUEST,
            "this is redirected by its Host, which must be a name or an address",
        );
    }
    let mut response = respond::empty(status);
    headers::set(response.headers_mut(), LOCATION, &location(template, authority, uri));
    response
}

/// One pass, so that what a request holds is never taken for a placeholder.
fn location(template: &str, authority: &str, uri: &Uri) -> String {
    // `*` and the authority of CONNECT have no path; of several slashes at the front a browser would make a host.
    let path = uri.path().strip_prefix('/').unwrap_or_default().trim_start_matches(['/', '\\']);
    let mut location = String::with_capacity(template.len() + uri.path().len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        location.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = ["{host}", "{path}", "{query}", "{uri}"].into_iter().find(|name| rest.starts_with(name));
        let Some(name) = known else {
            location.push('{');
            rest = &rest[1..];
            continue;
        };
        rest = &rest[name.len()..];
        if name == "{host}" {
            location.push_str(headers::without_port(authority));
        }
        if matches!(name, "{path}" | "{uri}") {
            location.push('/');
            location.push_str(path);
        }
        if let Some(query) = uri.query().filter(|_| matches!(name, "{query}" | "{uri}")) {
            location.push('?');
            location.push_str(query);
        }
    }
    location.push_str(rest);
    location
}

/// A DNS name or an address as it stands in a URL, and nothing that could end a host there.
fn is_plain(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(to: &str, uri: &'static str, expected: &str) {
        let redirect = Redirect { to: to.to_owned(), status: StatusCode::MOVED_PERMANENTLY };
        let response = redirect.answer("a.example:8080", &Uri::from_static(uri));
        assert_eq!(response.status(), 301);
        assert_eq!(response.headers()[LOCATION], expected, "{to} {uri}");
    }

    #[test]
    fn a_location_takes_its_parts_from_the_request() {
        check("https://b.example/", "/x?y=1", "https://b.example/");
        check("https://{host}{uri}", "/x?y=1", "https://a.example/x?y=1");
        check("https://{host}{path}", "/x?y=1", "https://a.example/x");
        check("/new{path}{query}", "/x", "/new/x");
        check("/{{path}", "/{uri}", "/{/{uri}");
        check("/{other}", "/", "/{other}");
    }

    #[track_caller]
    fn check_permanent(authority: &str, uri: &'static str, expected: &str) {
        let response = permanent("https://{host}:8443{uri}", authority, &Uri::from_static(uri));
        assert_eq!(response.status(), 308);
        assert_eq!(response.headers()[LOCATION], expected, "{authority} {uri}");
    }

    #[test]
    fn a_listener_leads_to_the_same_host_and_path_elsewhere() {
        check_permanent("a.example", "/x?y=1", "https://a.example:8443/x?y=1");
        check_permanent("a.example:8080", "/", "https://a.example:8443/");
        check_permanent("[::1]:8080", "/", "https://[::1]:8443/");
        check_permanent("127.0.0.1", "http://b.example/x?", "https://127.0.0.1:8443/x?");
        check_permanent("a.example", "*", "https://a.example:8443/");
        check_permanent("a.example", "a.example:443", "https://a.example:8443/");
    }

    #[test]
    fn a_host_that_is_none_is_not_said_back() {
        for host in ["", ":80", "a b", "a%0d", "a\"b", "a;b", "[::1", "[x]", "::1", "a'b", "ä", "a:b:80"] {
            assert_eq!(permanent("https://{host}{uri}", host, &Uri::from_static("/")).status(), 400, "{host:?}");
        }
        // Where it is no part of the way it matters to nobody.
        assert_eq!(permanent("https://b.example{uri}", "", &Uri::from_static("/")).status(), 308);
    }

    #[test]
    fn a_path_is_never_taken_for_a_host() {
        check("{path}", "//evil.example/x", "/evil.example/x");
        check("{uri}", "///evil.example?x", "/evil.example?x");
        check("https://{host}{uri}", "//evil.example", "https://a.example/evil.example");
    }
}
