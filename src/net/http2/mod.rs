//! A connection of HTTP/2 (RFC 9113).
//!
//! Owns: its bounds, and taking requests off it until it ends; each is answered by a task of its own. A stream that was
//! upgraded is a socket beside the others.

mod answer;
mod head;
mod outgoing;
mod pace;
mod ping;
mod respond;
mod socket;
#[cfg(test)]
mod testing;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::Reason;
use h2::server::{self, Handshake};

use self::pace::Pace;
use self::ping::Ping;
pub(super) use self::respond::Respond;
pub use self::socket::StreamIo;
use super::connection::{Answer, Connection, Edge};
use super::drive::{self, Fault, drive};
use super::stream::Stream;
use crate::limits;

/// A connection until it ends.
struct Serving<A> {
    state: State,
    connection: Rc<Connection<A>>,
    pace: Rc<Pace>,
}

enum State {
    /// The client's preface is read; and whether the connection is to take no requests.
    Greeting {
        handshake: Handshake<Stream, Bytes>,
        closing: bool,
    },
    Open {
        wire: server::Connection<Stream, Bytes>,
        ping: Ping,
    },
}

/// Why a connection ended that should not have.
#[derive(Debug)]
enum Broken {
    Protocol(h2::Error),
    /// A ping was not answered.
    Silent,
}

/// Serves the connection until it ends.
///
/// # Errors
/// If it ended as it should not have.
pub(super) async fn serve<A: Answer>(connection: Rc<Connection<A>>, stream: Stream) -> Result<(), Fault> {
    let Connection { clock, peer, edge, .. } = &*connection;
    let handshake = builder(edge).handshake(stream.multiplexed());
    let state = State::Greeting { handshake, closing: peer.over_cap };
    let pace = Rc::new(Pace::new(clock.clone(), *peer, edge.limits.send_timeout));
    let serving = pin!(Serving { state, connection: Rc::clone(&connection), pace });
    drive(serving, |serving| serving.get_mut().shut(), &connection).await.map(drop)
}

fn builder(edge: &Edge) -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(limits::H2_STREAMS)
        .max_header_list_size(u32::try_from(edge.limits.header_size).unwrap_or(u32::MAX))
        .max_send_buffer_size(limits::H2_SEND_BUFFER)
        .initial_window_size(limits::H2_STREAM_WINDOW)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(limits::H2_RESETS)
        .max_local_error_reset_streams(Some(limits::H2_FAULTS));
    if edge.websocket_h2 {
        builder.enable_connect_protocol();
    }
    builder
}

impl<A> Serving<A> {
    /// Takes no more requests, and ends with the last that it has taken.
    fn shut(&mut self) {
        match &mut self.state {
            State::Greeting { closing, .. } => *closing = true,
            State::Open { wire, .. } => wire.graceful_shutdown(),
        }
    }
}

/// Completes with the connection.
impl<A: Answer> Future for Serving<A> {
    type Output = Result<(), Broken>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let Serving { state, connection, pace } = self.get_mut();
        loop {
            match state {
                State::Greeting { handshake, closing } => {
                    let mut wire = ready!(Pin::new(handshake).poll(cx))?;
                    if *closing {
                        wire.graceful_shutdown();
                    }
                    let ping = Ping::new(wire.ping_pong());
                    *state = State::Open { wire, ping };
                }
                State::Open { wire, ping } => {
                    if ping.poll_lost(cx, &connection.clock, &connection.edge.limits).is_ready() {
                        wire.abrupt_shutdown(Reason::NO_ERROR);
                    }
                    while let Some(accepted) = ready!(wire.poll_accept(cx)) {
                        let (request, respond) = accepted?;
                        answer::begin(connection, pace, request, respond);
                    }
                    return Poll::Ready(if ping.is_lost() { Err(Broken::Silent) } else { Ok(()) });
                }
            }
        }
    }
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Broken {
        Broken::Protocol(error)
    }
}

impl drive::Broken for Broken {
    fn cause(&self) -> Option<&io::Error> {
        match self {
            Broken::Protocol(error) => error.get_io(),
            Broken::Silent => None,
        }
    }

    fn fault(&self, _limits: &super::Limits) -> Fault {
        let reason = match self {
            Broken::Protocol(error) if error.is_io() => format!("connection error: {error}"),
            Broken::Protocol(error) => format!("http2 error: {error}"),
            Broken::Silent => "http2 error: keep-alive timed out".to_owned(),
        };
        Fault { reason, unread: None }
    }
}
