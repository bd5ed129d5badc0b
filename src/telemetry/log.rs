//! The log: what the process has to say, to stdout, as text or JSON lines.
//!
//! Owns: its set-up, and the limit on warnings about clients' faults. Never: writes one line a request; that is
//! [`super::access`].

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use crate::limits;

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    pub format: LogFormat,
    pub level: Level,
    /// One line a request or socket.
    pub access: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What changes the level of the log that was started.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Starts the log. A second call in one process changes nothing.
pub fn start(options: LogOptions) {
    let (level, handle) = reload::Layer::new(LevelFilter::from_level(options.level));
    let base = tracing_subscriber::registry().with(level);
    let lines = fmt::layer().with_target(false);
    // What a library warns of is a client's doing, as often as the client likes.
    let ours = || filter_fn(|line| line.target().starts_with("steadfeed") || *line.level() == Level::ERROR);
    // An error means that a log was started already, by a test: that one stays.
    let started = match options.format {
        LogFormat::Text => base.with(lines.with_ansi(false).with_filter(ours())).try_init(),
        LogFormat::Json => base.with(lines.json().flatten_event(true).with_filter(ours())).try_init(),
    };
    if started.is_ok() {
        let _ = LEVEL.set(handle);
    }
}

/// From now on, lines of this level and above are written.
pub fn set_level(level: Level) {
    if let Some(handle) = LEVEL.get() {
        // It fails only where no log was started.
        let _ = handle.modify(|filter| *filter = LevelFilter::from_level(level));
    }
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
