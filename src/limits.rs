//! Every default number of the project: its name, its unit, and why it is what it is.
//!
//! Never: a limit that the config sets is read from here past [`crate::config`], which builds each module's `Options`
//! out of these and of the file.

mod admission;
mod asked;
mod command_line;
mod dialling;
mod operating;
mod proxying;
mod recording;
mod sessions;
mod sharing;
mod standing;
mod tokens;

use std::ops::Range;
use std::time::Duration;

pub use admission::*;
pub use asked::*;
pub use command_line::*;
pub use dialling::*;
pub use operating::*;
pub use proxying::*;
pub use recording::*;
pub use sessions::*;
pub use sharing::*;
pub use standing::*;
pub use tokens::*;

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
/// How often it says so.
pub const ACCEPT_COMPLAINT: Duration = Duration::from_secs(10);
/// Connections to the admin listener.
pub const ADMIN_CONNECTIONS: usize = 64;
/// The kernel's queue of connections not yet accepted.
pub const ACCEPT_BACKLOG: u32 = 4096;

// --- a connection ([limits] of the config) ---

/// Accept to complete request head: a browser on a bad line manages it in 3 s, nginx gives 60.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A request head, in bytes: room for large cookies and tokens.
pub const HEADER_SIZE: usize = 32 * 1024;
/// Header fields in one head: as many as are parsed without asking for memory.
pub const HEADER_FIELDS: usize = 100;
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
/// Streams of one HTTP/2 connection that its client may reset before they are looked at, past which it is ended: what a
/// flood of such (CVE-2023-44487) costs. Browsers reset a few at once, of those that were answered already.
pub const H2_RESETS: usize = 20;
/// Streams of one HTTP/2 connection that may be reset for breaking the protocol, past which the connection is ended.
pub const H2_FAULTS: usize = 1024;
/// What h2 may hold of one HTTP/2 stream's unsent body, in bytes.
pub const H2_SEND_BUFFER: usize = 64 * 1024;
/// What hyper may hold of an HTTP/1.1 connection at least, in bytes, read or unsent.
pub const H1_BUFFER: usize = 16 * 1024;
/// Parts of an answer that are copied into one piece and written at once, in bytes: copying more costs what it spares.
pub const JOINED_WRITE: usize = 2 * 1024;
/// What a client may send ahead on one HTTP/2 stream, in bytes.
pub const H2_STREAM_WINDOW: u32 = 256 * 1024;
/// What a client may send ahead on one HTTP/2 connection, in bytes.
pub const H2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is read of an HTTP/2 connection before its streams have their turn, in bytes: the smallest frames that fit in it
/// (1,600) cost less than h2 allows one connection (2,000 at 1 MiB of window), so that only unread ones add up.
pub const H2_READ: usize = 16 * 1024;
/// Frames of one HTTP/2 connection that are written at once, in bytes: one TLS record.
pub const H2_GATHER: usize = 16 * 1024;
/// One piece of a body over HTTP/2, in bytes: the size of a frame. What is written to a socket is copied in such pieces.
pub const H2_PIECE: usize = 16 * 1024;
/// What a viewer over HTTP/2 may say ahead of reading its answers, in bytes: unread, it would count against all streams
/// of its connection.
pub const H2_UNHEARD: usize = 64 * 1024;
/// Unsent bytes the kernel takes for one socket (`TCP_NOTSENT_LOWAT`): without it 4 MiB go before a stall is seen.
pub const NOTSENT_LOWAT: u32 = 16 * 1024;

// --- TLS ---

/// A PEM file, in bytes: a chain of four RSA-4096 certificates is 10 KiB.
pub const PEM_SIZE: usize = 256 * 1024;
/// Plain bytes of one TLS record (RFC 8446, section 5.1): what is encrypted for a viewer before it has taken it.
pub const TLS_RECORD: usize = 16 * 1024;
/// Session tickets sent after a TLS 1.3 handshake: a viewer that reconnects spends one and is given one.
pub const TLS_TICKETS: usize = 1;
/// Quiet in the folders of the certificates before they are re-read: a renewal writes several files.
pub const CERT_DEBOUNCE: Duration = Duration::from_millis(250);
/// When they are re-read though the folders are not quiet.
pub const CERT_DEBOUNCE_MAX: Duration = Duration::from_secs(5);
/// How often certificates are re-read unasked: some file systems report no changes, and a self-signed one ages.
pub const CERT_RECHECK: Duration = Duration::from_secs(3600);
/// Symbolic links followed on the way to one certificate file: the kernel's own bound.
pub const CERT_LINKS: usize = 40;
/// Life of a certificate that we sign: browsers refuse more than 398 days.
pub const CERT_LIFE: Duration = Duration::from_secs(397 * 86_400);
/// How far a certificate that we sign reaches back, for clients whose clock is behind; part of its life.
pub const CERT_BACKDATE: Duration = Duration::from_secs(86_400);
/// What is left of a self-signed certificate's life when it is made anew.
pub const CERT_RENEW: Duration = Duration::from_secs(30 * 86_400);
/// Names in one self-signed certificate, those of an earlier one counted.
pub const CERT_NAMES: usize = 64;
/// Life of a development CA: ten years, so that it is trusted once a machine.
pub const DEV_CA_LIFE: Duration = Duration::from_secs(3650 * 86_400);

// --- the config file ---

/// A config file, in bytes: ten times a very long one.
pub const CONFIG_SIZE: usize = 1024 * 1024;
/// Problems shown of one config: more are of no use to a reader.
pub const CONFIG_PROBLEMS: usize = 100;
/// Listeners of one config.
pub const LISTENERS: usize = 256;
/// Feeds of one config: each keeps a log on every worker.
pub const FEEDS: usize = 1024;
/// Upstreams of one config.
pub const UPSTREAMS: usize = 1024;
/// Servers of one upstream: each is looked up, counted and perhaps asked for its health on every worker.
pub const SERVERS: usize = 256;
/// Networks in `trusted_proxies`: they are gone through for each connection.
pub const TRUSTED_PROXIES: usize = 256;
/// Headers that one route sets or removes, of requests and of responses each.
pub const HEADER_RULES: usize = 64;
/// `cache` rules of one route: they are gone through for each file.
pub const CACHE_RULES: usize = 64;
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
/// How long a connection that has said nothing yet may begin its first request, once a drain has begun: a round trip.
pub const DRAIN_HEAD: Duration = Duration::from_millis(500);

// --- a WebSocket ---

/// An inbound message after inflating, in bytes, where no `limit` says otherwise.
pub const MESSAGE_SIZE: usize = 64 * 1024;
/// One read from a viewer's socket, in bytes: what a worker's scratch buffer holds.
pub const READ_SIZE: usize = 4 * 1024;
/// Answers that wait for a viewer who does not read; at this many we stop reading from it.
pub const OUTBOX_FRAMES: usize = 16;
/// Bytes of such answers at which we stop reading from it too: one that says a long selection back has up to 64 KiB.
pub const OUTBOX_BYTES: usize = 16 * 1024;
/// What the kernel may hold of what a viewer says, in bytes; it doubles this for its own bookkeeping.
pub const RECEIVE_BUFFER: usize = 16 * 1024;
/// Ciphertext that may wait for a viewer over TLS, in bytes: one full record.
pub const TLS_BUFFER: usize = 17 * 1024;
/// How long a closing handshake may take before the socket is dropped.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The deflate window, in bits: 4 KiB holds a dashboard's message, and inflating needs no more.
pub const DEFLATE_WINDOW_BITS: u8 = 12;
/// Subprotocols that one handshake may offer: a client has one or two, and perhaps a token among them.
pub const SUBPROTOCOLS: usize = 32;
/// Extensions that one handshake may offer: browsers make one, libraries up to four.
pub const EXTENSION_OFFERS: usize = 16;
/// How hard to deflate, 1 to 9: a message is deflated once for all, and 1.2 KiB of JSON become 547 bytes in half again
/// the time in which level 1 leaves 735; more than 6 gains nothing.
pub const DEFLATE_LEVEL: u32 = 6;
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
/// How long a split-off upstream socket outlives its last viewer.
pub const LINGER: Duration = Duration::from_secs(30);
/// Bytes of messages one feed keeps in its history, whatever `history` and `keys` allow.
pub const LOG_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a feed's newest messages whose encodings are kept for all: twice what may be on its way to a worker. An
/// encoding is about as large as its message, and of each shape there are up to three.
pub const ENCODED_BYTES: usize = 2 * HANDOFF_BYTES;
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
/// Bytes of a viewer's own words in an error: enough to know them by, no use as an amplifier.
pub const ECHO: usize = 64;
/// The shortest `every`.
pub const EVERY_MIN: Duration = Duration::from_millis(100);
/// The longest `every`.
pub const EVERY_MAX: Duration = Duration::from_secs(3600);
/// Viewers served before a roster lets others run: p99 of an upgrade beside 8,000 viewers falls from 68 ms to 2.
pub const FANOUT_SLICE: usize = 64;
/// How many viewers ahead of its walk a roster has fetched from memory: one `send` takes longer than a fetch, and what was
/// fetched too early is gone again.
pub const FANOUT_AHEAD: usize = 2;
/// Deadlines of viewers that count no more, beyond as many as there are viewers, before a roster forgets them (16 bytes each).
pub const STALE_DEADLINES: usize = 64;
/// Messages of a log read for one viewer, wanted or not, before others have their turn: at most 1 ms where each is ranked.
pub const WALK_MESSAGES: usize = 1024;
/// A viewer in the middle of a frame larger than this, once no other needs the frame, must make progress.
pub const LARGE_FRAME: usize = 32 * 1024;
/// How long such a viewer may make none before it is dropped.
pub const LARGE_FRAME_STALL: Duration = Duration::from_secs(5);

/// Events joined into one piece of an event stream, in bytes: one TLS record.
pub const SSE_PIECE: usize = 16 * 1024;
/// How soon an event stream's client comes back after a cut; each is told its own.
pub const SSE_RETRY: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(5);

// --- sources ---

/// How often the host's statistics are read.
pub const STATS_EVERY: Duration = Duration::from_secs(2);
/// The least time between two readings of a counter that a rate is made from: the kernel counts CPU in 10 ms ticks.
pub const STATS_SETTLE: Duration = Duration::from_millis(200);
/// One file of `/proc` or of a cgroup, in bytes: the longest, `memory.stat`, has about 4 KiB.
pub const KERNEL_FILE: u64 = 64 * 1024;
/// Levels of one cgroup hierarchy that are looked at for limits, innermost first: Kubernetes nests five deep.
pub const CGROUP_LEVELS: usize = 32;
/// (rule, key) pairs of one alerts source that are above their bound at once: 16 rules over every key a feed keeps.
pub const ALERT_SUBJECTS: usize = 16 * KEYS;
/// The key of a message that alerts are kept for, in bytes: with [`ALERT_SUBJECTS`] it bounds their memory to 4 MiB.
pub const ALERT_KEY: usize = 256;
/// Alert rules of one source.
pub const ALERT_RULES: usize = 256;

// --- telemetry ---

/// Access-log lines waiting for their writer; past it they are dropped and counted.
pub const ACCESS_LINES: usize = 8192;
/// How long the end of the process waits for access-log lines to be out.
pub const ACCESS_FLUSH: Duration = Duration::from_secs(1);
/// Warnings about clients' faults a second; past it they are counted, not written.
pub const CLIENT_WARNINGS: u32 = 20;
