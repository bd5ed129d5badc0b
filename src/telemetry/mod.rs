//! What the process says of itself: its log, the access log, the metrics.
//!
//! Never: a token, a query string or a header's value.

pub mod access;
pub mod exposition;
pub mod log;
pub mod metrics;
pub mod socket;
pub mod traffic;

pub use access::AccessLog;
pub use log::{LogFormat, LogOptions};
pub use metrics::{FeedMeters, Metrics, RouteMeters};
pub use socket::{CUT_OFF, SocketRecord};
pub use traffic::SessionMeters;
