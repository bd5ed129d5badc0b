//! The log: what the process has to say, to stdout, as text or JSON lines.
//!
//! Owns: its set-up, and the limit on warnings about clients' faults. Never: writes one line a request; that is
//! [`super::access`].

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::limits;

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    pub format: LogFormat,
    pub level: tracing::Level,
    /// One line a request or socket.
    pub access: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts the log. A second call in one process changes nothing.
pub fn start(options: LogOptions) {
    let base = fmt().with_max_level(options.level).with_target(false);
    // An error means that a log was started already, by a test: that one stays.
    let _ = match options.format {
        LogFormat::Text => base.with_ansi(false).finish().try_init(),
        LogFormat::Json => base.json().flatten_event(true).finish().try_init(),
    };
}

/// Whether one more warning about a client's fault may be written now. What may not is counted, and the count goes
/// along with the next that may: a flood of bad clients must not become a flood of lines.
#[must_use]
pub fn client_warning() -> Option<u64> {
    static LIMITER: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(|| {
        let rate = NonZeroU32::new(limits::CLIENT_WARNINGS).unwrap_or(NonZeroU32::MIN);
        RateLimiter::direct(Quota::per_second(rate))
    });
    static UNSAID: AtomicU64 = AtomicU64::new(0);
    if LIMITER.check().is_ok() {
        return Some(UNSAID.swap(0, Ordering::Relaxed));
    }
    UNSAID.fetch_add(1, Ordering::Relaxed);
    None
}
