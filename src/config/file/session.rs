//! `[route.session]` as it is typed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::feed::SkipFile;
use crate::config::choice::OneOf;
use crate::config::field::{Field, List, Named, Table};
use crate::config::texts::ZoneOffset;
use crate::config::values::{DurationOrFalse, Flag, Parsed, Size, Whole};
use crate::feed::Shape;
use crate::guard::ForwardToken;
use crate::handler::Held;

/// `[route.session]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct SessionFile {
    /// How long a client is kept while its upstream socket is down. A duration; default "60s"; "0s": not at all.
    pub hold: Field<Parsed<Duration>>,
    /// How many of the client's first messages are said again to a new upstream socket. Default 0.
    pub resend: Field<Whole>,
    /// What the client says meanwhile is kept ("queue") or answered with an error ("refuse"). Default "queue".
    pub held: Field<OneOf<Held>>,
    /// Given to messages that carry none. Default "message".
    #[serde(rename = "type")]
    pub type_: Field<Parsed<String>>,
    /// How messages are written. Default "envelope".
    pub shape: Field<OneOf<Shape>>,
    /// Messages of the upstream to drop. Default: none.
    pub skip: Field<List<Table<SkipFile>>>,
    /// Drop the upstream's own connected, keepalive, heartbeat, ping and pong. Default true.
    pub skip_system: Field<Flag>,
    /// Old type = new type. Default: none.
    pub rename: Field<Named<Parsed<String>>>,
    /// Say `keepalive` after this much silence on a socket. A duration, or false; default "5s".
    pub keepalive: Field<DurationOrFalse>,
    /// WebSocket ping after this much silence from a client. A duration, or false; default "25s".
    pub ping: Field<DurationOrFalse>,
    /// How long a ping may stay unanswered before the socket is dropped. A duration; default "20s".
    pub pong_timeout: Field<Parsed<Duration>>,
    /// Tell the loss and the return of the upstream socket at once, on a keepalive. Default true.
    pub notices: Field<Flag>,
    /// Zone of timestamps that name none: "utc", or an offset as in "+09:00". Default "utc".
    pub naive_time: Field<Parsed<ZoneOffset>>,
    /// A larger message of the upstream is dropped. A size; default "1MiB".
    pub max_message: Field<Size>,
    /// As in the route itself.
    pub forward_token: Field<Parsed<ForwardToken>>,
}
