//! Why a request has no response.
//!
//! Owns: the log's words for it; what the client is told is decided at the edge.

use std::io;
use std::sync::Arc;

use super::http1::Broken;
use crate::message::Body;

/// How a request body fails.
pub type BodyError = <Body as http_body::Body>::Error;

/// Why there is no response; shown, the line for the log.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Active checks find every server down.
    #[error("no server of the upstream is healthy")]
    NoneHealthy,
    #[error("cannot connect to {server}: {error}")]
    Connect { server: Arc<str>, error: io::Error },
    #[error("{server} did not take the connection in time")]
    ConnectTimeout { server: Arc<str> },
    /// The request was sent, and no response head came in time.
    #[error("{server} did not answer in time")]
    ResponseTimeout { server: Arc<str> },
    /// The connection was reset or closed before the response head, or what came was no HTTP.
    #[error("{server} gave no answer: {}", with_cause(error))]
    Broken { server: Arc<str>, error: Broken },
    /// The client's body ended in an error on its way.
    #[error("the request's body failed: {0}")]
    RequestBody(BodyError),
}

impl Failure {
    /// Whether the server never got a byte of the request.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        match self {
            Failure::Connect { .. } | Failure::ConnectTimeout { .. } => true,
            Failure::NoneHealthy
            | Failure::ResponseTimeout { .. }
            | Failure::Broken { .. }
            | Failure::RequestBody(_) => false,
        }
    }
}

/// The error and what it came from.
fn with_cause(error: &Broken) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
