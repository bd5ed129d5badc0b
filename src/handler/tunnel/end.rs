//! One side of a tunnel: a socket, plain or TLS, or a stream of HTTP/2.
//!
//! Owns: the TLS state beside its socket, so that nothing is decrypted before there is room for it. Never: a buffer of its
//! own beyond what TLS needs.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::Connection;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::stream::Stream;
use crate::limits;
use crate::net::stream::Io as ClientIo;
use crate::net::upgrade::StreamIo;
use crate::upstream::Io as ServerIo;

/// One side.
#[derive(Debug)]
pub(in crate::handler) enum End {
    Socket(Socket),
    Stream(Box<Stream>),
    /// Closed, before the other side was.
    Gone,
}

/// A socket, taken back out of hyper.
#[derive(Debug)]
pub(in crate::handler) struct Socket {
    wire: Wire,
    tls: Option<Box<Connection>>,
    /// No more will be written.
    finished: bool,
    /// The peer was told so.
    shut: bool,
}

#[derive(Debug)]
enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl End {
    #[must_use]
    pub(in crate::handler) fn stream(io: StreamIo) -> End {
        End::Stream(Box::new(Stream::new(io)))
    }

    /// The client's socket. A tunnel has no deadline of its own: the kernel finds out that a client is gone, as the listener
    /// has it.
    #[must_use]
    pub(in crate::handler) fn from_client(io: ClientIo) -> End {
        let (stream, tls) = match io {
            ClientIo::Plain(stream) => (stream, None),
            ClientIo::Tls(stream) => {
                let (stream, tls) = stream.into_inner();
                (stream, Some(Connection::Server(tls)))
            }
        };
        End::socket(Wire::Tcp(stream), tls)
    }

    /// The server's socket.
    #[must_use]
    pub(in crate::handler) fn from_server(io: ServerIo) -> End {
        match io {
            ServerIo::Plain(stream) => End::socket(Wire::Tcp(stream), None),
            ServerIo::Unix(stream) => End::socket(Wire::Unix(stream), None),
            ServerIo::Tls(stream) => {
                let (stream, tls) = stream.into_inner();
                End::socket(Wire::Tcp(stream), Some(Connection::Client(tls)))
            }
        }
    }

    fn socket(wire: Wire, tls: Option<Connection>) -> End {
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(Some(limits::TLS_BUFFER));
            Box::new(tls)
        });
        End::Socket(Socket { wire, tls, finished: false, shut: false })
    }

    /// Reads what has arrived, at most `into`'s length; 0 at the end.
    pub(in crate::handler) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            End::Socket(socket) => socket.poll_read(cx, into),
            End::Stream(stream) => stream.poll_read(cx, into),
            End::Gone => Poll::Ready(Ok(0)),
        }
    }

    /// Writes as much of `bytes` as is taken now, at least one.
    pub(in crate::handler) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            End::Socket(socket) => socket.poll_write(cx, bytes),
            End::Stream(stream) => stream.poll_write(cx, bytes),
            End::Gone => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
        }
    }

    /// Sends what was taken and waits here.
    pub(in crate::handler) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            End::Socket(socket) => socket.poll_flush(cx),
            End::Stream(stream) => stream.poll_flush(cx),
            End::Gone => Poll::Ready(Ok(())),
        }
    }

    /// Says that no more will be written; reading goes on.
    pub(in crate::handler) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            End::Socket(socket) => socket.poll_finish(cx),
            End::Stream(stream) => stream.poll_finish(cx),
            End::Gone => Poll::Ready(Ok(())),
        }
    }

    /// The same, for a peer that has said its own end before, where this side is dropped next: closing a plain socket says it
    /// too.
    pub(super) fn poll_finish_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let End::Socket(socket @ Socket { tls: None, .. }) = self {
            (socket.finished, socket.shut) = (true, true);
        }
        self.poll_finish(cx)
    }

    /// Called while the other side takes nothing: a socket waits, and its peer with it; a stream of HTTP/2 may not.
    ///
    /// # Errors
    /// If the stream says too much meanwhile.
    pub(in crate::handler) fn hoard(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> io::Result<()> {
        match self {
            End::Socket(_) | End::Gone => Ok(()),
            End::Stream(stream) => {
                stream.hoard(cx, scratch)?;
                // Where no more is read, its end would not be heard of.
                if stream.poll_gone(cx).is_ready() { Err(io::Error::other("it was reset")) } else { Ok(()) }
            }
        }
    }

    /// Reads and drops what it still says, where that may not stay unread; completes once no more will come.
    pub(in crate::handler) fn poll_discard(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<()> {
        match self {
            End::Socket(_) | End::Gone => Poll::Ready(()),
            End::Stream(stream) => stream.poll_discard(cx, scratch),
        }
    }
}

impl Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let Socket { wire, tls, .. } = self;
        let Some(tls) = tls else { return wire.poll_read(cx, into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A connection cut without `close_notify`: those who care end their messages by themselves.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                done => return Poll::Ready(done),
            }
            match tls.read_tls(&mut Polled { wire, cx }) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
                Ok(_) => {}
            }
            let outcome = tls.process_new_packets();
            // An alert, a key update or a ticket may wait to be said, whatever came.
            let _ = flush(tls, wire, cx);
            if let Err(error) = outcome {
                return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, error)));
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Socket { wire, tls, .. } = self;
        let Some(tls) = tls else { return wire.poll_write(cx, bytes) };
        // Nothing more is encrypted while earlier ciphertext waits for the peer.
        ready!(flush(tls, wire, cx))?;
        let taken = tls.writer().write(bytes.get(..limits::TLS_RECORD).unwrap_or(bytes))?;
        match flush(tls, wire, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            Some(tls) => flush(tls, &mut self.wire, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// `close_notify`, so that the end cannot be mistaken for a cut, and a FIN.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &mut self.tls {
            if !self.finished {
                tls.send_close_notify();
            }
            self.finished = true;
            ready!(flush(tls, &mut self.wire, cx))?;
        }
        self.finished = true;
        if std::mem::replace(&mut self.shut, true) { Poll::Ready(Ok(())) } else { Poll::Ready(self.wire.shutdown()) }
    }
}

impl Wire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(into);
        // `poll_read` takes a short read for the end of what has arrived, and spares the one that would say so.
        ready!(match self {
            Wire::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Wire::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        })?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Wire::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Wire::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Wire::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn shutdown(&self) -> io::Result<()> {
        match self {
            Wire::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            Wire::Unix(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
        }
    }
}

fn flush(tls: &mut Connection, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    while tls.wants_write() {
        match tls.write_tls(&mut Polled { wire, cx }) {
            Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}

/// A socket as std's traits see it: `WouldBlock` instead of waiting, with the task to be woken then.
struct Polled<'a, 'b> {
    wire: &'a mut Wire,
    cx: &'a mut Context<'b>,
}

impl io::Read for Polled<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        or_would_block(self.wire.poll_read(self.cx, into))
    }
}

impl io::Write for Polled<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(self.wire.poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(self.wire.poll_write_vectored(self.cx, parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn or_would_block(polled: Poll<io::Result<usize>>) -> io::Result<usize> {
    match polled {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}
