//! The numbers of what a config may ask for of dialled sources, sessions and admission, and what it has where it asks for
//! nothing.
//!
//! Never: a number that no key of the config sets.

use std::time::Duration;

// --- sources that are dialled ---

/// Sources of one feed: each may keep a socket.
pub const SOURCES: usize = 64;
/// How often a `poll` asks: as often as dashboards of the old kind did.
pub const POLL_EVERY: Duration = Duration::from_secs(5);
/// How long every source of a feed is down before its `fallback` serves: longer than most restarts.
pub const FALLBACK_AFTER: Duration = Duration::from_secs(10);
/// The largest `max_message`, in bytes: what a feed keeps of all its messages.
pub const MAX_MESSAGE_MAX: usize = super::LOG_BYTES;

// --- a session ---

/// How long a client is kept while its upstream socket is down: a container's restart, with a migration.
pub const HOLD: Duration = Duration::from_secs(60);
/// The largest `resend`: each session keeps so many messages of its client for as long as it lives.
pub const RESEND_MAX: usize = 64;

// --- admission ---

/// Tables of `[auth.NAME]`.
pub const AUTHS: usize = 256;
/// Tables of `[limit.NAME]`: each keeps counts of its clients.
pub const LIMITS: usize = 256;
/// How far the clock of whoever signs tokens may be from ours.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// The longest `leeway`: more would make `exp` say nothing.
pub const LEEWAY_MAX: Duration = Duration::from_secs(600);
/// Claims that one `[auth.NAME]` requires.
pub const REQUIRED_CLAIMS: usize = 64;
/// Places where one `[auth.NAME]` looks for a token.
pub const CARRIERS: usize = 16;
/// A shorter secret than this, in bytes, can be found by trying (RFC 7518, section 3.2).
pub const SECRET_SHORT: usize = 32;
/// Networks in one route's `allow` or `deny`: they are gone through for each request.
pub const ROUTE_NETWORKS: usize = 1024;
/// The largest count of a rate, and the largest `burst`.
pub const RATE_MAX: u32 = 1_000_000;
/// The largest `message_size`, in bytes: a socket may hold one such message.
pub const MESSAGE_SIZE_MAX: usize = 16 * 1024 * 1024;
