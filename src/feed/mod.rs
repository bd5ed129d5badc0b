//! Feeds: named streams of envelopes that sources fill and any number of viewers share.
//!
//! Never: hyper, a listener or a WebSocket client; what is served is bytes and sockets.

pub mod options;

pub use options::{Delivery, NormalizeOptions, Options, Shape, Skip, Slow, Snapshot};
