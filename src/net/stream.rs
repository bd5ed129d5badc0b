//! A client's byte stream, plain or TLS, as hyper reads and writes it.
//!
//! Owns: what was read before the protocol was known, the connection's clock and permit, and how it ends: after our FIN
//! what the peer still sends is read and dropped for a while, since it would be answered with a reset, which destroys
//! what the peer has yet to read of us (RFC 9112, section 9.6). Never: buffers of its own.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::clock::Clock;
use super::permit::ConnectionPermit;
use crate::limits;
use crate::message::framing::Verdict;
use crate::message::heads::Heads;

/// A client's connection.
#[derive(Debug)]
pub struct Stream {
    io: Io,
    /// Read already, and yet to be given to hyper.
    early: Bytes,
    clock: Arc<Clock>,
    permit: ConnectionPermit,
    /// Our FIN is out; when to stop waiting for the peer's.
    linger: Option<Pin<Box<Sleep>>>,
    /// After each piece that is read the tasks of its streams have their turn.
    in_turns: bool,
    /// Such a piece was just read.
    was_read: bool,
    /// Follows what HTTP/1 reads, for heads that hyper would pass.
    heads: Option<Heads>,
}

/// The socket itself.
#[derive(Debug)]
pub enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    #[must_use]
    pub fn new(io: Io, early: Bytes, clock: Arc<Clock>, permit: ConnectionPermit) -> Stream {
        if !early.is_empty() {
            clock.received();
        }
        Stream { io, early, clock, permit, linger: None, in_turns: false, was_read: false, heads: None }
    }

    /// The same, read a piece of [`limits::H2_READ`] bytes at a time: between two of them the tasks that HTTP/2 woke have
    /// their turn. What many small frames cost counts against the whole connection until each is read.
    #[must_use]
    pub fn in_turns(self) -> Stream {
        Stream { in_turns: true, ..self }
    }

    /// The same, whose heads of HTTP/1 are watched: `verdict` is told of the first that is framed in two ways.
    #[must_use]
    pub fn watched(self, verdict: Arc<Verdict>) -> Stream {
        Stream { heads: Some(Heads::new(verdict)), ..self }
    }

    /// Takes the socket back, once hyper is done with it; the permit goes along.
    #[must_use]
    pub fn into_parts(self) -> (Io, Bytes, ConnectionPermit) {
        (self.io, self.early, self.permit)
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }

    /// [`read`](Stream::read) after each other's turn.
    fn read_in_turns(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.was_read) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(buf.remaining().min(limits::H2_READ)));
        ready!(self.read(cx, &mut piece))?;
        let count = piece.filled().len();
        buf.advance(count);
        self.was_read = count > 0;
        Poll::Ready(Ok(()))
    }

    fn note<T>(&self, outcome: &Poll<io::Result<T>>) {
        self.clock.sending(outcome.is_ready());
    }
}

/// Ends a connection so that what was written arrives: FIN, then the peer's, waited for a while.
pub async fn close(mut socket: TcpStream) {
    // Best effort: the peer may be gone, and then there is nobody to tell.
    let _ = socket.shutdown().await;
    let _ = timeout(limits::CLOSE_TIMEOUT, poll_fn(|cx| poll_discard(&mut socket, cx))).await;
}

/// Reads and drops what comes; completes when nothing more will.
fn poll_discard(socket: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
    let mut discarded = [0; 1024];
    loop {
        let mut buf = ReadBuf::new(&mut discarded);
        match ready!(Pin::new(&mut *socket).poll_read(cx, &mut buf)) {
            Ok(()) if !buf.filled().is_empty() => {}
            Ok(()) | Err(_) => return Poll::Ready(()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if !stream.early.is_empty() {
            let count = stream.early.len().min(buf.remaining());
            buf.put_slice(&stream.early[..count]);
            if let Some(heads) = &mut stream.heads {
                heads.see(&stream.early[..count]);
            }
            stream.early.advance(count);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let outcome = if stream.in_turns { stream.read_in_turns(cx, buf) } else { stream.read(cx, buf) };
        let ended = matches!(outcome, Poll::Ready(Ok(()))) && buf.filled().len() == before;
        if ended && stream.clock.holds_end(cx.waker()) {
            return Poll::Pending;
        }
        if outcome.is_ready() {
            stream.clock.received();
            if let Some(heads) = &mut stream.heads {
                heads.see(buf.filled().get(before..).unwrap_or_default());
            }
        }
        outcome
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let outcome = match &mut stream.io {
            Io::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Io::Tls(io) => Pin::new(io).poll_write(cx, bytes),
        };
        stream.note(&outcome);
        outcome
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let outcome = match &mut stream.io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        };
        stream.note(&outcome);
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.linger.is_none() {
            ready!(match &mut stream.io {
                Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
                Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
            })?;
            if !stream.clock.finish() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = stream.linger.get_or_insert_with(|| Box::pin(sleep(limits::CLOSE_TIMEOUT)));
        let socket = match &mut stream.io {
            Io::Plain(io) => io,
            Io::Tls(io) => io.get_mut().0,
        };
        if poll_discard(socket, cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        linger.as_mut().poll(cx).map(Ok)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let outcome = match &mut stream.io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(cx, parts),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(cx, parts),
        };
        stream.note(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }
}
