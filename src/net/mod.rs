//! The edge: listeners, TLS, and HTTP connections up to a request head.
//!
//! Never: looks at a path or a feed.

use std::net::SocketAddr;
use std::time::Duration;

pub mod clock;
pub mod connection;
pub mod counted;
mod date;
mod drive;
mod first;
pub mod forwarded;
mod gather;
mod http1;
mod http2;
pub mod interim;
pub mod listener;
mod opening;
pub mod peer;
pub mod permit;
pub mod proxy_protocol;
pub mod stream;
pub mod tls;
mod unread;
pub mod upgrade;
mod whole;

pub use forwarded::Forwarded;
pub use peer::Peer;
pub use permit::{ConnectionPermit, Connections};
pub use stream::Stream;

/// What the config says of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerOptions {
    pub address: SocketAddr,
    pub tls: Option<tls::Options>,
    /// WebSocket over HTTP/2 (RFC 8441).
    pub websocket_h2: bool,
    /// A PROXY header (v1 or v2) comes first, from trusted proxies only.
    pub proxy_protocol: bool,
    /// Everything is answered with 308 to there.
    pub redirect_to_https: Option<HttpsTarget>,
}

/// Where HTTPS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpsTarget {
    /// At the request's own host, on the port of the listener with this place in the config: known once it is bound.
    Listener(usize),
    /// At this host, or at the request's own, and at this port.
    At { host: Option<String>, port: u16 },
}

/// Bounds on connections (`[limits]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections of the whole process.
    pub connections: usize,
    /// Accept to complete request head.
    pub header_timeout: Duration,
    /// Bytes of a request head.
    pub header_size: usize,
    /// Bytes of a request body.
    pub body_size: usize,
    /// Between two reads of a request body.
    pub body_timeout: Duration,
    /// A response that makes no progress.
    pub send_timeout: Duration,
    /// Between two requests.
    pub keepalive_timeout: Duration,
}
