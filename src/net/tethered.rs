//! An upgraded stream of HTTP/2 that fails when its peer takes nothing for `send_timeout`.
//!
//! Owns: that its end is the stream's: the task that sends on it would wait for the peer's window for ever. Never:
//! buffers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stall::Stall;
pub use super::stall::Tether;

/// A stream under its `send_timeout`.
#[derive(Debug)]
pub struct Tethered<S> {
    io: S,
    tether: Tether,
    stall: Option<Box<Stall>>,
}

impl<S> Tethered<S> {
    #[must_use]
    pub fn new(io: S, tether: Tether) -> Tethered<S> {
        Tethered { io, tether, stall: None }
    }

    /// Passes `outcome` on, unless it is that nothing goes out, and has been for too long.
    fn judge<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let streams = self.tether.streams();
        let stall = self.stall.get_or_insert_with(|| streams.stall());
        ready!(streams.poll_stall(stall, cx));
        self.tether.cut();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "it made no progress")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tethered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tethered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tethered = self.get_mut();
        let outcome = Pin::new(&mut tethered.io).poll_write(cx, bytes);
        tethered.judge(outcome, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tethered = self.get_mut();
        let outcome = Pin::new(&mut tethered.io).poll_flush(cx);
        tethered.judge(outcome, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tethered = self.get_mut();
        let outcome = Pin::new(&mut tethered.io).poll_shutdown(cx);
        tethered.judge(outcome, cx)
    }
}

impl<S> Drop for Tethered<S> {
    fn drop(&mut self) {
        self.tether.leave();
    }
}
