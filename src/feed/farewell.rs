//! How a viewer's socket ended, and what went out over it.

use crate::telemetry::sockets::Order;
use crate::ws::{CloseCode, close};

/// How a socket ended: its close code (1005 for a close without one, 1006 for none at all) and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    pub code: u16,
    pub reason: String,
}

/// What went out to one viewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub messages: u64,
    pub bytes: u64,
}

/// The code and reason of a socket that is told to close.
#[must_use]
pub fn by_order(order: Order) -> (CloseCode, &'static str) {
    match order {
        Order::Operator => (CloseCode::POLICY, close::CLOSED_BY_OPERATOR),
        Order::Config => (CloseCode::RESTART, close::CONFIG_CHANGED),
    }
}

impl Tally {
    /// What was added to `before`.
    #[must_use]
    pub fn since(self, before: Tally) -> Tally {
        Tally { messages: self.messages - before.messages, bytes: self.bytes - before.bytes }
    }
}

impl Farewell {
    #[must_use]
    pub fn dropped(reason: impl Into<String>) -> Farewell {
        Farewell { code: CloseCode::ABNORMAL.get(), reason: reason.into() }
    }
}
