//! What handlers and the edge share of HTTP messages: the body type, headers, responses.
//!
//! Never: knows a route or a feed.

pub mod body;
pub mod coder;
pub mod coding;
pub mod compress;
pub mod headers;
pub mod respond;

pub use body::Body;
