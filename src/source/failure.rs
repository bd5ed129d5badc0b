//! Why a source's connection was not to be had, or ended: one line for the log, one word for the metrics.
//!
//! Owns: how a backend's own words are shown: short, on one line, no query and no password of a URL. Never: a token.

use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use crate::limits;
use crate::message::body;
use crate::upstream;
use crate::ws::{CloseFrame, Violation};

/// The end of one attempt.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("there is no such upstream")]
    NoUpstream,
    /// Path and query, a viewer's among them, are none.
    #[error("what is to be asked for is no URL")]
    BadTarget,
    #[error("no viewer's token is left that could be forwarded")]
    NoToken,
    #[error("{0}")]
    Unanswered(#[from] upstream::Failure),
    #[error("it answers {status} and redirects{to}: write the URL that is meant")]
    Redirected { status: StatusCode, to: String },
    #[error("it answers {status}{kind}")]
    Refused { status: StatusCode, kind: String, retry_after: Option<Duration> },
    #[error("it answers {status}{kind} instead of 101: it is no WebSocket")]
    NoWebsocket { status: StatusCode, kind: String },
    #[error("its handshake is wrong: {0}")]
    Handshake(&'static str),
    #[error("the upgrade failed: {0}")]
    Upgrade(String),
    #[error("it answers {status}{kind} instead of an event stream")]
    NoEventStream { status: StatusCode, kind: String },
    #[error("what it answers is no data: {0}")]
    NoData(String),
    #[error("it broke the protocol: {0}")]
    Violation(#[from] Violation),
    #[error("it closed {}", close(.0.as_ref()))]
    Closed(Option<CloseFrame>),
    #[error("the connection ended without a word")]
    Ended,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the answer broke off: {0}")]
    Body(#[from] body::Error),
    #[error("it has said nothing for {0:?}")]
    Silent(Duration),
}

impl Failure {
    /// For the metrics.
    #[must_use]
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Failure::Unanswered(
                upstream::Failure::ConnectTimeout { .. } | upstream::Failure::ResponseTimeout { .. },
            )
            | Failure::Silent(_) => "timeout",
            Failure::NoUpstream | Failure::BadTarget | Failure::Unanswered(_) => "unreachable",
            Failure::NoToken => "no_token",
            Failure::Redirected { .. }
            | Failure::Refused { .. }
            | Failure::NoWebsocket { .. }
            | Failure::NoEventStream { .. }
            | Failure::NoData(_) => "answer",
            Failure::Handshake(_) | Failure::Upgrade(_) | Failure::Violation(_) => "protocol",
            Failure::Closed(_) | Failure::Ended | Failure::Broken(_) | Failure::Body(_) => "closed",
        }
    }

    /// How long the backend wants to be left alone for; a server that answers and says nothing of it is taken to want
    /// `polite`.
    #[must_use]
    pub(super) fn at_least(&self, polite: Duration) -> Duration {
        match self {
            Failure::Refused { retry_after: Some(wait), .. } => (*wait).min(limits::SOURCE_RETRY_MAX).max(polite),
            Failure::Redirected { .. }
            | Failure::Refused { retry_after: None, .. }
            | Failure::NoWebsocket { .. }
            | Failure::NoEventStream { .. }
            | Failure::NoData(_) => polite,
            Failure::NoUpstream
            | Failure::BadTarget
            | Failure::NoToken
            | Failure::Unanswered(_)
            | Failure::Handshake(_)
            | Failure::Upgrade(_)
            | Failure::Violation(_)
            | Failure::Closed(_)
            | Failure::Ended
            | Failure::Broken(_)
            | Failure::Body(_)
            | Failure::Silent(_) => Duration::ZERO,
        }
    }

    /// A head that is not what was asked for, where it is a redirect or says no; `None` where it succeeds.
    #[must_use]
    pub(super) fn of_head(status: StatusCode, headers: &HeaderMap) -> Option<Failure> {
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return None;
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        Some(match text(header::LOCATION) {
            Some(to) if status.is_redirection() => {
                Failure::Redirected { status, to: format!(" to {}", without_secrets(to)) }
            }
            Some(_) | None => {
                let seconds = text(header::RETRY_AFTER).and_then(|value| value.parse().ok());
                Failure::Refused { status, kind: kind(headers), retry_after: seconds.map(Duration::from_secs) }
            }
        })
    }
}

/// ` with text/html`, or nothing.
pub(super) fn kind(headers: &HeaderMap) -> String {
    content_type(headers).map_or_else(String::new, |kind| format!(" with {}", words(kind)))
}

/// Without its parameters.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next().map(str::trim)
}

/// A URL less its query, fragment, user and password.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let shown = match url.split_once("://") {
        None => url.to_owned(),
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
    };
    words(&shown)
}

/// A backend's own words: on one line, and not many.
fn words(text: &str) -> String {
    text.chars().take(limits::SOURCE_WORDS).flat_map(char::escape_debug).collect()
}

fn close(frame: Option<&CloseFrame>) -> String {
    match frame {
        None => "without a code".to_owned(),
        Some(CloseFrame { code, reason }) if reason.is_empty() => format!("with {code}"),
        Some(CloseFrame { code, reason }) => format!("with {code}: {}", words(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::CloseCode;

    #[track_caller]
    fn check_head(status: u16, headers: &[(header::HeaderName, &str)], expected: &str) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let failure = Failure::of_head(StatusCode::from_u16(status).unwrap(), &headers);
        assert_eq!(failure.map_or_else(String::new, |failure| failure.to_string()), expected);
    }

    #[test]
    fn an_answer_that_is_none_tells_what_to_do() {
        let moved = [(header::LOCATION, "https://user:pw@h:8443/login?token=secret#x")];
        let told = "it answers 302 Found and redirects to https://h:8443/login: write the URL that is meant";
        check_head(302, &moved, told);
        check_head(304, &[], "it answers 304 Not Modified");
        check_head(401, &[], "it answers 401 Unauthorized");
        check_head(
            502,
            &[(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            "it answers 502 Bad Gateway with text/html",
        );
        check_head(200, &[], "");
        check_head(204, &[], "");
    }

    #[track_caller]
    fn check_url(url: &str, expected: &str) {
        assert_eq!(without_secrets(url), expected);
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        check_url("ws://app:8000/ws", "ws://app:8000/ws");
        check_url("ws://app:8000/ws?token=secret", "ws://app:8000/ws");
        check_url("wss://user:p@ss@app/ws@1", "wss://app/ws@1");
        check_url("http://user@app", "http://app");
        check_url("/login?next=/", "/login");
        check_url("/a\nb", "/a\\nb");
        check_url(&"x".repeat(1000), &"x".repeat(limits::SOURCE_WORDS));
    }

    #[test]
    fn a_close_is_told_with_its_code_and_reason() {
        let told = |frame| Failure::Closed(frame).to_string();
        let frame = |reason: &str| Some(CloseFrame { code: CloseCode::GOING_AWAY, reason: reason.to_owned() });
        assert_eq!(told(None), "it closed without a code");
        assert_eq!(told(frame("")), "it closed with 1001");
        assert_eq!(told(frame("bye\n")), "it closed with 1001: bye\\n");
    }

    #[test]
    fn who_is_told_to_wait_waits_within_reason() {
        let refused = |seconds: Option<u64>| Failure::Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: String::new(),
            retry_after: seconds.map(Duration::from_secs),
        };
        let second = Duration::from_secs(1);
        assert_eq!(refused(None).at_least(second), second);
        assert_eq!(refused(Some(3)).at_least(second), 3 * second);
        assert_eq!(refused(Some(86_400)).at_least(second), limits::SOURCE_RETRY_MAX);
        assert_eq!(Failure::Ended.at_least(second), Duration::ZERO);
    }
}
