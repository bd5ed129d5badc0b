//! Asking a silent peer whether it is still there (RFC 9113, section 6.7).
//!
//! Owns: when to ask, and for how long to wait for the answer. Never: asks while anything comes.

use std::task::{Context, Poll, ready};

use h2::PingPong;
use tokio::time::Instant;

use crate::message::alarm::Alarm;
use crate::net::Limits;
use crate::net::clock::Clock;

/// A connection's pings.
#[derive(Debug)]
pub(super) struct Ping {
    /// `None` where nothing can be asked.
    pings: Option<PingPong>,
    /// When the answer is due.
    asked: Option<Instant>,
    alarm: Alarm,
    lost: bool,
}

impl Ping {
    pub(super) fn new(pings: Option<PingPong>) -> Ping {
        Ping { pings, asked: None, alarm: Alarm::default(), lost: false }
    }

    /// Completes, once, when the peer has said nothing for `keepalive_timeout` and then not answered for `header_timeout`.
    pub(super) fn poll_lost(&mut self, cx: &mut Context<'_>, clock: &Clock, limits: &Limits) -> Poll<()> {
        let Some(pings) = &mut self.pings else { return Poll::Pending };
        loop {
            let Some(due) = self.asked else {
                ready!(self.alarm.poll(cx, clock.heard_at() + limits.keepalive_timeout));
                // It fails on a connection that ends by itself.
                let _ = pings.send_ping(h2::Ping::opaque());
                self.asked = Some(Instant::now() + limits.header_timeout);
                continue;
            };
            if let Poll::Ready(Ok(_pong)) = pings.poll_pong(cx) {
                self.asked = None;
                continue;
            }
            ready!(self.alarm.poll(cx, due));
            (self.pings, self.lost) = (None, true);
            return Poll::Ready(());
        }
    }

    /// Whether it was found out that the peer is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }
}
