//! The config: from a TOML text to [`Config`], or to every problem in it at once.
//!
//! Owns: the file's mirror, its values, the checks. Never: opens a socket or starts anything.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use crate::{admin, feed, net, route, shutdown, source, telemetry};

/// A checked config. Every part is the `Options` of the module that uses it.
#[derive(Debug, Clone)]
pub struct Config {
    pub workers: NonZeroUsize,
    pub log: telemetry::LogOptions,
    /// `None` is `listen = "off"`.
    pub admin: Option<admin::Options>,
    pub drain: shutdown::DrainOptions,
    pub limits: net::Limits,
    pub listeners: Vec<net::ListenerOptions>,
    pub feeds: Vec<FeedConfig>,
    pub routes: Vec<route::Options>,
}

/// A feed and what fills it.
#[derive(Debug, Clone)]
pub struct FeedConfig {
    pub feed: feed::Options,
    pub sources: Vec<source::Options>,
}

impl Config {
    /// The addresses served, in the file's order.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|listener| listener.address)
    }
}
