//! The rows of the table: what the load does, over how many sockets, and what steadfeed must reach there.

use super::server::Peer;

/// One kind of work.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub work: Work,
    pub tls: bool,
    pub sockets: usize,
    pub limit: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Requests over keep-alive HTTP/1.1, one after the other on each socket.
    Http1(Answer),
    /// Requests over HTTP/2, [`STREAMS`] at a time on each socket.
    Http2(Answer),
    /// WebSocket messages that come back, one after the other on each socket.
    Echo,
    /// WebSockets opened, used once and closed, one after the other in each place.
    Upgrade,
    /// WebSockets that say nothing.
    Idle,
}

/// What is asked for, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub path: &'static str,
    pub bytes: usize,
}

/// The most that steadfeed may need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// CPU time a unit, to that of the better peer.
    Ratio(f64),
    /// KiB a socket.
    Memory(f64),
}

/// Requests in flight on an HTTP/2 connection.
pub const STREAMS: usize = 8;

const KIB: Answer = Answer { path: "/1k", bytes: 1 << 10 };
const MIB: Answer = Answer { path: "/1m", bytes: 1 << 20 };
/// Beneath `/files/` each peer serves the folder of the run itself.
const FILE_KIB: Answer = Answer { path: "/files/1k.bin", bytes: 1 << 10 };
const FILE_MIB: Answer = Answer { path: "/files/1m.bin", bytes: 1 << 20 };

#[rustfmt::skip]
pub const ALL: [Row; 13] = [
    row("http", "1 KiB answers, HTTP/1.1, 64 connections", Work::Http1(KIB), false, 64, Limit::Ratio(1.3)),
    row("https", "the same over TLS", Work::Http1(KIB), true, 64, Limit::Ratio(1.1)),
    row("http2", "the same over HTTP/2 and TLS, 8 connections x 8 streams", Work::Http2(KIB), true, 8, Limit::Ratio(1.5)),
    row("big", "1 MiB answers, HTTP/1.1, 8 connections", Work::Http1(MIB), false, 8, Limit::Ratio(3.0)),
    row("big-tls", "the same over TLS", Work::Http1(MIB), true, 8, Limit::Ratio(3.0)),
    row("static", "a file of 1 KiB, HTTP/1.1, 64 connections", Work::Http1(FILE_KIB), false, 64, Limit::Ratio(2.0)),
    row("static-big", "a file of 1 MiB, HTTP/1.1, 8 connections", Work::Http1(FILE_MIB), false, 8, Limit::Ratio(3.0)),
    row("tunnel", "WebSocket echo of 128 B through a tunnel, 100 sockets", Work::Echo, false, 100, Limit::Ratio(1.1)),
    row("tunnel-tls", "the same over WSS", Work::Echo, true, 100, Limit::Ratio(1.1)),
    row("upgrade", "WebSocket opened, one echo, closed, 32 at a time", Work::Upgrade, false, 32, Limit::Ratio(1.1)),
    row("upgrade-tls", "the same over WSS, a full handshake each", Work::Upgrade, true, 32, Limit::Ratio(1.1)),
    row("idle", "an idle tunnel, 5,000 of them", Work::Idle, false, 5000, Limit::Memory(3.0)),
    row("idle-tls", "the same over WSS", Work::Idle, true, 5000, Limit::Memory(12.0)),
];

const fn row(name: &'static str, title: &'static str, work: Work, tls: bool, sockets: usize, limit: Limit) -> Row {
    Row { name, title, work, tls, sockets, limit }
}

pub fn named(name: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| row.name == name)
}

impl Row {
    /// HAProxy has no files.
    pub fn takes(&self, peer: Peer) -> bool {
        !(peer == Peer::Haproxy && self.path().starts_with("/files/"))
    }

    /// What a client asks for first.
    pub fn path(&self) -> &'static str {
        match self.work {
            Work::Http1(answer) | Work::Http2(answer) => answer.path,
            Work::Echo | Work::Upgrade | Work::Idle => "/ws",
        }
    }

    /// What CPU time is divided by.
    pub fn unit(&self) -> &'static str {
        match self.work {
            Work::Http1(_) | Work::Http2(_) => "us a request",
            Work::Echo => "us a round trip",
            Work::Upgrade => "us a socket",
            Work::Idle => "KiB a socket",
        }
    }
}
