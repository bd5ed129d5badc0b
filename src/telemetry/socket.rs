//! What is said of a socket when it ends: one access line, and its metrics.
//!
//! Owns: the count of open sockets of its route. Never: says anything of a socket that did not open.

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
}

impl SocketRecord {
    #[must_use]
    pub fn open(access: &AccessLog, meters: &Arc<RouteMeters>, client: IpAddr, path: &str) -> SocketRecord {
        meters.sockets.inc();
        let (access, meters) = (access.clone(), Arc::clone(meters));
        SocketRecord { access, meters, client, path: path.into(), since: now() }
    }

    /// It ended with this close code; `messages` and `bytes` went out over it.
    pub fn closed(self, code: u16, reason: &str, messages: u64, bytes: u64) {
        self.meters.closed(code);
        self.say("WEBSOCKET", Outcome::Socket { code, reason, messages, bytes });
    }

    /// A tunnel ended, of whose bytes nothing is known but how many they were.
    pub fn tunnel_closed(self, reason: &str, received: u64, sent: u64) {
        self.say("TUNNEL", Outcome::Tunnel { reason, received, sent });
    }

    fn say(&self, method: &str, outcome: Outcome<'_>) {
        let took = Duration::from_millis(now().saturating_sub(self.since));
        let route = self.meters.route();
        self.access.write(&Entry { client: self.client, method, path: &self.path, route, outcome, took });
    }
}

impl Drop for SocketRecord {
    fn drop(&mut self) {
        self.meters.sockets.dec();
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
