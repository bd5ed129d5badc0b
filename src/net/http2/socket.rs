//! An upgraded stream of HTTP/2 as a byte stream.
//!
//! Owns: that the peer's window is given back as it is read from, and that no more is written than it has room for. Where
//! it is so wished, it fails when its peer takes nothing for `send_timeout`. Never: buffers what is written; of what is read
//! only the rest of a frame. Dropped before it is shut down, it resets the stream once what was written is out.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::{Pace, Stall};
use crate::limits;

/// A stream within a connection, whose end is not the connection's.
#[derive(Debug)]
pub struct StreamIo {
    send: SendStream<Bytes>,
    recv: RecvStream,
    unread: Bytes,
    pace: Rc<Pace>,
    stall: Stall,
    /// Under `send_timeout`.
    timed: bool,
    finished: bool,
}

impl StreamIo {
    pub(super) fn new(send: SendStream<Bytes>, recv: RecvStream, pace: Rc<Pace>) -> StreamIo {
        StreamIo { send, recv, unread: Bytes::new(), pace, stall: Stall::default(), timed: false, finished: false }
    }

    /// The same, that fails, and is reset, when its peer takes nothing for `send_timeout`.
    #[must_use]
    pub fn timed(self) -> StreamIo {
        StreamIo { timed: true, ..self }
    }

    /// What the peer says next; nothing at the end, which a stream that it cancels has too.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            match ready!(self.recv.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Poll::Ready(Ok(data)),
                Some(Err(error)) => {
                    return Poll::Ready(match error.reason() {
                        Some(Reason::NO_ERROR | Reason::CANCEL) => Ok(Bytes::new()),
                        Some(_) | None => Err(broken(error)),
                    });
                }
                None => return Poll::Ready(Ok(Bytes::new())),
            }
        }
    }

    /// How much of `wanted` bytes there is room for, at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(wanted);
        while self.send.capacity() == 0 {
            match self.send.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(error))),
                Poll::Ready(None) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending if self.timed => {
                    ready!(self.pace.poll_late(&mut self.stall, cx));
                    self.send.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "it made no progress")));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        self.stall.moved();
        Poll::Ready(Ok(wanted.min(self.send.capacity())))
    }
}

/// Gives one frame at most a time.
impl AsyncRead for StreamIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.unread.is_empty() {
            stream.unread = ready!(stream.poll_frame(cx))?;
        }
        let count = stream.unread.len().min(buf.remaining());
        buf.put_slice(&stream.unread[..count]);
        stream.unread.advance(count);
        if stream.unread.is_empty() {
            // The frame's memory goes with it.
            stream.unread = Bytes::new();
        }
        // It fails only for more than was read.
        let _ = stream.recv.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let wanted = bytes.len().min(limits::H2_PIECE);
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let count = ready!(stream.poll_room(cx, wanted))?;
        stream.send.send_data(Bytes::copy_from_slice(&bytes[..count]), false).map_err(broken)?;
        Poll::Ready(Ok(count))
    }

    /// What was written is on its way: there was room for it.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The end of the stream, behind what was written.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if !std::mem::replace(&mut stream.finished, true) {
            stream.send.send_data(Bytes::new(), true).map_err(broken)?;
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: h2::Error) -> io::Error {
    let kind = error.get_io().map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, error)
}
