//! What a session is made of: its two sockets' standing, its time, and its place among those that are held.
//!
//! Never: decides anything; [`super::state`] does.

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

/// Now, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) wall: Timestamp,
}

/// The client's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Open,
    /// It was told goodbye; its answer is waited for.
    Closing,
    /// It has said goodbye; what waits is still written.
    Heard,
    Gone,
}

/// The upstream socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    /// Opened again, and not heard yet; with the client's last moment, should it be lost again.
    New {
        until: Instant,
    },
    Down {
        until: Instant,
        dial: Dial,
    },
    /// It was told goodbye; its answer is waited for.
    Closing,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dial {
    At(Instant),
    UnderWay,
}

/// How long the client has taken nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stall {
    /// `send_timeout`; `None` where the socket sees to it.
    pub(super) allowed: Option<Duration>,
    pub(super) since: Option<Instant>,
}

/// A session whose upstream socket is down, counted until dropped.
#[derive(Debug)]
pub(super) struct HeldPermit(Gauge);

impl HeldPermit {
    pub(super) fn new(gauge: &Gauge) -> HeldPermit {
        gauge.inc();
        HeldPermit(gauge.clone())
    }
}

impl Drop for HeldPermit {
    fn drop(&mut self) {
        self.0.dec();
    }
}
