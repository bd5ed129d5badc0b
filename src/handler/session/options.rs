//! What the config says of a session, checked.

use std::time::Duration;

use crate::feed::{Delivery, NormalizeOptions};
use crate::limits;

/// `[route.session]`: a WebSocket whose messages are understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub normalize: NormalizeOptions,
    /// `greet` has no meaning here.
    pub delivery: Delivery,
    /// How long a client is kept while its upstream socket is down; zero is not at all.
    pub hold: Duration,
    /// How many of the client's first messages are said again to a new upstream socket.
    pub resend: usize,
    pub held: Held,
    /// Bytes; a larger message of the upstream is dropped with a log line and a metric.
    pub max_message: usize,
}

/// What becomes of what a client says while its upstream socket is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    /// Kept, in order and bounded.
    #[default]
    Queue,
    /// Answered with an `error`.
    Refuse,
}

/// `[route.session]` that says nothing.
impl Default for Options {
    fn default() -> Options {
        Options {
            normalize: NormalizeOptions::default(),
            delivery: Delivery::default(),
            hold: limits::HOLD,
            resend: 0,
            held: Held::default(),
            max_message: limits::MAX_MESSAGE,
        }
    }
}
