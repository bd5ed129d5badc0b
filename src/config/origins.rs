//! One entry of a route's `origins`, from its text.
//!
//! Owns: the form of origins (RFC 6454), and that a default port is never kept: no browser sends one, so
//! `https://a:443` must mean `https://a`.

use std::net::Ipv6Addr;

use super::problem::{Wrong, quoted};
use super::texts::{host_name_remedy, is_host_name};
use super::values::FromText;
use crate::guard::{OriginHost, OriginPort, OriginRule};

impl FromText for OriginRule {
    const EXPECTED: &'static str = "an origin, as in \"same\", \"https://dash.example.com\" or \"http://localhost:*\"";
    const EXAMPLES: &'static [&'static str] = &["same", "https://dash.example.com", "http://localhost:*", "*"];

    fn from_text(text: &str) -> Result<OriginRule, Wrong> {
        match text {
            "same" => return Ok(OriginRule::Same),
            "*" => return Ok(OriginRule::Any),
            "null" => return Ok(OriginRule::Null),
            _ => {}
        }
        let with = |instead: String| Err(Wrong::new(format!("{} is not an origin", quoted(text)), instead));
        if text.contains([' ', ',']) {
            return with("write each origin in quotes of its own".to_owned());
        }
        let lower = text.to_ascii_lowercase();
        let Some((scheme, rest)) = lower.split_once("://") else {
            let host = lower.split(['/', ':']).next().unwrap_or_default();
            return if is_host_name(host) && host != "self" {
                with(format!("say its scheme: \"https://{}\"", lower.split('/').next().unwrap_or_default()))
            } else {
                with(format!("write {}", Self::EXPECTED))
            };
        };
        if let "ws" | "wss" = scheme {
            return with(format!("write the page's own scheme: \"{}://{rest}\"", scheme.replace("ws", "http")));
        }
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !is_scheme {
            return with(format!("write {}", Self::EXPECTED));
        }
        if let Some((authority, _)) = rest.split_once(['/', '?', '#']) {
            return with(format!("an origin ends with its host and port: \"{scheme}://{authority}\""));
        }
        if rest.contains('@') {
            return with("leave the user name out".to_owned());
        }
        let (host, port) = split_port(rest);
        let Some(port) = port_of(scheme, port) else {
            return with("write a port from 1 to 65535, or `*` for any".to_owned());
        };
        match host_of(host) {
            Ok(host) => Ok(OriginRule::Pattern { scheme: scheme.to_owned(), host, port }),
            Err(instead) => with(instead),
        }
    }
}

/// Host and port; the colons inside the brackets of an IPv6 address are not the port's.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

fn port_of(scheme: &str, port: Option<&str>) -> Option<OriginPort> {
    let Some(text) = port else { return Some(OriginPort::Default) };
    if text == "*" {
        return Some(OriginPort::Any);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match (scheme, text.parse().ok()?) {
        (_, 0) => None,
        ("http", 80) | ("https", 443) => Some(OriginPort::Default),
        (_, port) => Some(OriginPort::Exact(port)),
    }
}

fn host_of(host: &str) -> Result<OriginHost, String> {
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
        return match address {
            Some(address) => Ok(OriginHost::Exact(format!("[{address}]"))),
            None => Err("write an IPv6 address in brackets, as in \"http://[::1]:*\"".to_owned()),
        };
    }
    if host == "*" {
        return Err("write \"*\" alone to admit every origin, or name the host".to_owned());
    }
    match host.strip_prefix("*.") {
        Some(suffix) if is_host_name(suffix) => Ok(OriginHost::Suffix(format!(".{suffix}"))),
        None if is_host_name(host) => Ok(OriginHost::Exact(host.to_owned())),
        Some(_) | None if host.parse::<Ipv6Addr>().is_ok() || host.contains(':') => {
            Err("write an IPv6 address in brackets, as in \"http://[::1]:*\"".to_owned())
        }
        Some(_) | None => Err(host_name_remedy(host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn right(text: &str, expected: OriginRule) {
        assert_eq!(OriginRule::from_text(text), Ok(expected), "{text}");
    }

    #[track_caller]
    fn pattern(text: &str, scheme: &str, host: OriginHost, port: OriginPort) {
        right(text, OriginRule::Pattern { scheme: scheme.to_owned(), host, port });
    }

    #[track_caller]
    fn wrong(text: &str, instead: &str) {
        let wrong = OriginRule::from_text(text).unwrap_err();
        assert!(wrong.instead.contains(instead), "{text}: {wrong:?}");
    }

    fn exact(host: &str) -> OriginHost {
        OriginHost::Exact(host.to_owned())
    }

    #[test]
    fn words_are_rules() {
        right("same", OriginRule::Same);
        right("*", OriginRule::Any);
        right("null", OriginRule::Null);
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        pattern("https://Dash.example.com", "https", exact("dash.example.com"), OriginPort::Default);
        pattern("HTTP://localhost:*", "http", exact("localhost"), OriginPort::Any);
        pattern("http://127.0.0.1:3000", "http", exact("127.0.0.1"), OriginPort::Exact(3000));
        pattern(
            "https://*.example.com:8443",
            "https",
            OriginHost::Suffix(".example.com".to_owned()),
            OriginPort::Exact(8443),
        );
        pattern("http://[0::1]:*", "http", exact("[::1]"), OriginPort::Any);
        pattern("http://[::1]", "http", exact("[::1]"), OriginPort::Default);
        pattern("tauri://localhost", "tauri", exact("localhost"), OriginPort::Default);
    }

    #[test]
    fn the_default_port_of_a_scheme_is_the_same_as_none() {
        pattern("https://a.com:443", "https", exact("a.com"), OriginPort::Default);
        pattern("http://a.com:80", "http", exact("a.com"), OriginPort::Default);
        pattern("http://a.com:443", "http", exact("a.com"), OriginPort::Exact(443));
        pattern("https://a.com:80", "https", exact("a.com"), OriginPort::Exact(80));
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_the_fix() {
        wrong("https://a.com/", "\"https://a.com\"");
        wrong("https://a.com:8443/path?q", "\"https://a.com:8443\"");
        wrong("wss://a.com", "\"https://a.com\"");
        wrong("ws://a.com:1", "\"http://a.com:1\"");
        wrong("a.com", "\"https://a.com\"");
        wrong("localhost:3000", "\"https://localhost:3000\"");
        wrong("https://*", "\"*\" alone");
        wrong("https://u:p@a.com", "user name");
        wrong("https://a.*.com", "a host name");
        wrong("https://*.", "a host name");
        wrong("https://", "a host name");
        wrong("https://müller.de", "xn--");
        wrong("https://a.com:0", "a port");
        wrong("https://a.com:", "a port");
        wrong("https://a.com:+1", "a port");
        wrong("https://a.com:99999", "a port");
        wrong("http://::1", "in brackets");
        wrong("http://[::1", "in brackets");
        wrong("://a", "an origin");
        wrong("", "an origin");
        wrong("self", "\"same\"");
        wrong("https://a.com https://b.com", "quotes of its own");
    }
}
