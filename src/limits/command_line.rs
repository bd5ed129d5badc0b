//! The numbers of the command line: its client, the live table of `steadfeed watch`, what is imported.
//!
//! Never: a number that serving needs.

use std::time::Duration;

// --- the command line ---

/// The whole of one `health` check: a container's own time-out is 3 s or more.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

// --- `steadfeed watch` ---

/// A message watched, in bytes: a mirrored envelope holds a source's largest message twice, and a little more.
pub const WATCH_MESSAGE: usize = 4 * 1024 * 1024;
/// Messages read and not yet shown; past it the socket is not read.
pub const WATCH_QUEUE: usize = 8;
/// What is read from a watched WebSocket at once, in bytes.
pub const WATCH_READ_SIZE: usize = 16 * 1024;
/// Frames of ours (pongs, the close) that wait for a server that does not read, in bytes.
pub const WATCH_WRITE_BUFFER: usize = 64 * 1024;
/// Dial, TLS and the head of the answer: what curl users wait before they press Ctrl-C.
pub const WATCH_CONNECT: Duration = Duration::from_secs(10);
/// A refusal's body that is read for its `detail`, in bytes.
pub const WATCH_PROBLEM: usize = 16 * 1024;
/// How long the rest of a refusal's body is waited for.
pub const WATCH_PROBLEM_TIMEOUT: Duration = Duration::from_secs(2);
/// The first delay before dialling again is random below this; each further one may be twice as long.
pub const WATCH_BACKOFF: Duration = Duration::from_secs(1);
/// The longest such delay: what the live page waits, too.
pub const WATCH_BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A connection that held this long starts the back-off anew.
pub const WATCH_HELD: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is obeyed; a person watches.
pub const WATCH_RETRY_AFTER: Duration = Duration::from_secs(300);
/// How long a server may take to hear that we leave.
pub const WATCH_GOODBYE: Duration = Duration::from_millis(500);
/// Between two looks at the keyboard, and two pictures: quick for a hand, nothing for a CPU.
pub const WATCH_TICK: Duration = Duration::from_millis(50);
/// Values in the table of one `watch`; further ones are counted, not shown.
pub const WATCH_ROWS: usize = 512;
/// Points in a value's sparkline.
pub const WATCH_POINTS: usize = 60;
/// Lines kept of the table's log.
pub const WATCH_LOG: usize = 200;
/// Characters kept of a log line, a type, a host or a refusal's detail.
pub const WATCH_LINE: usize = 512;
/// The longest JSON Pointer that becomes a row, in bytes.
pub const WATCH_POINTER: usize = 256;
/// Seconds over which the rate of messages is counted.
pub const WATCH_RATE_SECONDS: usize = 10;

// --- nginx's configuration, imported ---

/// All of its files together, in bytes: a host of a thousand sites has a tenth of it.
pub const IMPORT_SIZE: usize = 4 * 1024 * 1024;
/// Its files.
pub const IMPORT_FILES: usize = 1024;
/// Its directives.
pub const IMPORT_DIRECTIVES: usize = 50_000;
/// Blocks and includes within each other: nginx's own need five.
pub const IMPORT_DEPTH: usize = 32;
/// One text with its variables filled in, in bytes: what goes beyond depends on the request, for all we know.
pub const IMPORT_TEXT: usize = 64 * 1024;
