//! Every default number of the project: its name, its unit, and why it is what it is.
//!
//! Never: a limit that the config sets is read from here past [`crate::config`], which builds each module's `Options`
//! out of these and of the file.

use std::time::Duration;

// --- the process ---

/// File descriptors kept back from connections: listeners, log, certificates, upstreams, the runtime's own.
pub const RESERVED_DESCRIPTORS: usize = 256;
/// Connections over the cap that are still answered, with 503; beyond these they are closed unanswered.
pub const REFUSED_CONNECTIONS: usize = 64;
/// Sockets accepted and not yet taken up by their worker.
pub const PLACEMENTS: usize = 1024;
/// Threads for blocking work (reading host statistics, certificates).
pub const BLOCKING_THREADS: usize = 4;
/// How long an acceptor that is out of descriptors waits before it tries again.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// The kernel's queue of connections not yet accepted.
pub const ACCEPT_BACKLOG: u32 = 4096;

// --- a connection ([limits] of the config) ---

/// Accept to complete request head: a browser on a bad line manages it in 3 s, nginx gives 60.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A request head, in bytes: room for large cookies and tokens.
pub const HEADER_SIZE: usize = 32 * 1024;
/// Header fields in one head.
pub const HEADER_FIELDS: usize = 128;
/// A request body, in bytes, where a route sets none.
pub const BODY_SIZE: usize = 10 * 1024 * 1024;
/// Between two reads of a request body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// A response that makes no progress.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection between two requests; nginx's own default.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(75);
/// Streams open at once on one HTTP/2 connection: nginx's and Envoy's order of size.
pub const H2_STREAMS: u32 = 128;
/// What hyper may hold of one HTTP/2 stream's unsent body, in bytes.
pub const H2_SEND_BUFFER: usize = 64 * 1024;
/// Unsent bytes the kernel takes for one socket (`TCP_NOTSENT_LOWAT`): without it 4 MiB go before a stall is seen.
pub const NOTSENT_LOWAT: u32 = 16 * 1024;

// --- the config file ---

/// A config file, in bytes: ten times a very long one.
pub const CONFIG_SIZE: usize = 1024 * 1024;
/// Problems shown of one config: more are of no use to a reader.
pub const CONFIG_PROBLEMS: usize = 100;
/// Listeners of one config.
pub const LISTENERS: usize = 256;
/// Feeds of one config: each keeps a log on every worker.
pub const FEEDS: usize = 1024;
/// Routes of one config.
pub const ROUTES: usize = 4096;
/// A secret kept in a file of its own (`token_file`), in bytes.
pub const SECRET_SIZE: usize = 64 * 1024;
/// The longest duration: a year is for ever, and still far from overflowing a clock.
pub const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The most workers: a thread a core, of machines there are.
pub const WORKERS_MAX: usize = 1024;
/// File descriptors ever counted on, whatever the system allows.
pub const DESCRIPTORS_MAX: usize = 1024 * 1024;
/// The smallest `header_size`, in bytes: hyper reads in pieces of this size.
pub const HEADER_SIZE_MIN: usize = 8 * 1024;
/// The largest `header_size`, in bytes: it is held for each connection that is sending one.
pub const HEADER_SIZE_MAX: usize = 1024 * 1024;
/// The most (type, key) pairs of one feed.
pub const KEYS_MAX: usize = 1_000_000;
/// The longest history of one (type, key).
pub const HISTORY_MAX: usize = 100_000;
/// The shortest keepalive, ping and interval of the statistics: faster is a flood, not a sign of life.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);

// --- draining ([drain] of the config) ---

/// Over how long sockets are closed, at random, so that they do not all come back at once.
pub const DRAIN_SPREAD: Duration = Duration::from_secs(5);
/// When what is left is ended: within `docker stop`'s 10 s.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

// --- a WebSocket ---

/// An inbound message after inflating, in bytes, where no `limit` says otherwise.
pub const MESSAGE_SIZE: usize = 64 * 1024;
/// One read from a viewer's socket, in bytes: what a worker's scratch buffer holds.
pub const READ_SIZE: usize = 4 * 1024;
/// Answers that wait for a viewer who does not read; at this many we stop reading from it.
pub const OUTBOX_FRAMES: usize = 16;
/// How long a closing handshake may take before the socket is dropped.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The deflate window, in bits: 4 KiB holds a dashboard's message, and inflating needs no more.
pub const DEFLATE_WINDOW_BITS: u8 = 12;
/// Messages below this many bytes are not worth deflating.
pub const DEFLATE_MIN: usize = 64;

// --- a feed (each may be set in the config) ---

/// (type, key) pairs whose last value and history are kept.
pub const KEYS: usize = 1000;
/// Messages kept of each (type, key): a sparkline of 30 points.
pub const HISTORY: usize = 30;
/// Silence on a viewer's socket before a `keepalive` message: well under any proxy's 30 or 60 s.
pub const KEEPALIVE: Duration = Duration::from_secs(5);
/// Silence from a viewer before a WebSocket ping.
pub const PING: Duration = Duration::from_secs(25);
/// How long a ping may stay unanswered before the socket is dropped.
pub const PONG_TIMEOUT: Duration = Duration::from_secs(20);
/// A message from a source or a publisher, in bytes.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// Bytes of messages one feed keeps in its history, whatever `history` and `keys` allow.
pub const LOG_BYTES: usize = 16 * 1024 * 1024;
/// Messages on their way from the hub to one worker; past it the worker copies the hub's log.
pub const HANDOFF_MESSAGES: usize = 1024;
/// Bytes of messages on their way from the hub to one worker.
pub const HANDOFF_BYTES: usize = 4 * 1024 * 1024;
/// Different field sets among one feed's viewers: each is encoded by itself.
pub const FIELD_SETS: usize = 64;
/// Names in one `fields`, `types` or `keys`.
pub const SELECT_NAMES: usize = 64;
/// One such name, in bytes.
pub const SELECT_NAME: usize = 256;
/// The shortest `every`.
pub const EVERY_MIN: Duration = Duration::from_millis(100);
/// The longest `every`.
pub const EVERY_MAX: Duration = Duration::from_secs(3600);
/// Viewers served before a roster lets others run: p99 of an upgrade beside 8,000 viewers falls from 68 ms to 2.
pub const FANOUT_SLICE: usize = 64;
/// A viewer in the middle of a frame larger than this, once no other needs the frame, must make progress.
pub const LARGE_FRAME: usize = 32 * 1024;
/// How long such a viewer may make none before it is dropped.
pub const LARGE_FRAME_STALL: Duration = Duration::from_secs(5);

// --- sources ---

/// How often the host's statistics are read.
pub const STATS_EVERY: Duration = Duration::from_secs(2);
/// Alert rules of one source.
pub const ALERT_RULES: usize = 256;

// --- telemetry ---

/// Access-log lines waiting for their writer; past it they are dropped and counted.
pub const ACCESS_LINES: usize = 8192;
/// Warnings about clients' faults a second; past it they are counted, not written.
pub const CLIENT_WARNINGS: u32 = 20;
