//! What `watch` and `record` ask of whom: the arguments that they have in common.
//!
//! Never: shows the token; its header is marked sensitive.

use std::num::NonZeroU64;

use clap::ValueHint;
use http::HeaderValue;

use super::link::Request;
use super::target::Target;
use crate::cli::client::Trust;
use crate::message::headers;

/// Where messages come from, and how many are wanted.
#[derive(Debug, clap::Args)]
pub struct Dial {
    /// ws:// or wss:// for a WebSocket, http:// or https:// for server-sent events
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub url: Target,
    /// Send `Authorization: Bearer TOKEN`
    #[arg(long, value_name = "TOKEN", value_parser = bearer)]
    pub token: Option<HeaderValue>,
    /// End after this many messages
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU64>,
    /// Accept any certificate
    #[arg(long)]
    pub insecure: bool,
}

impl Dial {
    /// What is sent.
    #[must_use]
    pub fn request(self) -> Request {
        Request { target: self.url, trust: Trust::new(self.insecure), authorization: self.token }
    }
}

fn bearer(token: &str) -> Result<HeaderValue, String> {
    headers::bearer(token.trim()).ok_or_else(|| "a token is printable ASCII on one line".to_owned())
}
