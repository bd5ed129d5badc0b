//! A client's byte stream, plain or TLS, as hyper reads and writes it.
//!
//! Owns: what was read before the protocol was known, the connection's clock and permit. Never: buffers of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::clock::Clock;
use super::permit::ConnectionPermit;

/// A client's connection.
#[derive(Debug)]
pub struct Stream {
    io: Io,
    /// Read already, and yet to be given to hyper.
    early: Bytes,
    clock: Arc<Clock>,
    permit: ConnectionPermit,
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
        Stream { io, early, clock, permit }
    }

    /// Takes the socket back, once hyper is done with it; the permit goes along.
    #[must_use]
    pub fn into_parts(self) -> (Io, Bytes, ConnectionPermit) {
        (self.io, self.early, self.permit)
    }

    fn note<T>(&self, outcome: &Poll<io::Result<T>>) {
        self.clock.sending(outcome.is_ready());
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if !stream.early.is_empty() {
            let count = stream.early.len().min(buf.remaining());
            buf.put_slice(&stream.early[..count]);
            stream.early.advance(count);
            return Poll::Ready(Ok(()));
        }
        let outcome = match &mut stream.io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        };
        if outcome.is_ready() {
            stream.clock.received();
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
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
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
