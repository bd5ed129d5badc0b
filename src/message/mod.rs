//! What handlers and the edge share of HTTP messages: the body type, headers, framing, responses.
//!
//! Never: knows a route or a feed.

pub mod alarm;
pub mod body;
pub mod coder;
pub mod coding;
pub mod compress;
pub mod event_stream;
pub mod framing;
pub mod headers;
pub mod heads;
pub mod hop;
pub mod incoming;
pub mod percent;
pub mod respond;
pub mod rules;
pub mod target;
pub mod trace;
pub mod trail;

pub use body::Body;
pub use incoming::Incoming;
