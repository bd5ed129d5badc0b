//! Upstreams: pools of HTTP servers to forward or tunnel to.
//!
//! Owns: which server a request goes to, the connections to it, and what is known of its health. Never: edits a request;
//! the handler hands over what is to be sent.

pub mod options;

pub use options::{Balance, Health, Options, Scheme, Server};
