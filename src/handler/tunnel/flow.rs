//! One direction of a tunnel.
//!
//! Owns: what was read and is not taken yet, at most one read of it, and when this direction is over. Never: reads more
//! while that waits.

use std::io;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};

use super::end::End;
use crate::limits;

/// One direction.
#[derive(Debug)]
pub(super) struct Flow {
    held: Bytes,
    /// Read so far.
    bytes: u64,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Open,
    /// The sender has ended its side; the receiver is yet to be told.
    Ending,
    Done,
    /// The receiver takes no more; nobody knows what else the sender says.
    Abandoned,
}

/// How far a turn got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// A side is waited for.
    Waiting,
    /// There is more to move, after the others' turn.
    Again,
    Done,
}

impl Flow {
    /// Begins with what was read already.
    #[must_use]
    pub(super) fn new(held: Bytes) -> Flow {
        Flow { bytes: held.len() as u64, held, at: At::Open }
    }

    #[must_use]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the sender has ended its side, or the receiver takes no more.
    #[must_use]
    pub(super) fn has_ended(&self) -> bool {
        self.at != At::Open
    }

    /// Whether the sender has said all, and the receiver was told so.
    #[must_use]
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Moves what `from` has and `to` takes. With `last`, the other direction is done: what is left is to close.
    ///
    /// # Errors
    /// If `from` failed: it takes nothing any more either, so that the whole tunnel is over. A `to` that fails ends this
    /// direction alone: what it has said before may be unread.
    pub(super) fn run(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut End,
        to: &mut End,
        scratch: &mut [u8],
        last: bool,
    ) -> io::Result<Progress> {
        for _ in 0..limits::TUNNEL_READS {
            match self.at {
                At::Done | At::Abandoned => {
                    let _ = from.poll_discard(cx, scratch);
                    return Ok(Progress::Done);
                }
                At::Open | At::Ending if !self.held.is_empty() => match to.poll_write(cx, &self.held) {
                    Poll::Ready(Ok(count)) => self.take(count),
                    Poll::Ready(Err(_)) => self.abandon(),
                    Poll::Pending => {
                        from.hoard(cx, scratch)?;
                        return Ok(Progress::Waiting);
                    }
                },
                // One that fails here is gone, and the other direction hears of it.
                At::Ending => match if last { to.poll_finish_last(cx) } else { to.poll_finish(cx) } {
                    Poll::Ready(_) => self.at = At::Done,
                    Poll::Pending => return Ok(Progress::Waiting),
                },
                At::Open => match from.poll_read(cx, scratch) {
                    Poll::Ready(Ok(0)) => self.at = At::Ending,
                    Poll::Ready(Ok(count)) => self.pass_on(cx, to, scratch.get(..count).unwrap_or_default()),
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => {
                        if matches!(to.poll_flush(cx), Poll::Ready(Err(_))) {
                            self.abandon();
                            continue;
                        }
                        return Ok(Progress::Waiting);
                    }
                },
            }
        }
        Ok(Progress::Again)
    }

    /// Straight from the scratch buffer: only what is not taken is copied.
    fn pass_on(&mut self, cx: &mut Context<'_>, to: &mut End, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let taken = match to.poll_write(cx, bytes) {
            Poll::Ready(Ok(count)) => count,
            Poll::Ready(Err(_)) => return self.abandon(),
            Poll::Pending => 0,
        };
        if let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            self.held = Bytes::copy_from_slice(rest);
        }
    }

    fn take(&mut self, count: usize) {
        self.held.advance(count.min(self.held.len()));
        if self.held.is_empty() {
            self.held = Bytes::new();
        }
    }

    fn abandon(&mut self) {
        self.held = Bytes::new();
        self.at = At::Abandoned;
    }
}
