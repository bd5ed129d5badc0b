//! What the process says of itself: its log, the access log, the metrics.
//!
//! Never: a token, a query string or a header's value.

pub mod access;
pub mod exposition;
pub mod feeds;
pub mod key_sets;
pub mod log;
pub mod metrics;
mod reloads;
pub mod socket;
pub mod sockets;
pub mod source;
mod sums;
pub mod traffic;

pub use access::AccessLog;
pub use feeds::FeedMeters;
pub use key_sets::KeySetMeters;
pub use log::{LogFormat, LogOptions};
pub use metrics::{Metrics, RouteMeters};
pub use socket::{CUT_OFF, SocketRecord};
pub use sockets::Sockets;
pub use source::SourceMeters;
pub use sums::Part;
pub use traffic::SessionMeters;
