//! What the config says of a feed's sources, checked.

use std::path::PathBuf;
use std::time::Duration;

/// One source of a feed.
#[derive(Debug, Clone, PartialEq)]
pub enum Options {
    Stats(StatsOptions),
    Alerts(AlertsOptions),
    /// Filled by `POST /api/feeds/NAME` on the admin listener.
    Publish,
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
