//! What the config says of a feed, checked.
//!
//! Owns: [`Options`] and its parts. Never: defaults that are not in [`crate::limits`].

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::limits;

/// A feed's own settings; its sources are `crate::source::Options`.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub name: String,
    pub normalize: NormalizeOptions,
    /// Bound on (type, key) pairs; the least recently updated is forgotten.
    pub keys: NonZeroUsize,
    pub snapshot: Snapshot,
    /// Messages kept per (type, key). The last value is always kept.
    pub history: usize,
    pub min_interval: Duration,
    pub slow: Slow,
    /// Bytes; a larger message of a source is dropped with a log line and a metric.
    pub max_message: usize,
    /// Who shares an upstream socket.
    pub share: Share,
    /// How long what was split off outlives its last viewer.
    pub linger: Duration,
    /// What a route may override.
    pub delivery: Delivery,
}

/// How a feed is told to its viewers; a route may override `shape`, `greet`, `keepalive` and `notices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub shape: Shape,
    pub greet: bool,
    /// Silence on a socket before a `keepalive`; `None` is off.
    pub keepalive: Option<Duration>,
    /// Silence from the viewer before a ping; `None` is off.
    pub ping: Option<Duration>,
    pub pong_timeout: Duration,
    /// A change of the source is told at once, on a `keepalive` with `upstream`.
    pub notices: bool,
}

/// How upstream messages become envelopes.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalizeOptions {
    /// Given to messages that carry no `type`.
    pub type_: String,
    /// Messages to drop.
    pub skip: Vec<Skip>,
    /// Drop the upstream's own `connected`, `keepalive`, `heartbeat`, `ping`, `pong`.
    pub skip_system: bool,
    /// Old type, new type.
    pub rename: Vec<(String, String)>,
    /// JSON Pointer (RFC 6901) into the message as it came; what it finds is the key.
    pub key: Option<String>,
    /// Seconds east of UTC of timestamps that name no zone.
    pub naive_offset: i32,
}

/// One rule of `skip`.
#[derive(Debug, Clone, PartialEq)]
pub enum Skip {
    /// The message's own type.
    Type(String),
    /// What the JSON Pointer `at` finds equals `equals`.
    At { at: String, equals: serde_json::Value },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Shape {
    #[default]
    Envelope,
    Mirrored,
    Raw,
}

/// What a viewer gets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Snapshot {
    #[default]
    Last,
    History,
    None,
}

/// What becomes of a viewer that fell behind the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slow {
    /// The newest of each (type, key), in order.
    #[default]
    Conflate,
    /// Close 1013.
    Close,
}

/// `share`: what two viewers must have in common to share an upstream socket; nothing of it is one socket for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub path: bool,
    /// The query, less what selects (`fields`, `types`, `keys`, `every`, `last`) and what carries a token.
    pub query: bool,
    /// Of the viewer's token.
    pub subject: bool,
}

impl Share {
    /// Whether some viewers share no upstream socket with others.
    #[must_use]
    pub fn splits(self) -> bool {
        self.path || self.query || self.subject
    }
}

impl Options {
    /// A feed called `name` with every default.
    #[must_use]
    pub fn named(name: &str) -> Options {
        Options {
            name: name.to_owned(),
            normalize: NormalizeOptions::default(),
            keys: NonZeroUsize::new(limits::KEYS).unwrap_or(NonZeroUsize::MIN),
            snapshot: Snapshot::default(),
            history: limits::HISTORY,
            min_interval: Duration::ZERO,
            slow: Slow::default(),
            max_message: limits::MAX_MESSAGE,
            share: Share::default(),
            linger: limits::LINGER,
            delivery: Delivery::default(),
        }
    }
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            shape: Shape::default(),
            greet: true,
            keepalive: Some(limits::KEEPALIVE),
            ping: Some(limits::PING),
            pong_timeout: limits::PONG_TIMEOUT,
            notices: true,
        }
    }
}

impl Default for NormalizeOptions {
    fn default() -> NormalizeOptions {
        NormalizeOptions {
            type_: "message".to_owned(),
            skip: Vec::new(),
            skip_system: true,
            rename: Vec::new(),
            key: None,
            naive_offset: 0,
        }
    }
}
