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
    is_tunnel: bool,
    said: bool,
}

impl SocketRecord {
    #[must_use]
    pub fn open(access: &AccessLog, meters: &Arc<RouteMeters>, client: IpAddr, path: &str) -> SocketRecord {
        meters.sockets.inc();
        let (access, meters) = (access.clone(), Arc::clone(meters));
        SocketRecord { access, meters, client, path: path.into(), since: now(), is_tunnel: false, said: false }
    }

    /// The same for a tunnel.
    #[must_use]
    pub fn tunnel(access: &AccessLog, meters: &Arc<RouteMeters>, client: IpAddr, path: &str) -> SocketRecord {
        let mut record = SocketRecord::open(access, meters, client, path);
        record.is_tunnel = true;
        record
    }

    /// It ended with this close code; `messages` and `bytes` went out over it.
    pub fn closed(mut self, code: u16, reason: &str, messages: u64, bytes: u64) {
        self.meters.closed(code);
        self.say(Outcome::Socket { code, reason, messages, bytes });
    }

    /// A tunnel ended, of whose bytes nothing is known but how many they were.
    pub fn tunnel_closed(mut self, reason: &str, received: u64, sent: u64) {
        self.say(Outcome::Tunnel { reason, received, sent });
    }

    fn say(&mut self, outcome: Outcome<'_>) {
        self.said = true;
        let took = Duration::from_millis(now().saturating_sub(self.since));
        let (route, method) = (self.meters.route(), if self.is_tunnel { "TUNNEL" } else { "WEBSOCKET" });
        self.access.write(&Entry { client: self.client, method, path: &self.path, route, outcome, took });
    }
}

/// One that nobody closed was cut off: by the end of the process, or a panic.
impl Drop for SocketRecord {
    fn drop(&mut self) {
        self.meters.sockets.dec();
        match (self.said, self.is_tunnel) {
            (true, _) => {}
            (false, true) => self.say(Outcome::Tunnel { reason: CUT_OFF, received: 0, sent: 0 }),
            (false, false) => {
                self.meters.closed(ABNORMAL);
                self.say(Outcome::Socket { code: ABNORMAL, reason: CUT_OFF, messages: 0, bytes: 0 });
            }
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
