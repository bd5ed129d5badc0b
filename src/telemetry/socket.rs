//! What is said of a socket when it ends: one access line, and its metrics.
//!
//! Owns: the count of open sockets of its route, and that each is said to have ended, whatever ended it. Never: says
//! anything of a socket that did not open.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::Instant;

use super::access::{AccessLog, Entry, Outcome};
use super::metrics::RouteMeters;

/// An open socket, counted until [`closed`](SocketRecord::closed) or dropped.
#[derive(Debug)]
pub struct SocketRecord {
    access: AccessLog,
    meters: Arc<RouteMeters>,
    client: IpAddr,
    path: Box<str>,
    /// Milliseconds after [`START`]: there is one of these a socket.
    since: u64,
    said: bool,
}

impl SocketRecord {
    #[must_use]
    pub fn open(access: &AccessLog, meters: &Arc<RouteMeters>, client: IpAddr, path: &str) -> SocketRecord {
        meters.sockets.inc();
        let (access, meters) = (access.clone(), Arc::clone(meters));
        SocketRecord { access, meters, client, path: path.into(), since: now(), said: false }
    }

    /// It ended with this close code; `messages` and `bytes` went out over it.
    pub fn closed(mut self, code: u16, reason: &str, messages: u64, bytes: u64) {
        self.say(code, reason, messages, bytes);
    }

    fn say(&mut self, code: u16, reason: &str, messages: u64, bytes: u64) {
        self.said = true;
        self.meters.closed(code);
        let took = Duration::from_millis(now().saturating_sub(self.since));
        self.access.write(&Entry {
            client: self.client,
            method: "WEBSOCKET",
            path: &self.path,
            route: self.meters.route(),
            outcome: Outcome::Socket { code, reason, messages, bytes },
            took,
        });
    }
}

/// One that nobody closed was cut off: by the end of the process, or a panic.
impl Drop for SocketRecord {
    fn drop(&mut self) {
        self.meters.sockets.dec();
        if !self.said {
            self.say(ABNORMAL, CUT_OFF, 0, 0);
        }
    }
}

/// Why a socket ended that nobody closed.
pub const CUT_OFF: &str = "cut off";
/// No close code came or went (RFC 6455, section 7.1.5).
const ABNORMAL: u16 = 1006;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
