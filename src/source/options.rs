//! What the config says of a feed's sources, checked.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::upstream;

/// One source of a feed.
#[derive(Debug, Clone, PartialEq)]
pub enum Options {
    Stats(StatsOptions),
    Alerts(AlertsOptions),
    /// A WebSocket upstream.
    Websocket(DialOptions),
    /// An HTTP resource, asked for again and again.
    Poll(PollOptions),
    /// An event stream (WHATWG HTML, section 9.2).
    Sse(DialOptions),
    /// Filled by `POST /api/feeds/NAME` on the admin listener.
    Publish,
}

/// Where a source dials, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialOptions {
    /// An upstream of its own, with one server, and the times that connecting to it may take.
    pub upstream: upstream::Options,
    /// Path and query.
    pub path: String,
    /// `Host`, as the URL has it.
    pub authority: String,
    /// As the config writes it, for the log.
    pub url: String,
    /// Sent with each attempt; values may be secret.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollOptions {
    pub dial: DialOptions,
    pub every: Duration,
}

/// What serves while every source is down.
#[derive(Debug, Clone, PartialEq)]
pub struct Fallback {
    pub source: Options,
    pub after: Duration,
}

/// The host's statistics (`system_stats`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsOptions {
    pub every: Duration,
    /// `disk` is the mount that holds this path.
    pub path: PathBuf,
}

/// Rules over another feed.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertsOptions {
    /// The feed that is watched.
    pub of: String,
    pub rules: Vec<AlertRule>,
}

/// Says `alert` when the number at `at` has been above `above` for `hold`, and `alert_cleared` when it no longer is.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    /// JSON Pointer (RFC 6901) into the envelope, as in `/data/cpu/usage`.
    pub at: String,
    pub above: f64,
    pub hold: Duration,
    /// Free text, as in `warning`.
    pub level: String,
}

impl Options {
    /// As the config calls it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Options::Stats(_) => "stats",
            Options::Alerts(_) => "alerts",
            Options::Websocket(_) => "websocket",
            Options::Poll(_) => "poll",
            Options::Sse(_) => "sse",
            Options::Publish => "publish",
        }
    }

    /// Where it dials, if it does.
    #[must_use]
    pub fn dial(&self) -> Option<&DialOptions> {
        match self {
            Options::Websocket(dial) | Options::Sse(dial) => Some(dial),
            Options::Poll(poll) => Some(&poll.dial),
            Options::Stats(_) | Options::Alerts(_) | Options::Publish => None,
        }
    }
}
