//! A connection's, or a stream's, way out of HTTP.
//!
//! Owns: what is to be done with the socket once the answer that opens it is out, and HTTP's own buffers are let go: a crowd
//! that upgrades at once does not hold all of theirs together. Never: knows what is said on it.

use std::cell::RefCell;
use std::fmt;

use super::clock::InFlight;
pub use super::http2::StreamIo;
use super::permit::ConnectionPermit;
use super::stream::Io;

/// What is left of HTTP.
#[derive(Debug)]
pub enum Socket {
    /// A connection of HTTP/1.1, with what the client has said on it already.
    Connection { io: Io, said: Box<[u8]>, permit: ConnectionPermit },
    /// A stream of HTTP/2 (RFC 8441), whose connection goes on.
    Stream { io: StreamIo, in_flight: InFlight },
}

/// The socket, or why there is none, for the log.
pub type Outcome = Result<Socket, String>;

/// Whether one request's connection or stream is to be a socket.
#[derive(Default)]
pub struct Upgrade(RefCell<Option<Work>>);

type Work = Box<dyn FnOnce(Outcome)>;

impl Upgrade {
    /// Leaves `work` for when the answer, which must be one that upgrades, is out. What takes long is for a task of its own.
    pub fn then(&self, work: impl FnOnce(Outcome) + 'static) {
        *self.0.borrow_mut() = Some(Box::new(work));
    }

    /// What was left, to be given the outcome.
    pub(super) fn take(&self) -> Option<Work> {
        self.0.take()
    }

    /// Whether the request's answer opens a socket.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Does what was left.
    pub(super) fn end(&self, outcome: impl FnOnce() -> Outcome) {
        if let Some(work) = self.take() {
            work(outcome());
        }
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("wanted", &self.is_wanted()).finish()
    }
}
