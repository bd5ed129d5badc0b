//! Feeds: named streams of envelopes that sources fill and any number of viewers share.
//!
//! Never: hyper, a listener or a WebSocket client; what is served is bytes and sockets.

pub mod attendance;
pub mod audience;
pub mod branch;
pub mod branches;
pub mod budget;
pub mod command;
mod deadlines;
pub mod envelope;
pub mod farewell;
mod fields;
pub mod handoff;
pub mod hub;
pub mod inlet;
mod inlets;
mod json;
pub mod log;
pub mod message;
pub mod normalize;
pub mod notice;
pub mod options;
pub mod outgoing;
pub mod pacer;
pub mod pass;
mod passed;
pub mod plan;
pub mod pointer;
pub mod pull;
pub mod pulse;
pub mod roster;
pub mod rosters;
pub mod seat;
pub mod select;
mod skim;
pub mod socket;
mod span;
pub mod standing;
pub mod system;
#[cfg(test)]
pub(crate) mod testing;
pub mod timestamp;
pub mod tokens;
pub mod turn;
pub mod viewer;
pub mod wish;

pub use options::{Delivery, NormalizeOptions, Options, Shape, Share, Skip, Slow, Snapshot};
