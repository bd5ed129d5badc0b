//! Feeds: named streams of envelopes that sources fill and any number of viewers share.
//!
//! Never: hyper, a listener or a WebSocket client; what is served is bytes and sockets.

pub mod command;
pub mod envelope;
mod fields;
mod json;
pub mod normalize;
pub mod options;
pub mod pointer;
pub mod select;
mod span;
mod system;
pub mod timestamp;

pub use options::{Delivery, NormalizeOptions, Options, Shape, Skip, Slow, Snapshot};
