//! The numbers of who may open a socket: tokens, key sets, tickets.
//!
//! Never: a number that the config sets under `limit`.

use std::time::Duration;

// --- a token ---

/// A token, in bytes: one with a hundred groups in it has half of it.
pub const TOKEN_SIZE: usize = 8 * 1024;
/// What `steadfeed token` gives a token to live, unasked.
pub const TOKEN_TTL: Duration = Duration::from_secs(3600);

// --- a key set (JWKS) ---

/// A key set, in bytes: a hundred keys of RSA-4096, with their certificates' digests, have half of it.
pub const JWKS_SIZE: usize = 256 * 1024;
/// Keys of one set; providers have two to ten.
pub const JWKS_KEYS: usize = 100;
/// Keys that a token which names none is tried with: each costs what a good token costs.
pub const JWKS_TRIES: usize = 4;
/// How often a set is fetched anew where its answer does not say.
pub const JWKS_EVERY: Duration = Duration::from_secs(300);
/// The shortest that an answer's `max-age` is taken for.
pub const JWKS_EVERY_MIN: Duration = Duration::from_secs(60);
/// The longest: a key that was taken back is good for no longer than that.
pub const JWKS_EVERY_MAX: Duration = Duration::from_secs(600);
/// The least time between two fetches that unknown keys ask for, and until a failed one is tried again.
pub const JWKS_PAUSE: Duration = Duration::from_secs(10);
/// Until a fetch is tried again while there are no keys at all: nobody gets in before.
pub const JWKS_FIRST_PAUSE: Duration = Duration::from_secs(2);
/// One fetch, from the connection to the last byte.
pub const JWKS_FETCH: Duration = Duration::from_secs(5);
/// How long a request waits for a fetch that may bring its key.
pub const JWKS_WAIT: Duration = Duration::from_secs(3);

// --- tickets ---

/// How long a ticket is good: a page opens its socket at once.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Tickets of the process that were given and not yet used: 300 a second, at about 300 bytes.
pub const TICKETS: usize = 10_000;
/// Those of one subject: one client must not use up all.
pub const TICKETS_PER_SUBJECT: usize = 64;
