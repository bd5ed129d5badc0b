//! Feeds: named streams of envelopes that sources fill and any number of viewers share.
//!
//! Never: hyper, a listener or a WebSocket client; what is served is bytes and sockets.

pub mod attendance;
pub mod audience;
pub mod command;
pub mod envelope;
pub mod farewell;
mod fields;
pub mod hub;
pub mod inlet;
mod json;
pub mod log;
pub mod message;
pub mod normalize;
pub mod options;
pub mod outgoing;
pub mod pacer;
pub mod pass;
pub mod pointer;
pub mod pull;
pub mod pulse;
pub mod roster;
pub mod seat;
pub mod select;
pub mod socket;
mod span;
pub mod system;
#[cfg(test)]
pub(crate) mod testing;
pub mod timestamp;
pub mod turn;
pub mod viewer;
pub mod wish;

pub use options::{Delivery, NormalizeOptions, Options, Shape, Skip, Slow, Snapshot};
