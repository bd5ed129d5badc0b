//! A viewer's raw socket, plain or TLS, written and read without waiting.
//!
//! Owns: the TLS state beside its `TcpStream`, so that whoever holds it encrypts and sends in one step. Never: wakes a
//! task to write, or encrypts more while earlier ciphertext waits for the peer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::limits;

/// An upgraded connection, taken back out of hyper.
#[derive(Debug)]
pub enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsSocket>),
}

#[derive(Debug)]
pub struct TlsSocket {
    stream: TcpStream,
    tls: ServerConnection,
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    Bytes(usize),
    Nothing,
    /// The peer sends no more.
    End,
}

impl Socket {
    #[must_use]
    pub fn tls(stream: TcpStream, mut tls: ServerConnection) -> Socket {
        // What waits encrypted for a peer that does not read; a frame is taken in pieces of this.
        tls.set_buffer_limit(Some(limits::TLS_BUFFER));
        Socket::Tls(Box::new(TlsSocket { stream, tls }))
    }

    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Socket::Tls(_))
    }

    /// Bounds what the kernel takes in of a viewer that is not read because it does not read: it has little to say.
    pub fn bound_receiving(&self) {
        // Where the kernel refuses, its own bound stays.
        let _ = SockRef::from(self.stream()).set_recv_buffer_size(limits::RECEIVE_BUFFER);
    }

    /// Writes as much of `bytes` as the peer takes now; 0 where it takes nothing.
    ///
    /// # Errors
    /// What the socket says; the viewer is then gone.
    pub fn offer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(stream) => send(stream, bytes),
            Socket::Tls(socket) => socket.offer(bytes),
        }
    }

    /// Sends what is encrypted and waits. Gives whether nothing waits any more.
    ///
    /// # Errors
    /// As for [`offer`](Socket::offer).
    pub fn flush(&mut self) -> io::Result<bool> {
        match self {
            Socket::Plain(_) => Ok(true),
            Socket::Tls(socket) => socket.flush(),
        }
    }

    /// Reads what has arrived, at most `into`'s length.
    ///
    /// # Errors
    /// As for [`offer`](Socket::offer), and what rustls finds wrong.
    pub fn receive(&mut self, into: &mut [u8]) -> io::Result<Received> {
        let count = match self {
            Socket::Plain(stream) => stream.try_read(into),
            Socket::Tls(socket) => socket.receive(into),
        };
        match count {
            Ok(0) => Ok(Received::End),
            Ok(count) => Ok(Received::Bytes(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Says that no more will be written: a TLS `close_notify`, so that the end cannot be mistaken for a cut, and a FIN.
    /// Reading goes on: what the peer still sends would otherwise be answered with a reset, which destroys what it has
    /// yet to read of us.
    pub fn finish(&mut self) {
        // Best effort: the peer may be gone, and then there is nobody to tell.
        if let Socket::Tls(socket) = self {
            socket.tls.send_close_notify();
            let _ = socket.flush();
        }
        let _ = SockRef::from(self.stream()).shutdown(Shutdown::Write);
    }

    /// Completes when a read may give something.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read_ready(cx)
    }

    /// Completes when the peer may take more.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_write_ready(cx)
    }

    fn stream(&self) -> &TcpStream {
        match self {
            Socket::Plain(stream) => stream,
            Socket::Tls(socket) => &socket.stream,
        }
    }
}

impl TlsSocket {
    fn offer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() && self.flush()? {
            // A record at a time: rustls would encrypt 64 KiB ahead of a peer that takes none of it.
            let record = bytes.len().min(taken + limits::TLS_RECORD);
            taken += self.tls.writer().write(&bytes[taken..record])?;
        }
        self.flush()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut NonBlocking(&self.stream))? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Drains rustls's plaintext before it reads more, and the socket before it waits.
    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            if self.tls.read_tls(&mut NonBlocking(&self.stream))? == 0 {
                return Ok(0);
            }
            let outcome = self.tls.process_new_packets();
            // An alert, a key update or a ticket may wait to be said, whatever came.
            self.flush()?;
            outcome.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }
}

/// A `TcpStream` as std's traits see it, without waiting: a read says `WouldBlock`, a write takes 0 bytes.
struct NonBlocking<'a>(&'a TcpStream);

impl Read for NonBlocking<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for NonBlocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0, bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match parts {
            // A fan-out's usual case: one record.
            [part] => send(self.0, part),
            parts => or_zero(self.0.try_write_vectored(parts)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One `send`, past the runtime's own state of the socket, which is asked only where the peer takes no more: a fan-out
/// that looked at it first would fetch it from memory for each viewer.
fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match rustix::net::send(stream, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(count) => Ok(count),
        // So that the runtime learns of it, and wakes whoever waits for the peer.
        Err(Errno::AGAIN | Errno::INTR) => or_zero(stream.try_write(bytes)),
        Err(error) => Err(error.into()),
    }
}

fn or_zero(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
