//! The access log: one line a request or socket, to stdout.
//!
//! Owns: its own bounded queue and writer thread, so that a slow terminal never slows a request. Never: a query
//! string, a header's value or a token; what does not fit the queue is dropped and counted.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;

use super::log::{LogFormat, LogOptions};
use crate::limits;

/// Where lines go; cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Option<SyncSender<String>>,
    format: LogFormat,
    dropped: AtomicU64,
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
    /// Starts the writer, unless the access log is off.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(options: LogOptions) -> io::Result<AccessLog> {
        let to = |lines| AccessLog(Arc::new(Inner { lines, format: options.format, dropped: AtomicU64::new(0) }));
        if !options.access {
            return Ok(to(None));
        }
        let (sender, receiver) = sync_channel(limits::ACCESS_LINES);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write(&receiver))?;
        Ok(to(Some(sender)))
    }

    /// Lines that did not fit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    pub fn write(&self, entry: &Entry<'_>) {
        let Some(lines) = &self.0.lines else { return };
        let line = match self.0.format {
            LogFormat::Text => entry.text(),
            LogFormat::Json => entry.json(),
        };
        if lines.try_send(line).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
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

/// Writes until every sender is gone; flushes whenever nothing waits.
fn write(lines: &Receiver<String>) {
    let mut out = BufWriter::new(io::stdout());
    loop {
        let line = match lines.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                // Nobody to tell when stdout is closed.
                let _ = out.flush();
                match lines.recv() {
                    Ok(line) => line,
                    Err(_) => break,
                }
            }
        };
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
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
