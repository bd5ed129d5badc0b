//! The numbers of sources that dial.
//!
//! Never: a number that the config sets.

use std::time::Duration;

/// The shortest wait before a source dials again, so that a backend that refuses at once is not hammered.
pub const SOURCE_BACKOFF_LEAST: Duration = Duration::from_millis(50);
/// The first wait is random below this; each further one may be twice as long.
pub const SOURCE_BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// The longest wait while a backend has not been gone for [`SOURCE_BRISK_FOR`]: a restart takes seconds, and viewers have
/// fresh values within 2 s of its end.
pub const SOURCE_BACKOFF_BRISK: Duration = Duration::from_secs(1);
/// How long a backend may be gone and still be thought to restart.
pub const SOURCE_BRISK_FOR: Duration = Duration::from_secs(60);
/// The longest wait of all: one refused connection in 5 s, on average, is nothing to either side.
pub const SOURCE_BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A WebSocket source's handshake: a backend that takes a connection and says nothing hangs.
pub const SOURCE_HANDSHAKE: Duration = Duration::from_secs(10);
/// A connection that held this long starts the back-off anew; one that is taken and closed at once does not.
pub const SOURCE_HELD: Duration = Duration::from_secs(10);
/// A connection that held this long stands, though it may have said nothing yet.
pub const SOURCE_STANDS: Duration = Duration::from_secs(1);
/// One read from a WebSocket source, in bytes: five messages of a dashboard.
pub const SOURCE_READ: usize = 8 * 1024;
/// Silence of a WebSocket source before it is pinged.
pub const SOURCE_PING: Duration = Duration::from_secs(10);
/// How long it may go on saying nothing then: a backend that hangs keeps its socket, and answers nothing.
pub const SOURCE_PONG: Duration = Duration::from_secs(10);
/// How long a source may take to hear that we leave.
pub const SOURCE_GOODBYE: Duration = Duration::from_millis(500);
/// Messages of one source before others on the control thread have their turn: a third of a millisecond.
pub const SOURCE_TURN: u32 = 64;
/// The longest `retry` of an event stream, or `Retry-After`, that a source obeys: viewers wait for it.
pub const SOURCE_RETRY_MAX: Duration = Duration::from_secs(10);
/// The longest event id that is sent back as `Last-Event-ID`, in bytes.
pub const SOURCE_EVENT_ID: usize = 1024;
/// Messages of one source in a second, from which the log says so: nobody looks at a page that changes as often.
pub const SOURCE_FLOOD: u32 = 10_000;
/// How often the log says that messages of a source are too large, or too many.
pub const SOURCE_COMPLAINT: Duration = Duration::from_secs(60);
/// Reasons that the log tells in one outage: a backend whose words differ each time would fill it.
pub const SOURCE_REASONS: usize = 8;
/// How long a feed's branch waits for its first viewer's token before it says that there is none: that viewer is about to
/// be seated.
pub const SOURCE_FIRST_TOKEN: Duration = Duration::from_secs(1);
/// Characters of a backend's own words in a log line.
pub const SOURCE_WORDS: usize = 200;
