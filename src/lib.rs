//! steadfeed: a reverse-proxy sidecar that keeps dashboards' WebSockets connected.
//!
//! This page is the project's one architecture map. Tenets, in order: **correct, bounded, observable, small, fast.**
//!
//! # The way through
//!
//! ```text
//! socket -> net (accept, PROXY, TLS, ALPN, hyper or h2) -> route (table) -> guard (ordered checks) -> handler
//!           forward / tunnel / session / feed_ws / feed_sse / feed_get / files / page / respond
//! source (stats, websocket, poll, sse, alerts, publish) -> feed (envelope, normalize, history) -> roster (fan-out) -> viewer's socket
//! ```
//!
//! # Threads
//!
//! A [`worker`] is a thread with its own single-threaded runtime and its own rosters: a connection never crosses
//! threads once it is placed. The first worker also accepts sockets and hands each to the worker that holds fewest. The
//! *control* thread, on which [`app::App::run`] is called, runs the sources, the admin listener and the drain. Workers share
//! only what is read-mostly or atomic: the route table, the TLS configurations, the metrics, and the hub.
//!
//! # One config after another
//!
//! A config is read, checked and made whole before anything changes; the first is made as a change from nothing. What is equal
//! in both by its options is the same object in both: a feed with its sequence, an upstream's servers, an auth, a limit, a
//! listener. Each worker is sent the new [`worker::Edition`] and serves requests with it from its next turn on; those under way
//! end with the [`route::Means`] that they began with. A socket may stay where its route's
//! [`RouteMeters`](telemetry::RouteMeters) are still in the table; others are told to leave as an operator tells one.
//!
//! # One log, cursors
//!
//! A [`feed::hub::Feed`] gives each message its place in one sequence and keeps a bounded [`feed::log::Log`]. Each
//! worker follows it through a bounded hand-off and keeps a copy of that log in its [`feed::roster::Roster`]; a
//! viewer is a cursor into the copy and the frame it is in the middle of. The snapshot, `?last=N`,
//! `Last-Event-ID`, a slow viewer's conflation and the pulling doors (SSE, HTTP/2) are then one thing:
//! *read after the cursor*. How the feed [stands](feed::standing) is told in the same sequence, on keepalives, and is never
//! a value; what a fallback said goes from every copy with the first message of a source.
//!
//! A feed that `share` splits is one such [`feed::hub::Feed`] for each *branch*: for those who have path, query or subject in
//! common, which [`feed::branch::Key`] says. The first viewer begins it: its worker asks the control thread to fill it, makes
//! a roster for it, and lets both go when nobody has been there for the feed's `linger`.
//!
//! # Three ways of a socket
//!
//! A *tunnel* moves bytes between a client and a server and knows nothing of them. A *session* ([`handler::session`]) reads
//! each message of both, with one upstream socket a client, and keeps the client while that socket is opened anew. A *feed* is
//! read once from its sources ([`source`]) and told to all its viewers.
//!
//! Requests go to servers over HTTP/1.1 that is our own ([`upstream`], `http1`), spoken within the request's task: a head is
//! framed anew and an answer's parsed where it is needed, without a task, a channel and two buffers a connection in between.
//! Clients are served HTTP/1.1 by hyper and HTTP/2 by `h2`, which hyper would hide: a stream's own task ([`net`], `http2`) says
//! informational answers and knows when its client takes nothing. HTTP/2 to servers is hyper's. A connection whose first
//! request asks for an upgrade, as most sockets begin, is answered without hyper ([`net`], `first`), whose buffers would be made
//! for one head and let go at once.
//!
//! # Admission
//!
//! [`guard`] makes its checks in one visible order, what costs least first, and gives an [`admission::Admission`]: whose token it
//! was, what the socket may say, and the places that it takes. A socket keeps it for as long as it lives; dropping it gives the
//! places back.
//!
//! # Invariants
//!
//! 1. A message is normalised once, and encoded once a shape, whoever watches.
//! 2. Every viewer of a feed sees its messages in the order of the one sequence: no gap and no repeat between the
//!    snapshot and what follows, and for a viewer that fell behind the history, the newest of each (type, key).
//! 3. An idle viewer owns no buffer; a stalled one at most the frame it is in the middle of and [`limits::OUTBOX_FRAMES`]
//!    answers.
//! 4. Every queue, buffer, map and wait takes its limit from [`limits`] or from the config.
//! 5. Only [`shutdown`] spawns: what runs can be counted, told to end, and ended. (The command line's client, which has no
//!    drain, drives its one request; threads are the [`worker`]s, the access log's writer and the certificates' watcher.)
//! 6. A panic over one connection or viewer ends that one alone.
//! 7. What one subject's token brought is told to that subject alone: it is part of a branch's key, and of nothing that is kept
//!    for others.
//! 8. A token is a [`secret::Secret`] from the moment it is found, is cut from the request that goes on, and is written
//!    nowhere.
//!
//! # Who may import whom
//!
//! `main -> cli -> app -> {config, worker, admin}`; `worker -> {net, route, feed, upstream}`; `route -> {guard, handler, message}`;
//! `handler -> {message, feed, ws, page, upstream}`; `admin -> {message, feed, upstream}`; `source -> feed`; `feed -> ws`. `config` builds each module's own `Options`, and nothing below imports `config`. `handler` and `guard` never import each
//! other; `feed` and `ws` import no hyper and no listener; `bounded` (files that are read whole, by many), `limits`,
//! `networks` (which addresses are in a set, and which are one client's), `rate`, `secret` and `message` import nothing of ours;
//! `admission -> rate`; else `anyone -> {admission, bounded, limits, networks, rate, secret, shutdown, telemetry}`. No circles.
//! Edges beyond those, each with its reason:
//!
//! - `config -> {admin, feed, guard, handler, net, route, source, upstream}`: those whose `Options` it builds.
//! - `app -> {feed, guard, net, route, source, upstream}`: the composition root makes one of each.
//! - `cli -> admin`: `run` asks for a reload where a signal does, as the admin listener does.
//! - `cli -> {config, route}`: `check` and `run` tell what a config makes.
//! - `cli -> feed`: `explain` brings recorded messages under a feed's rules.
//! - `cli -> net::tls`: `cert` signs, `check` looks at certificates, and the client of `health` and `watch` encrypts, with
//!   what the listeners use.
//! - `cli -> guard`: `check` looks at the keys that tokens are verified with, and `token` signs what guards find good.
//! - `route -> {feed::Delivery, page, upstream}`: a route may override how its feed is delivered, lays out a
//!   page's files, and names whom it asks.
//! - `{route, admin} -> net::connection`, `admin -> net::Limits`: what a connection asks of whoever answers its requests,
//!   within which bounds.
//! - `handler -> {net::connection::Asked, net::clock}`: who asked, that the connection is in use while it is answered, and
//!   what becomes of it then.
//! - `net -> message`: the bytes of HTTP/1 heads are watched as they are read, for what hyper does not tell of them; and of a
//!   stream of HTTP/2 a request's body is made.
//! - `source -> {message, upstream, ws}`: what it dials, what it asks there, and how it is answered.
//! - `{handler, cli} -> source::backoff`: a session and `watch` dial again as a source does.
//! - `cli -> message`: `watch` asks as a source does and reads the event streams that a source reads, and `import` writes
//!   paths as requests have them, and no rule on a header that is never a rule's.
//! - `config -> message`: what it checks, and proposes, in terms of HTTP: which headers are never a rule's, and how a path is
//!   written.
//! - `guard -> {message, upstream}`: `auth_request` asks an upstream whether a request may pass.
//! - `handler -> net::ConnectionPermit`: a tunnel keeps its connection's place.
//! - `handler -> {net::stream, net::upgrade}`: what becomes of a socket once it is no longer HTTP is left with its request's
//!   connection.
//! - `upstream -> {message, net::tls}`: what is sent is a message, encrypted with what the listeners use.
//!
//! `tests/it/tidy.rs` holds all of this.

pub mod admin;
pub mod admission;
pub mod app;
pub mod bounded;
pub mod cli;
pub mod config;
pub mod feed;
pub mod guard;
pub mod handler;
pub mod limits;
pub mod message;
pub mod net;
pub mod networks;
pub mod page;
pub mod rate;
pub mod route;
pub mod secret;
pub mod shutdown;
pub mod source;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod upstream;
pub mod worker;
pub mod ws;
