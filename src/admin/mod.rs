//! The admin listener: readiness, metrics, publishing.

use std::net::SocketAddr;

use crate::secret::Secret;

/// `[admin]`, where it is not off.
#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// Required as `Bearer` on every path but `/healthz` and `/readyz`.
    pub token: Option<Secret>,
}
