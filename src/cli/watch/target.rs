//! What is watched: the URL, and the way of speaking that its scheme asks for.
//!
//! Never: guesses a scheme; an address without one gets an error that says what to write.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

/// A URL that can be watched. Its path is never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub uri: Uri,
    pub way: Way,
    pub tls: bool,
}

/// How messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    WebSocket,
    /// Server-sent events.
    Sse,
}

/// Why a text is no [`Target`], and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the URL names no scheme; write wss://{0} or ws://{0} (WebSocket), https://{0} or http://{0} (SSE)")]
    NoScheme(String),
    #[error("`{0}` cannot be watched; write ws, wss (WebSocket), http or https (SSE)")]
    Scheme(String),
    #[error("this is no URL ({0}); write for example wss://localhost:8443/ws")]
    Malformed(String),
    #[error("a user in the URL is not supported; give a token with --token")]
    User,
}

impl Target {
    /// The host without the brackets of an IPv6 address: what a name is looked up and a certificate checked for.
    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port written, or the scheme's.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// `host` or `host:port` as written: the `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }
}

/// The URL as it may be shown: what looks like a token in its query is `***`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.uri.scheme_str().unwrap_or_default(), self.authority(), self.uri.path())?;
        for (index, pair) in self.uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            match pair.split_once('=') {
                Some((name @ ("token" | "access_token" | "ticket" | "jwt" | "key"), _)) => {
                    write!(f, "{mark}{name}=***")?
                }
                Some(_) | None => write!(f, "{mark}{pair}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(TargetError::NoScheme(text.trim_start_matches('/').to_owned()));
        };
        let (way, tls) = match scheme.to_ascii_lowercase().as_str() {
            "ws" => (Way::WebSocket, false),
            "wss" => (Way::WebSocket, true),
            "http" => (Way::Sse, false),
            "https" => (Way::Sse, true),
            _ => return Err(TargetError::Scheme(scheme.to_owned())),
        };
        if rest.is_empty() {
            return Err(TargetError::Malformed("it names no host".to_owned()));
        }
        let malformed = |error: &dyn fmt::Display| TargetError::Malformed(error.to_string());
        let mut parts = text.parse::<Uri>().map_err(|error| malformed(&error))?.into_parts();
        let authority = parts.authority.as_ref().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(TargetError::User);
        }
        // `http` takes a port that is no number, or too large a one, for none at all.
        let (_, port) = authority.rsplit_once(']').or_else(|| authority.split_once(':')).unwrap_or_default();
        let port = port.trim_start_matches(':');
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return Err(TargetError::Malformed(format!("`{port}` is no port")));
        }
        parts.scheme = Some(Scheme::try_from(scheme.to_ascii_lowercase().as_str()).map_err(|error| malformed(&error))?);
        let path = match &parts.path_and_query {
            Some(path) if path.as_str().starts_with('/') => path.clone(),
            // `ws://host?x=1`: a request line needs the slash.
            Some(query) => format!("/{}", query.as_str()).parse().map_err(|error| malformed(&error))?,
            None => PathAndQuery::from_static("/"),
        };
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|error| malformed(&error))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(TargetError::Malformed("it names no host".to_owned()));
        }
        Ok(Target { uri, way, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: (Way, bool, &str, u16, &str)) {
        let target: Target = text.parse().unwrap();
        let path = target.uri.path_and_query().map_or("", |path| path.as_str());
        assert_eq!((target.way, target.tls, target.host(), target.port(), path), expected, "{text}");
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = text.parse::<Target>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn a_scheme_says_how_to_speak() {
        check("ws://localhost:8080/ws", (Way::WebSocket, false, "localhost", 8080, "/ws"));
        check("wss://dash.test/ws?last=3", (Way::WebSocket, true, "dash.test", 443, "/ws?last=3"));
        check("http://dash.test", (Way::Sse, false, "dash.test", 80, "/"));
        check("HTTPS://dash.test/a", (Way::Sse, true, "dash.test", 443, "/a"));
        check("wss://[::1]:8443/ws", (Way::WebSocket, true, "::1", 8443, "/ws"));
        check("ws://[::1]", (Way::WebSocket, false, "::1", 80, "/"));
        check("ws://h?fields=cpu", (Way::WebSocket, false, "h", 80, "/?fields=cpu"));
    }

    #[test]
    fn what_cannot_be_watched_says_what_to_write() {
        refused("localhost:8443/ws", "write wss://localhost:8443/ws or ws://localhost:8443/ws");
        refused("//localhost/ws", "write wss://localhost/ws");
        refused("/ws", "no scheme");
        refused("", "no scheme");
        refused("ftp://h/", "`ftp` cannot be watched");
        refused("ws://", "no host");
        refused("ws:///ws", "write for example wss://");
        refused("ws://h h/", "write for example wss://");
        refused("ws://h:99999/", "`99999` is no port");
        refused("ws://h:ws/", "write for example wss://");
        refused("wss://me:secret@h/", "--token");
    }

    #[test]
    fn a_token_in_the_query_is_not_shown() {
        let target: Target = "ws://h/ws?fields=cpu&token=abc&ticket=def&x".parse().unwrap();
        assert_eq!(target.to_string(), "ws://h/ws?fields=cpu&token=***&ticket=***&x");
        assert_eq!("wss://h:1".parse::<Target>().unwrap().to_string(), "wss://h:1/");
    }
}
