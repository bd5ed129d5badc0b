//! The numbers of a session: a WebSocket whose messages are understood, with one upstream socket a client.
//!
//! Never: a number of a feed or of a tunnel.

use std::time::Duration;

/// What a client says meanwhile and is kept, in messages: a person types less, a program that floods is told to wait.
pub const SESSION_HELD_MESSAGES: usize = 256;
/// The same in bytes, beyond which no further message is taken: with the one in progress it is what a held client costs.
pub const SESSION_HELD_BYTES: usize = 64 * 1024;
/// Bytes of a client's first messages that are kept to be said again (`resend`): those are subscriptions.
pub const SESSION_RESEND_BYTES: usize = 64 * 1024;
/// Frames that wait for a client; no more of its upstream is decoded then, and none is read until all are out.
pub const SESSION_OUT_BYTES: usize = 16 * 1024;
/// Pongs that wait for an upstream that does not read; no more of it is heard then.
pub const SESSION_PONGS: usize = 4;
/// Silence of an upstream before it is pinged, where the route's `ping` is not shorter: TCP says nothing of one that hangs.
pub const SESSION_PING: Duration = Duration::from_secs(20);
/// How long it may take to answer.
pub const SESSION_PONG: Duration = Duration::from_secs(10);
/// How long a new upstream socket must hold to count as standing, where it says nothing sooner.
pub const SESSION_PROVEN: Duration = Duration::from_secs(1);
/// How long the handshake with a new upstream socket may take.
pub const SESSION_HANDSHAKE: Duration = Duration::from_secs(10);
/// The first delay before dialling again is random below this; each further one may be twice as long.
pub const SESSION_BACKOFF: Duration = Duration::from_millis(250);
/// The longest such delay: with it 10,000 sessions dial a server that is down 5,000 times a second at the most, and are
/// back within two seconds of its return.
pub const SESSION_BACKOFF_MAX: Duration = Duration::from_secs(2);
