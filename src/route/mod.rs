//! Routes: host and path to one action, behind its checks.
//!
//! Owns: the table that finds a route, and the service that takes a request through it.

pub mod cors;
pub mod failure;
pub mod finish;
mod leaving;
pub mod options;
pub mod service;
pub mod table;

pub use options::{
    Action, AuthRequest, Cors, Files, HeaderRules, HostPattern, Options, PathPattern, Redirect, Respond,
};
pub use service::{Means, Service};
pub use table::Table;
