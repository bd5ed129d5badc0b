//! The numbers of admission: rate limiters, places, and tokens that run out.
//!
//! Never: a number that `[limit.NAME]` sets; those have no defaults but [`super::MESSAGE_SIZE`].

use std::time::Duration;

/// Clients that one rate limiter tells apart at once: 4 MiB at the most. Those that come when it is full share a few limiters.
pub const CLIENT_KEYS: usize = 65_536;
/// Parts of a rate limiter, each with a lock of its own: forgetting the clients of one takes 50 us, not 1 ms.
pub const CLIENT_SHARDS: usize = 16;
/// How often clients are forgotten who have all of their rate again.
pub const CLIENT_TRIM: Duration = Duration::from_secs(5);
/// What a client is asked to wait where nobody knows when there will be room: a cap, a drain, a server that is down.
pub const RETRY_LATER: Duration = Duration::from_secs(5);
/// How often the wall clock is asked whether a token has run out, at the least: it may be set, and a host may sleep.
pub const EXPIRY_LOOK: Duration = Duration::from_secs(3600);
