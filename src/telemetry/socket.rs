//! What is said of a socket when it ends: one access line, and its metrics.
//!
//! Owns: the count of open sockets of its route, and that each is said to have ended, whatever ended it. Never: says
//! anything of a socket that did not open.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::access::{AccessLog, Entry, Outcome};
use super::metrics::RouteMeters;
use super::sockets::{self, Listed, Mode, Watch};

/// An open socket, counted and [listed](super::sockets) until [`closed`](SocketRecord::closed) or dropped.
#[derive(Debug)]
pub struct SocketRecord {
    access: AccessLog,
    listed: Listed,
}

impl SocketRecord {
    #[must_use]
    pub fn open(access: &AccessLog, meters: &Arc<RouteMeters>, client: IpAddr, path: &str) -> SocketRecord {
        SocketRecord::begin(access, Listed::open(meters, Mode::Own, client, path), meters)
    }

    /// The same for a tunnel.
    #[must_use]
    pub fn tunnel(access: &AccessLog, meters: &Arc<RouteMeters>, client: IpAddr, path: &str) -> SocketRecord {
        SocketRecord::begin(access, Listed::open(meters, Mode::Tunnel, client, path), meters)
    }

    fn begin(access: &AccessLog, listed: Listed, meters: &RouteMeters) -> SocketRecord {
        meters.sockets.inc();
        SocketRecord { access: access.clone(), listed }
    }

    /// Of whom its token speaks.
    #[must_use]
    pub fn of(mut self, subject: Option<&Arc<str>>) -> SocketRecord {
        self.listed.set_subject(subject);
        self
    }

    /// Tells it when an operator wants it closed.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.listed.watch()
    }

    /// It ended with this close code; `messages` and `bytes` went out over it.
    pub fn closed(self, code: u16, reason: &str, messages: u64, bytes: u64) {
        self.say(|_| Outcome::Socket { code, reason, messages, bytes });
    }

    /// A tunnel ended, of whose bytes nothing is known but how many they were.
    pub fn tunnel_closed(self, reason: &str, received: u64, sent: u64) {
        self.say(|_| Outcome::Tunnel { reason, received, sent });
    }

    /// Says it once: it is taken off the list.
    fn say<'a>(&self, outcome: impl FnOnce(Mode) -> Outcome<'a>) {
        let Some(entry) = self.listed.leave() else { return };
        let outcome = outcome(entry.mode);
        entry.meters.sockets.dec();
        if let Outcome::Socket { code, .. } = outcome {
            entry.meters.closed(code);
        }
        let took = Duration::from_millis(sockets::now().saturating_sub(entry.since));
        let (client, path, route) = (entry.client, entry.path(), entry.meters.route());
        let method = if entry.mode == Mode::Tunnel { "TUNNEL" } else { "WEBSOCKET" };
        self.access.write(&Entry { client, method, path, route, outcome, took });
    }
}

/// One that nobody closed was cut off: by the end of the process, or a panic.
impl Drop for SocketRecord {
    fn drop(&mut self) {
        self.say(|mode| match mode {
            Mode::Tunnel => Outcome::Tunnel { reason: CUT_OFF, received: 0, sent: 0 },
            Mode::Own | Mode::Events => Outcome::Socket { code: ABNORMAL, reason: CUT_OFF, messages: 0, bytes: 0 },
        });
    }
}

/// Why a socket ended that nobody closed.
pub const CUT_OFF: &str = "cut off";
/// No close code came or went (RFC 6455, section 7.1.5).
const ABNORMAL: u16 = 1006;
