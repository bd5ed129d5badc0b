//! The access log: one line a request or socket, to stdout.
//!
//! Owns: what a line says, and its own bounded queue and writer thread, so that a slow terminal never slows a request.
//! Never: a query string, a header's value or a token; what does not fit the queue is dropped and counted.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;

use self::writer::Queue;
use super::log::{LogFormat, LogOptions};
use crate::limits;

mod writer;

/// Where lines go; cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Option<Queue>,
    format: LogFormat,
}

/// What one line says.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub client: IpAddr,
    pub method: &'a str,
    /// Without its query.
    pub path: &'a str,
    /// As configured, for grouping.
    pub route: &'a str,
    pub outcome: Outcome<'a>,
    pub took: Duration,
}

#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    Response {
        status: u16,
    },
    Socket {
        code: u16,
        reason: &'a str,
        messages: u64,
        bytes: u64,
    },
    /// Bytes from the client and to it.
    Tunnel {
        reason: &'a str,
        received: u64,
        sent: u64,
    },
}

impl AccessLog {
    /// Starts the writer, unless the access log is off. `dropped` counts the lines that do not fit.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(options: LogOptions, dropped: Counter) -> io::Result<AccessLog> {
        let start = || Queue::start(io::stdout(), limits::ACCESS_LINES, options.format, dropped);
        let queue = options.access.then(start).transpose()?;
        Ok(AccessLog(Arc::new(Inner { queue, format: options.format })))
    }

    /// Whether lines are written at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.queue.is_some()
    }

    /// One that writes nothing.
    #[must_use]
    pub fn off() -> AccessLog {
        AccessLog(Arc::new(Inner { queue: None, format: LogFormat::Text }))
    }

    pub fn write(&self, entry: &Entry<'_>) {
        let Some(queue) = &self.0.queue else { return };
        queue.push(match self.0.format {
            LogFormat::Text => entry.text(),
            LogFormat::Json => entry.json(),
        });
    }

    /// Waits until all that was written is out, for a while. Blocks: for the end of the process.
    pub fn flush(&self) {
        if let Some(queue) = &self.0.queue {
            queue.flush();
        }
    }
}

impl Entry<'_> {
    fn text(&self) -> String {
        let mut line = format!("{:.3} access {} {} ", Timestamp::now(), self.client, self.method);
        // A path may hold what a terminal would obey.
        line.extend(self.path.chars().flat_map(char::escape_debug));
        let took = self.took.as_secs_f64();
        let _ = match self.outcome {
            Outcome::Response { status } => write!(line, " {status} {took:.4}s route={}", self.route),
            Outcome::Socket { code, reason, messages, bytes } => write!(
                line,
                " closed {code} {took:.1}s messages={messages} bytes={bytes} route={} reason={reason:?}",
                self.route
            ),
            Outcome::Tunnel { reason, received, sent } => {
                write!(line, " ended {took:.1}s received={received} sent={sent} route={} reason={reason:?}", self.route)
            }
        };
        line
    }

    fn json(&self) -> String {
        let mut line = serde_json::json!({
            "timestamp": format!("{:.3}", Timestamp::now()),
            "level": "ACCESS",
            "client": self.client,
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "seconds": self.took.as_secs_f64(),
        });
        match self.outcome {
            Outcome::Response { status } => line["status"] = status.into(),
            Outcome::Socket { code, reason, messages, bytes } => {
                line["code"] = code.into();
                line["reason"] = reason.into();
                line["messages"] = messages.into();
                line["bytes"] = bytes.into();
            }
            Outcome::Tunnel { reason, received, sent } => {
                line["reason"] = reason.into();
                line["received"] = received.into();
                line["sent"] = sent.into();
            }
        }
        line.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::{Entry, Outcome};

    #[test]
    fn a_path_cannot_forge_a_line() {
        let entry = Entry {
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            method: "GET",
            path: "/a\n2026-01-01T00:00:00Z access \u{1b}[31m",
            route: "/*",
            outcome: Outcome::Response { status: 404 },
            took: Duration::from_millis(1),
        };
        assert_eq!(entry.text().lines().count(), 1);
        assert!(!entry.text().contains('\u{1b}'));
        assert_eq!(entry.json().lines().count(), 1);
    }
}
