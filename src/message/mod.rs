//! What handlers and the edge share of HTTP messages: the body type, headers, responses.
//!
//! Never: knows a route or a feed.

pub mod body;
pub mod headers;
pub mod respond;
pub mod rules;

pub use body::Body;
