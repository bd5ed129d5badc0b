//! URLs that are dialled: WebSockets, and what is asked over HTTP.
//!
//! Owns: their parsing, and what is said of a text that is not one. Never: repeats a query or a user name in what it
//! says, since tokens stand there.

use super::problem::Wrong;
use super::texts::path_fault;
use super::urls::{NO_USER, shown, tcp};
use super::values::FromText;
use crate::upstream::{Scheme, Server};

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dial {
    pub server: Server,
    /// `Host`: without the port where that is the scheme's own.
    pub authority: String,
    /// Path and query.
    pub target: String,
    /// As the config writes it, less its query.
    pub url: String,
}

/// `ws://` or `wss://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WsUrl(pub Dial);

/// `http://` or `https://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpUrl(pub Dial);

impl FromText for WsUrl {
    const EXPECTED: &'static str = "a URL, as in \"ws://app:8000/ws\"";
    const EXAMPLES: &'static [&'static str] = &["ws://app:8000/ws", "wss://app.example.com/ws"];
    const IS_URL: bool = true;

    fn from_text(text: &str) -> Result<WsUrl, Wrong> {
        let schemes = |scheme: &str| match scheme {
            "ws" => Ok("http"),
            "wss" => Ok("https"),
            "http" => Err(Some("ws")),
            "https" => Err(Some("wss")),
            _ => Err(None),
        };
        dial(text, "ws", "start it with ws:// or wss://", schemes).map(WsUrl)
    }
}

impl FromText for HttpUrl {
    const EXPECTED: &'static str = "a URL, as in \"http://app:8000/stats\"";
    const EXAMPLES: &'static [&'static str] = &["http://app:8000/stats", "https://app.example.com/stats"];
    const IS_URL: bool = true;

    fn from_text(text: &str) -> Result<HttpUrl, Wrong> {
        let schemes = |scheme: &str| match scheme {
            "http" => Ok("http"),
            "https" => Ok("https"),
            "ws" => Err(Some("http")),
            "wss" => Err(Some("https")),
            _ => Err(None),
        };
        dial(text, "http", "start it with http:// or https://", schemes).map(HttpUrl)
    }
}

/// `schemes` gives what a scheme is spoken over, or the one to write in its place.
fn dial(
    text: &str,
    usual: &str,
    remedy: &str,
    schemes: impl Fn(&str) -> Result<&'static str, Option<&'static str>>,
) -> Result<Dial, Wrong> {
    let (url, after) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    let with = |instead: String| Wrong::new(format!("{} can not be dialled", shown(url)), instead);
    let (scheme, rest) = url.split_once("://").map_or((None, url), |(scheme, rest)| (Some(scheme), rest));
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return Err(with(format!("{NO_USER}, and send it as a header: headers = {{ Authorization = \"...\" }}")));
    }
    let Some(scheme) = scheme else {
        return Err(with(match rest.strip_prefix("unix:") {
            Some(_) => remedy.to_owned(),
            None => format!("say how it is spoken to: \"{usual}://{rest}\""),
        }));
    };
    let http = schemes(&scheme.to_ascii_lowercase()).map_err(|other| match other {
        Some(other) => with(format!("write \"{other}://{rest}\"")),
        None => with(remedy.to_owned()),
    })?;
    let spoken = format!("{http}://{rest}");
    let (server, path) = tcp(&spoken).map_err(with)?;
    if after.contains('#') {
        return Err(with("leave the fragment out".to_owned()));
    }
    let target = format!("{}{after}", if path.is_empty() { "/" } else { path });
    if let Some(encoded) = path_fault(&target.replace('?', "/")) {
        return Err(with(format!("write what no URL has percent-encoded: {encoded}")));
    }
    Ok(Dial { authority: authority(&server), server, target, url: url.to_owned() })
}

/// `Host` of a server (RFC 9110, section 7.2).
fn authority(server: &Server) -> String {
    let Server::Tcp { scheme, host, port } = server else { return String::new() };
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    match (scheme, port) {
        (Scheme::Http | Scheme::H2c, 80) | (Scheme::Https, 443) => host,
        (Scheme::Http | Scheme::H2c | Scheme::Https, port) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn right(dial: Result<Dial, Wrong>, server: &str, authority: &str, target: &str, url: &str) {
        let dial = dial.unwrap();
        let parts = (dial.server.to_string(), dial.authority.as_str(), dial.target.as_str(), dial.url.as_str());
        assert_eq!(parts, (server.to_owned(), authority, target, url));
    }

    fn ws(text: &str) -> Result<Dial, Wrong> {
        WsUrl::from_text(text).map(|WsUrl(dial)| dial)
    }

    fn http(text: &str) -> Result<Dial, Wrong> {
        HttpUrl::from_text(text).map(|HttpUrl(dial)| dial)
    }

    #[track_caller]
    fn wrong(dial: Result<Dial, Wrong>, instead: &str) {
        let wrong = dial.unwrap_err();
        assert!(wrong.instead.contains(instead), "{wrong:?}");
        assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
    }

    #[test]
    fn a_websocket_is_dialled_over_http() {
        right(ws("ws://app:8000/ws"), "http://app:8000", "app:8000", "/ws", "ws://app:8000/ws");
        right(
            ws("WSS://App.example.com"),
            "https://app.example.com:443",
            "app.example.com",
            "/",
            "WSS://App.example.com",
        );
        right(ws("ws://app:80/a?token=x&b"), "http://app:80", "app", "/a?token=x&b", "ws://app:80/a");
        right(ws("wss://[::1]:8443?a"), "https://[::1]:8443", "[::1]:8443", "/?a", "wss://[::1]:8443");
        wrong(ws("http://app/ws"), "write \"ws://app/ws\"");
        wrong(ws("https://app/ws?t=hunter2"), "write \"wss://app/ws\"");
        wrong(ws("app:8000/ws?t=hunter2"), "\"ws://app:8000/ws\"");
        wrong(ws("unix:/run/app.sock"), "start it with ws://");
        wrong(ws("ftp://app?hunter2"), "start it with ws://");
        wrong(ws(""), "\"ws://\"");
    }

    #[test]
    fn what_is_asked_is_http() {
        right(
            http("http://app:8000/stats?a=b?c"),
            "http://app:8000",
            "app:8000",
            "/stats?a=b?c",
            "http://app:8000/stats",
        );
        right(http("https://app"), "https://app:443", "app", "/", "https://app");
        wrong(http("ws://app/a"), "write \"http://app/a\"");
        wrong(http("wss://app/a"), "write \"https://app/a\"");
        wrong(http("/stats"), "\"http:///stats\"");
    }

    #[test]
    fn what_may_be_secret_is_not_repeated() {
        wrong(ws("ws://me:hunter2@app/ws"), "Authorization");
        wrong(ws("me:hunter2@app"), "Authorization");
        wrong(http("ftp://me:hunter2@app"), "Authorization");
        wrong(http("http://app/a?t=hunter2#b"), "leave the fragment out");
        wrong(http("http://app/a?t=hunter2 "), "%20");
        wrong(http("http://app:0/a?t=hunter2"), "a port");
        wrong(http("http:///a?t=hunter2"), "name a host");
    }
}
