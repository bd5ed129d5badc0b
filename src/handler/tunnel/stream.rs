//! A tunnel's side that is a stream within a connection (HTTP/2).
//!
//! Owns: what the stream said and the other side has not taken. Never: leaves many small frames unread, since those count
//! against the whole connection: a stream that has said too much of them is ended, alone, and what is still on its way is
//! read and dropped, since frames of a stream that is gone count as unread for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits;
use crate::net::upgrade::StreamIo;

/// One stream, as `S` reads and writes it.
#[derive(Debug)]
pub(in crate::handler) struct Stream<S = StreamIo> {
    io: S,
    queue: BytesMut,
    /// Frames that the queue is of: each read gives one at most.
    frames: usize,
    ended: bool,
}

impl Stream {
    /// Completes when its peer has reset it, or its connection has ended.
    pub(in crate::handler) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_gone(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    #[must_use]
    pub(in crate::handler) fn new(io: S) -> Stream<S> {
        Stream { io, queue: BytesMut::new(), frames: 0, ended: false }
    }

    pub(in crate::handler) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.queue.is_empty() {
            return self.fill(cx, into);
        }
        let count = self.queue.len().min(into.len());
        self.queue.copy_to_slice(&mut into[..count]);
        if self.queue.is_empty() {
            (self.queue, self.frames) = (BytesMut::new(), 0);
        }
        Poll::Ready(Ok(count))
    }

    pub(in crate::handler) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let piece = bytes.get(..limits::H2_PIECE).unwrap_or(bytes);
        Pin::new(&mut self.io).poll_write(cx, piece)
    }

    pub(in crate::handler) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Completes when the end is on its way.
    pub(in crate::handler) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Reads on while the other side takes nothing, up to a bound. Of large frames no more is read there, and the stream's
    /// window stops its sender; of small ones the window lets through more than the connection survives.
    ///
    /// # Errors
    /// If that much was said in small frames, or the stream fails.
    pub(in crate::handler) fn hoard(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> io::Result<()> {
        while !self.ended {
            if self.queue.len() >= limits::H2_UNHEARD {
                let small = self.queue.len() / self.frames.max(1) < limits::TUNNEL_SMALL_FRAME;
                return if small { Err(io::Error::other("too much was said that nobody takes")) } else { Ok(()) };
            }
            let Poll::Ready(read) = self.read(cx, scratch) else { return Ok(()) };
            let count = read?;
            self.ended = count == 0;
            self.queue.extend_from_slice(&scratch[..count]);
            self.frames += 1;
        }
        Ok(())
    }

    /// Reads and drops what has come; completes once no more will.
    pub(in crate::handler) fn poll_discard(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<()> {
        (self.queue, self.frames) = (BytesMut::new(), 0);
        while !self.ended {
            match ready!(self.read(cx, scratch)) {
                Ok(count) => self.ended = count == 0,
                Err(_) => self.ended = true,
            }
        }
        Poll::Ready(())
    }

    /// Several frames at once: what is slower than the connection's own reading would leave them unread.
    fn fill(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut count = 0;
        while count < into.len() && !self.ended {
            match self.read(cx, &mut into[count..]) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(more)) => count += more,
                // What failed once fails again, when what came before it is passed on.
                Poll::Ready(Err(_)) | Poll::Pending if count > 0 => break,
                failed @ (Poll::Ready(Err(_)) | Poll::Pending) => return failed,
            }
        }
        Poll::Ready(Ok(count))
    }

    fn read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(into);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// Says `count` frames of `size` bytes, each of which is hoarded before the next.
    async fn hoard(size: usize, count: usize) -> (Stream<DuplexStream>, DuplexStream, io::Result<()>) {
        let (ours, mut theirs) = duplex(size);
        let (mut stream, mut scratch) = (Stream::new(ours), vec![0; limits::TUNNEL_READ]);
        let mut outcome = Ok(());
        for _ in 0..count {
            // A task that never yields is told to wait by the pipe.
            tokio::task::yield_now().await;
            // One that is not taken waits in the pipe, as it would in its window.
            let written = poll_fn(|cx| Poll::Ready(Pin::new(&mut theirs).poll_write(cx, &vec![7; size]))).await;
            outcome = poll_fn(|cx| Poll::Ready(stream.hoard(cx, &mut scratch))).await;
            if written.is_pending() || outcome.is_err() {
                break;
            }
        }
        (stream, theirs, outcome)
    }

    #[tokio::test]
    async fn what_is_said_meanwhile_is_kept_in_order_up_to_a_bound() {
        let (mut stream, mut theirs, outcome) = hoard(16 * 1024, 100).await;
        outcome.unwrap();
        assert_eq!(stream.queue.len(), limits::H2_UNHEARD);
        theirs.shutdown().await.unwrap();
        let (mut scratch, mut read) = (vec![0; 1000], 0);
        loop {
            match poll_fn(|cx| stream.poll_read(cx, &mut scratch)).await.unwrap() {
                0 => break,
                count => read += count,
            }
        }
        assert_eq!(read, limits::H2_UNHEARD + 16 * 1024);
    }

    #[tokio::test]
    async fn a_flood_of_small_frames_ends_the_stream() {
        assert!(hoard(16, 100_000).await.2.is_err());
        assert!(hoard(16, 1000).await.2.is_ok());
    }
}
