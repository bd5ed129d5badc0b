//! The numbers of what is forwarded, tunnelled or served from a folder: upstreams, their connections, bodies, files.
//!
//! Never: a number of the edge or of a feed.

use std::time::Duration;

// --- who a request is from ---

/// Silence of a client before the kernel asks whether it is still there: a tunnel has no deadline of its own.
pub const CLIENT_KEEPALIVE: Duration = Duration::from_secs(60);
/// The first read of a plain connection, in bytes, by which it is told what it speaks: most requests' heads.
pub const OPENING_READ: usize = 1000;
/// Fields of a connection's first request, where it is answered without hyper: more than browsers send with an upgrade.
pub const FIRST_FIELDS: usize = 32;

/// A PROXY header, in bytes, what it adds to the addresses included: nginx's own bound.
pub const PROXY_HEADER: usize = 4096;
/// Elements of one `X-Forwarded-For` or `Forwarded` that are looked at: more proxies than stand in any one way.
pub const FORWARDED_HOPS: usize = 32;
/// A host with its port, in bytes: a DNS name has at most 253 (RFC 1035, section 2.3.4).
pub const HOST_NAME: usize = 260;

/// What is read of the body of an answer to `auth_request`, in bytes, so that its connection can be used again.
pub const CHECK_BODY: usize = 16 * 1024;
/// How long that may take; then the connection is dropped.
pub const CHECK_BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// Header names that a CORS preflight asks for and is told back, in bytes.
pub const CORS_HEADERS: usize = 2048;
/// How long a browser may keep the answer to a preflight: the longest that Chromium does.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(7200);

// --- an upstream (each may be set in the config) ---

/// The file of its authorities, in bytes: four times as large as a machine's list of all that the world believes.
pub const CA_FILE: usize = 1024 * 1024;
/// How often its servers' names are looked up again: a container that restarts has another address.
pub const RESOLVE_EVERY: Duration = Duration::from_secs(10);
/// To connect to a server, TLS included: one in the same network answers in milliseconds.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// To the head of a response; nginx's own default.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two reads of a response's body; nginx's own default.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a server is asked for its health.
pub const HEALTH_EVERY: Duration = Duration::from_secs(5);
/// How long it may take to answer.
pub const HEALTH_ANSWER: Duration = Duration::from_secs(2);
/// Failures in a row until a server counts as down: one is chance.
pub const HEALTH_FALL: u32 = 3;
/// Successes in a row until it counts as up again.
pub const HEALTH_RISE: u32 = 2;
/// The most failures or successes in a row that can be asked for.
pub const HEALTH_COUNT_MAX: u32 = 1000;

// --- a request that is forwarded, and a tunnel ---

/// The longest `X-Request-Id` that is passed on, in bytes: UUIDs have 36, some gateways twice that.
pub const REQUEST_ID: usize = 128;
/// One read from a tunnel's side, in bytes, and so the most that waits for the other: one TLS record.
pub const TUNNEL_READ: usize = 16 * 1024;
/// Reads of one direction before others have their turn: 256 KiB.
pub const TUNNEL_READS: usize = 16;
/// Frames of HTTP/2 that are smaller than this on the average, in bytes, cost its connection more than its windows stop.
pub const TUNNEL_SMALL_FRAME: usize = 1024;

// --- files (`files`, `compress`) ---

/// Files that one worker knows at once: a large front end's.
pub const FILE_ENTRIES: usize = 1024;
/// Bytes of files that one worker keeps in memory, their compressed variants and their paths counted.
pub const FILE_MEMORY: usize = 8 * 1024 * 1024;
/// The largest file kept in memory, in bytes; a larger one is read for each request.
pub const FILE_KEPT: u64 = 64 * 1024;
/// How long what is known of a file is believed without a look at the disk.
pub const FILE_TRUST: Duration = Duration::from_secs(1);
/// A file changed this shortly before it was read may change again without its times showing it: FAT counts in 2 s.
pub const FILE_SETTLE: Duration = Duration::from_secs(2);
/// What is read of a large file at once, in bytes: four hops to the blocking threads for 1 MiB.
pub const FILE_PIECE: usize = 256 * 1024;
/// Buffers of that size one worker keeps for the next file: fresh ones cost a page fault for each 4 KiB.
pub const FILE_BUFFERS: usize = 8;
/// Answers of fewer bytes are not worth compressing: they fit in one packet as they are.
pub const COMPRESS_MIN: u64 = 1024;
/// What is compressed before other connections have their turn, in bytes: about a millisecond at the slowest.
pub const COMPRESS_TURN: usize = 32 * 1024;
/// The window of an answer's compressor, in bits: 128 KiB, of which it needs a few times as much until the answer ends.
pub const COMPRESS_WINDOW_BITS: u8 = 17;

// --- an upstream's connections ---

/// Idle HTTP/1.1 connections that one worker keeps to one server; past it the one idle longest is closed.
pub const UPSTREAM_IDLE: usize = 128;
/// How often a worker looks for connections that were idle for long.
pub const UPSTREAM_SWEEP: Duration = Duration::from_secs(15);
/// Sweeps that an idle connection outlives: it is closed within 30 to 45 s, before most firewalls forget it.
pub const UPSTREAM_SWEEPS: u32 = 3;
/// Servers that one request is tried on: with more, a client waits long for what will not come.
pub const UPSTREAM_TRIES: usize = 3;
/// One read of what may be a head or a small body of an HTTP/1.1 server, in bytes.
pub const UPSTREAM_READ: usize = 8 * 1024;
/// Room for an answer that an idle HTTP/1.1 connection keeps, in bytes: a new one for each costs more than a small answer.
pub const UPSTREAM_KEPT: usize = 4 * 1024;
/// One read of a larger body, in bytes: 1 MiB in 16 reads.
pub const UPSTREAM_BUFFER: usize = 64 * 1024;
/// Fields of a head: what hyper's server takes of a client.
pub const UPSTREAM_FIELDS: usize = 100;
/// The line before a chunk, in bytes, its extensions included: nobody uses them.
pub const UPSTREAM_CHUNK_LINE: usize = 4 * 1024;
/// The trailers of a response, in bytes.
pub const UPSTREAM_TRAILERS: usize = 16 * 1024;
/// The head of a response, in bytes: nginx takes 8 KiB, some single sign-on needs more.
pub const UPSTREAM_HEAD: usize = 64 * 1024;
/// Informational answers (1xx) before one answer: one a second for as long as [`RESPONSE_TIMEOUT`], and some.
pub const UPSTREAM_INTERIM: usize = 100;
/// How long a server is given to say whether it wants a body that its client holds back until it is told to go on (RFC
/// 9110, section 10.1.1): less than the second after which curl goes on by itself; some servers know nothing of it.
pub const CONTINUE_WAIT: Duration = Duration::from_millis(300);
/// Informational answers that one connection keeps for a client that does not take them yet, in bytes: a few heads.
pub const INTERIM: usize = 8 * 1024;
/// Requests at once on one HTTP/2 connection to a server, where it does not ask for fewer.
pub const UPSTREAM_STREAMS: usize = 100;
/// HTTP/2 connections that one worker opens to one server; past it requests wait for each other.
pub const UPSTREAM_H2_CONNECTIONS: usize = 8;
/// What a server may send ahead on one HTTP/2 stream, in bytes; a connection's window has room for all its streams, so
/// that a slow client holds up no other.
pub const UPSTREAM_STREAM_WINDOW: u32 = 64 * 1024;
/// Silence on an HTTP/2 connection with requests on it before the server is pinged.
pub const UPSTREAM_PING: Duration = Duration::from_secs(30);
/// How long it may take to answer the ping.
pub const UPSTREAM_PONG: Duration = Duration::from_secs(10);
/// Silence on a TCP connection to a server before the kernel asks whether it is still there: a tunnel has no other end.
pub const UPSTREAM_TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a server that did not answer is passed over at first.
pub const MARK_FIRST: Duration = Duration::from_secs(1);
/// The longest that it is passed over at a time.
pub const MARK_MAX: Duration = Duration::from_secs(30);
/// Requests in a row that a server takes and leaves unanswered until it is passed over.
pub const MARK_BREAKS: u32 = 3;
/// Names looked up at once: half of [`super::BLOCKING_THREADS`], so that a name server that hangs leaves threads for the rest.
pub const LOOKUPS: usize = 2;
/// The least time between two look-ups of one name, whoever asks.
pub const LOOKUP_PAUSE: Duration = Duration::from_secs(1);
/// How long a request that found nobody at a name's addresses waits for that name to be looked up again.
pub const LOOKUP_WAIT: Duration = Duration::from_millis(250);
/// Addresses kept of one name.
pub const ADDRESSES: usize = 64;
