//! Values of the config that are URLs, or parts of them: servers, what is asked, where a redirect leads.
//!
//! Owns: their parsing, and what is said of a text that is not one. Origins are in `origins`, paths in `texts`.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::nearest;
use super::origins::split_port;
use super::problem::{Wrong, quoted};
use super::texts::{is_host_name, path_fault};
use super::values::FromText;
use crate::message::percent;
use crate::upstream::{Scheme, Server};

/// The longest path of a unix socket, in bytes: `sun_path` less the zero at its end.
const SOCKET_PATH: usize = 107;
/// What stands for a part of the request in a redirect.
const PLACEHOLDERS: [&str; 4] = ["{host}", "{path}", "{query}", "{uri}"];

/// What to write where a URL has a user name or a password.
pub(super) const NO_USER: &str = "leave the user name out";

/// A path and a query, as a request line has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target(pub String);

/// A URL that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuthUrl {
    pub server: Server,
    pub target: Target,
}

/// Where a redirect leads, with its placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location(pub String);

/// `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpsUrl {
    /// `None` is the request's own.
    pub host: Option<String>,
    pub port: u16,
}

impl FromText for Server {
    const EXPECTED: &'static str = "a server, as in \"http://app:8000\", \"https://app\" or \"unix:/run/app.sock\"";
    const EXAMPLES: &'static [&'static str] =
        &["http://app:8000", "https://app", "h2c://app:8000", "unix:/run/app.sock"];
    const IS_URL: bool = true;

    fn from_text(text: &str) -> Result<Server, Wrong> {
        let with = |instead: String| Wrong::new(format!("{} is not a server", shown(text)), instead);
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path).map_err(with);
        }
        if text.starts_with('/') {
            return Err(with(format!("write \"unix:{text}\"")));
        }
        let (server, rest) = tcp(text).map_err(with)?;
        if rest.is_empty() {
            return Ok(server);
        }
        let instead = format!(
            "write \"{}\", and cut prefixes off with `strip_prefix` in the route",
            text.strip_suffix(rest).unwrap_or(text)
        );
        Err(Wrong::new(format!("{} has a path, and a server has none", quoted(text)), instead))
    }
}

fn unix(path: &str) -> Result<Server, String> {
    if path.starts_with("//") || !path.starts_with('/') || path.len() == 1 {
        let path = path.trim_start_matches('/');
        return Err(format!("write its whole path: \"unix:/{}\"", if path.is_empty() { "run/app.sock" } else { path }));
    }
    if path.len() > SOCKET_PATH || path.contains('\0') {
        return Err(format!("a socket's path has up to {SOCKET_PATH} bytes: choose a shorter one"));
    }
    Ok(Server::Unix(PathBuf::from(path)))
}

/// `text` for a message, less a password that may stand in it.
pub(super) fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("`***@{}", quoted(rest).trim_start_matches('`')),
        None => quoted(text),
    }
}

/// The server that a URL names, and what follows; or what to write instead.
pub(super) fn tcp(text: &str) -> Result<(Server, &str), String> {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    if after_scheme.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        return Err(NO_USER.to_owned());
    }
    let Some((word, rest)) = text.split_once("://") else {
        return Err(format!("say how it is spoken to: \"http://{text}\""));
    };
    let scheme = match word.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "h2c" => Scheme::H2c,
        "ws" | "tcp" => return Err(format!("write \"http://{rest}\"")),
        "wss" | "h2" | "grpcs" | "tls" => return Err(format!("write \"https://{rest}\"")),
        "grpc" => return Err(format!("write \"h2c://{rest}\"")),
        _ => return Err("start it with http://, https://, h2c:// or unix:/".to_owned()),
    };
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = host_and_port(authority)?;
    let port = port.unwrap_or(match scheme {
        Scheme::Http | Scheme::H2c => 80,
        Scheme::Https => 443,
    });
    Ok((Server::Tcp { scheme, host, port }, rest))
}

/// A host in lower case, an IPv6 address without its brackets, and a port; or what to write instead.
fn host_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    if authority.contains('@') {
        return Err(NO_USER.to_owned());
    }
    let (host, port) = split_port(authority);
    let port = match port {
        None => None,
        Some(port) => match port.parse() {
            Ok(number @ 1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(number),
            Ok(_) | Err(_) => return Err("write a port from 1 to 65535".to_owned()),
        },
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(Ok(address)) = bracketed.map(str::parse::<Ipv6Addr>) {
        return Ok((address.to_string(), port));
    }
    let lower = host.to_ascii_lowercase();
    if is_host_name(&lower) {
        Ok((lower, port))
    } else if host.contains(':') {
        Err("write an IPv6 address in brackets, as in \"http://[::1]:8000\"".to_owned())
    } else if host.is_ascii() {
        Err("name a host: letters, digits, `-`, `_` and dots, or an address".to_owned())
    } else {
        Err("write the name as DNS has it, starting with \"xn--\"".to_owned())
    }
}

impl FromText for Target {
    const EXPECTED: &'static str = "a path, as in \"/health\"";
    const EXAMPLES: &'static [&'static str] = &["/health", "/api/v1/health"];

    fn from_text(text: &str) -> Result<Target, Wrong> {
        target(text).map_err(|instead| Wrong::new(format!("{} is not a path", quoted(text)), instead))
    }
}

fn target(text: &str) -> Result<Target, String> {
    if !text.starts_with('/') {
        return Err(format!("start it with a slash: \"/{}\"", text.split_once("://").map_or(text, |(_, rest)| rest)));
    }
    if let Some((before, _)) = text.split_once('#') {
        return Err(format!("leave the fragment out: \"{before}\""));
    }
    match path_fault(&text.replace('?', "/")) {
        Some(encoded) => Err(format!("write what no URL has percent-encoded: {encoded}")),
        None => Ok(Target(text.to_owned())),
    }
}

impl FromText for AuthUrl {
    const EXPECTED: &'static str = "a URL, as in \"http://app:8000/auth\"";
    const EXAMPLES: &'static [&'static str] = &["http://app:8000/auth"];
    const IS_URL: bool = true;

    fn from_text(text: &str) -> Result<AuthUrl, Wrong> {
        let with = |instead: String| Wrong::new(format!("{} can not be asked", shown(text)), instead);
        let (server, rest) = tcp(text).map_err(with)?;
        let path = match rest {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            rest => rest.to_owned(),
        };
        Ok(AuthUrl { server, target: target(&path).map_err(with)? })
    }
}

impl FromText for Location {
    const EXPECTED: &'static str = "where to, as in \"https://{host}{uri}\" or \"/new{path}\"";
    const EXAMPLES: &'static [&'static str] = &["https://example.com/", "https://{host}{uri}", "/new{path}"];

    fn from_text(text: &str) -> Result<Location, Wrong> {
        location(text).map_err(|instead| Wrong::new(format!("{} leads nowhere", quoted(text)), instead))?;
        Ok(Location(text.to_owned()))
    }
}

fn location(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        rest = rest.get(at..).unwrap_or_default();
        let Some(name) = PLACEHOLDERS.into_iter().find(|name| rest.starts_with(name)) else {
            let end = rest.find('}').filter(|&end| end > 0);
            let written = end.and_then(|end| rest.get(..=end)).unwrap_or("{");
            let instead = nearest::write_one_of(written, PLACEHOLDERS);
            return Err(format!("{instead} in place of {}, or the brace itself percent-encoded", quoted(written)));
        };
        rest = rest.get(name.len()..).unwrap_or_default();
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic()) {
        let encoded = percent::encode(odd.encode_utf8(&mut [0; 4]), "");
        return Err(format!("write what no URL has percent-encoded: {encoded}"));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let has_host = !rest.starts_with(['/', '?', '#']) && !rest.starts_with("{path}") && !rest.starts_with("{uri}");
        return match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" if has_host && !rest.is_empty() && !rest.starts_with("{query}") => Ok(()),
            "http" | "https" => Err(format!("name a host: \"{scheme}://{{host}}{rest}\"")),
            _ => Err("start it with https://, http:// or a slash".to_owned()),
        };
    }
    // Browsers take what starts with two slashes for a host.
    match text.strip_prefix('/') {
        Some(rest) if rest.starts_with(['/', '\\']) => Err("start it with one slash, or with https://".to_owned()),
        Some(rest) if rest.starts_with("{path}") || rest.starts_with("{uri}") => {
            Err(format!("the path has a slash of its own: \"{rest}\""))
        }
        Some(_) => Ok(()),
        None if text.starts_with("{path}") || text.starts_with("{uri}") => Ok(()),
        None => Err("start it with https://, http:// or a slash".to_owned()),
    }
}

impl FromText for HttpsUrl {
    const EXPECTED: &'static str = "true, or as in \"https://example.com\"";
    const EXAMPLES: &'static [&'static str] = &["https://example.com", "https://{host}:8443"];

    fn from_text(text: &str) -> Result<HttpsUrl, Wrong> {
        let with = |instead: String| Wrong::new(format!("{} is not where HTTPS is", shown(text)), instead);
        let authority = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some((_, rest)) => return Err(with(format!("write \"https://{rest}\""))),
            None => return Err(with(format!("write {}", Self::EXPECTED))),
        };
        if let Some((authority, _)) = authority.split_once(['/', '?', '#']) {
            return Err(with(format!("leave out the path, which is the request's own: \"https://{authority}\"")));
        }
        let (host, port) = match authority.strip_prefix("{host}") {
            Some(port) if port.is_empty() || port.starts_with(':') => {
                (None, host_and_port(&format!("host{port}")).map_err(with)?.1)
            }
            Some(_) | None => {
                let (host, port) = host_and_port(authority).map_err(with)?;
                (Some(host), port)
            }
        };
        Ok(HttpsUrl { host, port: port.unwrap_or(443) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn right<T: FromText + std::fmt::Debug + PartialEq>(text: &str, expected: T) {
        assert_eq!(T::from_text(text), Ok(expected), "{text}");
    }

    #[track_caller]
    fn wrong<T: FromText + std::fmt::Debug>(text: &str, instead: &str) {
        let wrong = T::from_text(text).unwrap_err();
        assert!(wrong.instead.contains(instead), "{text}: {wrong:?}");
    }

    fn server(scheme: Scheme, host: &str, port: u16) -> Server {
        Server::Tcp { scheme, host: host.to_owned(), port }
    }

    #[test]
    fn servers_have_a_scheme_and_no_path() {
        right("http://app:8000", server(Scheme::Http, "app", 8000));
        right("HTTP://App_1.Example.com", server(Scheme::Http, "app_1.example.com", 80));
        right("https://app", server(Scheme::Https, "app", 443));
        right("h2c://10.0.0.1", server(Scheme::H2c, "10.0.0.1", 80));
        right("http://[::0001]:81", server(Scheme::Http, "::1", 81));
        right("unix:/run/app.sock", Server::Unix("/run/app.sock".into()));
        right(&format!("unix:/{}", "x".repeat(106)), Server::Unix(format!("/{}", "x".repeat(106)).into()));
        wrong::<Server>("app:8000", "\"http://app:8000\"");
        wrong::<Server>("", "\"http://\"");
        wrong::<Server>("http://app:8000/", "write \"http://app:8000\", and cut prefixes off with `strip_prefix`");
        wrong::<Server>("http://app/api?x", "write \"http://app\"");
        wrong::<Server>("http://app?x", "write \"http://app\"");
        wrong::<Server>("ws://app:8000", "\"http://app:8000\"");
        wrong::<Server>("wss://app", "\"https://app\"");
        wrong::<Server>("grpc://app", "\"h2c://app\"");
        wrong::<Server>("ftp://app", "http://, https://, h2c:// or unix:/");
        wrong::<Server>("/run/app.sock", "\"unix:/run/app.sock\"");
        wrong::<Server>("unix:run/app.sock", "\"unix:/run/app.sock\"");
        wrong::<Server>("unix:///run/app.sock", "\"unix:/run/app.sock\"");
        wrong::<Server>("unix:", "\"unix:/run/app.sock\"");
        wrong::<Server>(&format!("unix:/{}", "x".repeat(107)), "up to 107 bytes");
        wrong::<Server>("http://user:word@app", "user name");
        for text in ["http://user:word@app", "ws://user:word@app", "user:word@app"] {
            let wrong = Server::from_text(text).unwrap_err();
            assert_eq!((wrong.what.as_str(), wrong.instead.as_str()), ("`***@app` is not a server", NO_USER));
        }
        for port in ["", "0", "+1", "65536", "http"] {
            wrong::<Server>(&format!("http://app:{port}"), "a port from 1 to 65535");
        }
        wrong::<Server>("http://::1", "in brackets");
        wrong::<Server>("http://[::1", "in brackets");
        wrong::<Server>("http://", "name a host");
        wrong::<Server>("http://*.example.com", "name a host");
        wrong::<Server>("http://müller.de", "xn--");
    }

    #[test]
    fn what_is_asked_has_a_path() {
        let url = |path: &str| AuthUrl { server: server(Scheme::Http, "app", 80), target: Target(path.to_owned()) };
        right("http://app/auth?a=b?", url("/auth?a=b?"));
        right("http://app", url("/"));
        right("http://app?a", url("/?a"));
        wrong::<AuthUrl>("/auth", "\"http:///auth\"");
        wrong::<AuthUrl>("http://app/a#b", "\"/a\"");
        wrong::<AuthUrl>("http://app/a b", "%20");
        right("/health?deep=1", Target("/health?deep=1".to_owned()));
        wrong::<Target>("health", "\"/health\"");
        wrong::<Target>("", "\"/\"");
    }

    #[test]
    fn locations_have_known_placeholders_and_a_host_or_a_slash() {
        for text in [
            "https://b.example/",
            "https://{host}{uri}",
            "HTTPS://www.{host}:8443{path}{query}",
            "/new{path}?a",
            "/",
            "{path}/",
            "{uri}",
        ] {
            right(text, Location(text.to_owned()));
        }
        wrong::<Location>("https://{hots}/", "write `{host}` in place of `{hots}`");
        wrong::<Location>("/{", "in place of `{`");
        wrong::<Location>("/}", "in place of `{`");
        wrong::<Location>("/{é", "in place of `{`");
        wrong::<Location>("https://$host/{other}", "one of `{host}`");
        wrong::<Location>("//evil.example", "one slash");
        wrong::<Location>("/\\evil.example", "one slash");
        wrong::<Location>("/{path}", "\"{path}\"");
        wrong::<Location>("https://{path}", "\"https://{host}{path}\"");
        wrong::<Location>("https:///a", "\"https://{host}/a\"");
        wrong::<Location>("https://", "name a host");
        wrong::<Location>("ftp://a", "start it with");
        wrong::<Location>("example.com", "start it with");
        wrong::<Location>("{query}", "start it with");
        wrong::<Location>("", "start it with");
        wrong::<Location>("/a b", "%20");
        wrong::<Location>("/é", "%C3%A9");
    }

    #[test]
    fn https_is_at_a_host_and_a_port() {
        let at = |host: Option<&str>, port| HttpsUrl { host: host.map(str::to_owned), port };
        right("https://Example.com", at(Some("example.com"), 443));
        right("https://example.com:8443", at(Some("example.com"), 8443));
        right("https://{host}", at(None, 443));
        right("https://{host}:8443", at(None, 8443));
        wrong::<HttpsUrl>("http://example.com", "\"https://example.com\"");
        wrong::<HttpsUrl>("https://example.com/", "\"https://example.com\"");
        wrong::<HttpsUrl>("example.com", "\"https://example.com\"");
        wrong::<HttpsUrl>("https://:8443", "name a host");
        wrong::<HttpsUrl>("https://{host}x", "name a host");
        wrong::<HttpsUrl>("https://{host}:0", "a port");
    }
}
