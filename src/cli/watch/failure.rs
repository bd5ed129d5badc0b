//! Why a connection could not be made, or ended; in words for the person who watches.
//!
//! Owns: which failures are final, and what of a refusal's body is told.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use tokio_tungstenite::tungstenite;

use super::message::clip;
use crate::limits;

/// The end of one attempt.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server answered the request with something else than messages.
    #[error("the server answered {status}{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Refused { status: StatusCode, detail: String, retry_after: Option<Duration> },
    /// 200, but no event stream.
    #[error("the server answered with {0} instead of text/event-stream; for a WebSocket write ws:// or wss://")]
    NoEventStream(String),
    #[error("the certificate is not trusted ({0}); --insecure accepts any")]
    Certificate(String),
    /// Nothing was even tried.
    #[error("{0}")]
    Setup(String),
    #[error("{0}")]
    Broken(String),
    #[error("no answer within {} s", limits::WATCH_CONNECT.as_secs())]
    ConnectTimeout,
    /// A close frame; `reason` may be empty.
    #[error("the server closed with {code}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    Closed { code: u16, reason: String },
    #[error("the connection ended")]
    Ended,
    #[error("no answer to a ping within {} s", limits::PONG_TIMEOUT.as_secs())]
    Silent,
    #[error("a message is larger than {} bytes", limits::WATCH_MESSAGE)]
    TooLarge,
    #[error("asked to dial again")]
    Asked,
}

impl Failure {
    /// Will not be otherwise the next time: 3xx, 4xx (408 and 429 aside), no event stream, no trust, nothing to try with.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Failure::Refused { status, .. } => {
                !matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
                    && (status.is_client_error() || status.is_redirection() || *status == StatusCode::NO_CONTENT)
            }
            Failure::NoEventStream(_) | Failure::Certificate(_) | Failure::Setup(_) => true,
            Failure::Broken(_)
            | Failure::ConnectTimeout
            | Failure::Closed { .. }
            | Failure::Ended
            | Failure::Silent
            | Failure::TooLarge
            | Failure::Asked => false,
        }
    }

    /// What the server asked to be left alone for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Failure::Refused { retry_after, .. } = self { *retry_after } else { None }
    }

    /// A refusal, told from its head and as much of its body as came.
    #[must_use]
    pub fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let retry_after = text(header::RETRY_AFTER).and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let detail = match text(header::LOCATION) {
            Some(place) if status.is_redirection() => format!("watch {} instead", clip(place, limits::WATCH_LINE)),
            Some(_) | None => explanation(text(header::CONTENT_TYPE).unwrap_or_default(), body),
        };
        Failure::Refused { status, detail, retry_after }
    }

    /// What went wrong below HTTP, in the error's own words, and its causes'.
    #[must_use]
    pub fn broken(error: &(dyn Error + 'static)) -> Failure {
        match certificate_error(error) {
            Some(what) => Failure::Certificate(what),
            None => Failure::Broken(clip(&chain(error), limits::WATCH_LINE)),
        }
    }

    /// As [`Failure::broken`], of an error that does not say what was being done.
    #[must_use]
    pub fn broken_while(doing: &str, error: &(dyn Error + 'static)) -> Failure {
        let failure = Failure::broken(error);
        if let Failure::Broken(text) = failure { Failure::Broken(format!("{doing}: {text}")) } else { failure }
    }

    /// What stands in the way of trying at all.
    #[must_use]
    pub fn setup(error: &(dyn Error + 'static)) -> Failure {
        Failure::Setup(clip(&chain(error), limits::WATCH_LINE))
    }
}

impl From<tungstenite::Error> for Failure {
    fn from(error: tungstenite::Error) -> Failure {
        use tungstenite::Error as E;
        use tungstenite::error::ProtocolError;
        match error {
            E::Capacity(_) => Failure::TooLarge,
            E::ConnectionClosed | E::AlreadyClosed | E::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Failure::Ended
            }
            E::Http(response) => {
                let body = response.body().as_deref().unwrap_or_default();
                Failure::refused(response.status(), response.headers(), body)
            }
            other @ (E::Io(_)
            | E::Tls(_)
            | E::Protocol(_)
            | E::WriteBufferFull(_)
            | E::Utf8(_)
            | E::AttackAttempt
            | E::Url(_)
            | E::HttpFormat(_)) => Failure::broken_while("the connection broke", &other),
        }
    }
}

/// The `detail`, else the `title`, of a problem; or a short plain text; or nothing.
fn explanation(content_type: &str, body: &[u8]) -> String {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = if kind == "application/json" || kind.ends_with("+json") {
        let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        ["detail", "title", "message", "error"]
            .iter()
            .find_map(|name| problem.get(name)?.as_str().map(str::to_owned))
            .unwrap_or_default()
    } else if kind == "text/plain" {
        String::from_utf8_lossy(body).lines().next().unwrap_or_default().to_owned()
    } else {
        String::new()
    };
    clip(text.trim(), limits::WATCH_LINE)
}

/// What rustls found wrong with a certificate, wherever in the chain of causes it is.
fn certificate_error(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(what)) = error.downcast_ref() {
            return Some(what.to_string());
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// The error and its causes, those left out that the one before already said.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !told.contains(&cause_text) {
            told = format!("{told}: {cause_text}");
        }
        next = cause.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, headers: &[(header::HeaderName, &str)], body: &str, expected: &str) {
        let headers: HeaderMap = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let failure = Failure::refused(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes());
        assert_eq!(failure.to_string(), format!("the server answered {expected}"));
    }

    #[test]
    fn a_refusal_tells_what_its_problem_says() {
        let problem = [(header::CONTENT_TYPE, "application/problem+json")];
        check(401, &problem, r#"{"title":"Unauthorized","detail":"no token"}"#, "401 Unauthorized: no token");
        check(403, &problem, r#"{"title":"origin"}"#, "403 Forbidden: origin");
        check(404, &problem, "{cut", "404 Not Found");
        check(404, &problem, "[1]", "404 Not Found");
        check(403, &problem, r#"{"detail":"a\u001b[31m"}"#, "403 Forbidden: a\\u{1b}[31m");
        check(400, &[(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "bad\nmore", "400 Bad Request: bad");
        check(502, &[(header::CONTENT_TYPE, "text/html")], "<h1>", "502 Bad Gateway");
        check(308, &[(header::LOCATION, "https://h/ws")], "", "308 Permanent Redirect: watch https://h/ws instead");
        check(500, &[], "anything", "500 Internal Server Error");
    }

    #[test]
    fn a_detail_is_bounded() {
        let body = "x".repeat(limits::WATCH_LINE + 1);
        let told = "x".repeat(limits::WATCH_LINE);
        check(400, &[(header::CONTENT_TYPE, "text/plain")], &body, &format!("400 Bad Request: {told}…"));
    }

    #[test]
    fn retry_after_is_seconds() {
        let asked = |value: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            Failure::refused(StatusCode::TOO_MANY_REQUESTS, &headers, b"").retry_after()
        };
        assert_eq!(asked("3"), Some(Duration::from_secs(3)));
        assert_eq!(asked("Fri, 01 Jan 2027 00:00:00 GMT"), None);
        assert_eq!(Failure::Ended.retry_after(), None);
    }

    #[test]
    fn what_will_not_change_by_itself_is_final() {
        for (status, expected) in [
            (401, true),
            (403, true),
            (404, true),
            (426, true),
            (308, true),
            (204, true),
            (408, false),
            (429, false),
            (500, false),
            (503, false),
            (200, false),
        ] {
            let failure = Failure::refused(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), b"");
            assert_eq!(failure.is_final(), expected, "{status}");
        }
        assert!(Failure::NoEventStream("text/html".to_owned()).is_final());
        assert!(!Failure::Closed { code: 1000, reason: String::new() }.is_final());
        assert!(!Failure::Ended.is_final());
    }

    #[test]
    fn a_certificate_error_is_found_inside_an_io_error() {
        let rustls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let failure = Failure::broken_while("cannot connect", &io::Error::other(rustls));
        assert!(failure.is_final(), "{failure}");
        assert!(failure.to_string().ends_with("--insecure accepts any"), "{failure}");
        let refused = Failure::broken_while("cannot connect", &io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(refused.to_string(), "cannot connect: connection refused");
    }
}
