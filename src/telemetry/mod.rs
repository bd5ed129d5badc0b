//! What the process says of itself: log, access log, metrics.

/// `[log]`.
#[derive(Debug, Clone, Copy)]
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
