//! HTTP/1.1 towards a server (RFC 9112), spoken within the task of the request itself.
//!
//! Why it is our own: what is forwarded is framed anew, field by field, which a client library does once more behind a
//! channel, a task and two large buffers a connection; that was a third of the cost of a small request, most of an
//! upgrade's, and kept trailers back that were not announced. Heads are parsed by `httparse`.
//! Owns: what is said and heard on one connection, and whether it can be used once more. Never: judges what an answer
//! means, or repeats a request.

mod decoder;
mod exchange;
mod failure;
mod head;
mod incoming;
mod saying;
#[cfg(test)]
mod tests;
mod transcript;

use std::future::{Future as _, poll_fn};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::unconstrained;

pub use exchange::Switched;
pub(super) use exchange::{NoAnswer, Said, exchange, switch};
pub use failure::Broken;
pub use incoming::Hearing;
pub use transcript::{Transcript, transcript};

use super::connect::{Connected, Place};
use super::io::Io;
use super::member::Member;
use crate::limits;
use crate::message::alarm::Alarm;

/// A connection, between two requests or during one.
#[derive(Debug)]
pub(super) struct Conn {
    io: Io,
    /// It takes bytes, which the runtime has yet to hear.
    is_fresh: bool,
    /// Read, and not taken yet; between two requests there is nothing.
    heard: BytesMut,
    /// That has grown beyond [`limits::UPSTREAM_KEPT`].
    is_large: bool,
    place: Place,
    alarm: Alarm,
}

impl Conn {
    pub(super) fn new(Connected { io, place, is_fresh, .. }: Connected) -> Conn {
        Conn { io, is_fresh, heard: BytesMut::new(), is_large: false, place, alarm: Alarm::default() }
    }

    /// Whether another request may be said on it: its server has neither closed it nor said what nobody asked for, as far
    /// as this thread has heard, and it leads where the server's name still does.
    pub(super) fn is_usable(&mut self, member: &Member) -> bool {
        self.heard.is_empty() && self.place.is_right(member) && self.is_quiet()
    }

    /// Nothing has come, not even its end. A task that has had its turn hears nothing until the next one, and would take
    /// every connection for quiet: so this is no part of its turn.
    fn is_quiet(&mut self) -> bool {
        let hearing = pin!(unconstrained(poll_fn(|cx| self.poll_hear(cx))));
        hearing.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Reads once, behind what was heard before; `Ok(0)` is the end. While it waits, there is no buffer for it.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut piece = [const { MaybeUninit::uninit() }; limits::UPSTREAM_READ];
        let mut buf = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        self.heard.extend_from_slice(buf.filled());
        self.is_large |= self.heard.len() > limits::UPSTREAM_KEPT;
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Reads a large body's next piece straight into a buffer of its own; empty at the end.
    fn poll_hear_piece(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<std::io::Result<Bytes>> {
        let mut piece = vec![0; most.min(limits::UPSTREAM_BUFFER)];
        let mut buf = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        let count = buf.filled().len();
        piece.truncate(count);
        Poll::Ready(Ok(piece.into()))
    }

    /// The same, without a buffer that is larger than most answers need.
    fn rested(mut self) -> Conn {
        if std::mem::take(&mut self.is_large) {
            self.heard = BytesMut::new();
        }
        self
    }

    /// The stream, and what was read of it already.
    fn into_parts(self) -> (Io, Bytes) {
        (self.io, self.heard.freeze())
    }
}
