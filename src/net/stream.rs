//! A client's byte stream, plain or TLS, as hyper reads and writes it.
//!
//! Owns: what was read before the protocol was known, the connection's clock and permit, and how it ends: after our FIN
//! what the peer still sends is read and dropped for a while, since it would be answered with a reset, which destroys
//! what the peer has yet to read of us (RFC 9112, section 9.6). Never: buffers of its own, but for HTTP/2's frames.

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
use super::gather::Gather;
use super::permit::ConnectionPermit;
use super::unread;
use crate::limits;
use crate::message::framing::Verdict;
use crate::message::heads::Heads;

/// A client's connection.
#[derive(Debug)]
pub struct Stream {
    io: Io,
    /// Read already, and yet to be given to whoever speaks HTTP on it.
    early: Bytes,
    clock: Arc<Clock>,
    permit: ConnectionPermit,
    /// Our FIN is out; when to stop waiting for the peer's.
    linger: Option<Pin<Box<Sleep>>>,
    /// For HTTP/2.
    multiplexed: Option<Multiplexed>,
    /// Follows what HTTP/1 reads, for heads that hyper would pass.
    heads: Option<Heads>,
    /// Of a refusal of hyper's own, with its body: what the socket has yet to take.
    owed: Bytes,
}

/// What a connection of many streams has beside others.
#[derive(Debug, Default)]
struct Multiplexed {
    /// Read since the tasks of its streams had their turn, in bytes.
    read: usize,
    gather: Gather,
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
            clock.received(&early);
        }
        Stream { io, early, clock, permit, linger: None, multiplexed: None, heads: None, owed: Bytes::new() }
    }

    /// The same, for HTTP/2. Each [`limits::H2_READ`] bytes that are read the tasks that HTTP/2 woke have their turn: what
    /// many small frames cost counts against the whole connection until each is read. And what is written is gathered.
    #[must_use]
    pub fn multiplexed(self) -> Stream {
        Stream { multiplexed: Some(Multiplexed::default()), ..self }
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

    /// Completes when the runtime has heard that the socket takes bytes, as a new one does at once. hyper drops the answer
    /// that ends a connection where the socket does not take it the first time.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match &self.io {
            Io::Plain(io) => io.writable().await,
            Io::Tls(io) => io.get_ref().0.writable().await,
        }
    }

    /// What was read already.
    pub(super) fn early(&self) -> &Bytes {
        &self.early
    }

    /// The same, which is not given to hyper then.
    pub(super) fn take_early(&mut self) -> Bytes {
        std::mem::take(&mut self.early)
    }

    /// These are to be given to hyper after all.
    pub(super) fn unread(&mut self, early: Bytes) {
        self.early = early;
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }

    /// [`read`](Stream::read), and after so much others' turn.
    fn read_in_turns(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.multiplexed.as_ref().map_or(0, |multiplexed| multiplexed.read);
        let left = limits::H2_READ.saturating_sub(read);
        if left == 0 {
            self.had_read(0);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(buf.remaining().min(left)));
        let Poll::Ready(outcome) = self.read(cx, &mut piece) else {
            // Others have their turn before this is woken again.
            self.had_read(0);
            return Poll::Pending;
        };
        let count = piece.filled().len();
        buf.advance(count);
        self.had_read(read + count);
        Poll::Ready(outcome)
    }

    fn had_read(&mut self, count: usize) {
        if let Some(multiplexed) = &mut self.multiplexed {
            multiplexed.read = count;
        }
    }

    /// Completes when nothing gathered is left.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(Multiplexed { gather, .. }) = &mut self.multiplexed else { return Poll::Ready(Ok(())) };
        while !gather.bytes().is_empty() {
            let outcome = match &mut self.io {
                Io::Plain(io) => Pin::new(io).poll_write(cx, gather.bytes()),
                Io::Tls(io) => Pin::new(io).poll_write(cx, gather.bytes()),
            };
            note(&self.clock, &outcome);
            match ready!(outcome)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => gather.written(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Completes when nothing is left that is to be said before what hyper says: informational answers, a refusal.
    fn poll_owed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.clock.interim().waits() {
            let clock = Arc::clone(&self.clock);
            ready!(clock.interim().poll_out(|bytes| self.write_parts(cx, &[io::IoSlice::new(bytes)])))?;
        }
        while !self.owed.is_empty() {
            let owed = std::mem::take(&mut self.owed);
            let outcome = self.write_parts(cx, &[io::IoSlice::new(&owed)]);
            self.owed = owed;
            match ready!(outcome)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.owed.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn write_parts(&mut self, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let outcome = match &mut self.io {
            Io::Plain(io) => joined(parts, |bytes| match bytes {
                Some(bytes) => Pin::new(io).poll_write(cx, bytes),
                None => Pin::new(io).poll_write_vectored(cx, parts),
            }),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(cx, parts),
        };
        note(&self.clock, &outcome);
        outcome
    }
}

/// The socket took this many bytes, or none.
fn note(clock: &Clock, outcome: &Poll<io::Result<usize>>) {
    clock.sending(match outcome {
        Poll::Ready(count) => Some(count.as_ref().map_or(0, |count| *count as u64)),
        Poll::Pending => None,
    });
}

/// Gives `write` the parts in one piece where they are one, or small: a head and a short body then cost a `send` and a copy,
/// which is less than a `writev`.
pub fn joined<T>(parts: &[io::IoSlice<'_>], write: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut full = parts.iter().filter(|part| !part.is_empty());
    let (Some(first), second) = (full.next(), full.next()) else { return write(Some(&[])) };
    let Some(second) = second else { return write(Some(first)) };
    let mut room = [0; limits::JOINED_WRITE];
    let mut filled = 0;
    for part in [first, second].into_iter().chain(full) {
        let Some(place) = room.get_mut(filled..filled + part.len()) else { return write(None) };
        place.copy_from_slice(part);
        filled += part.len();
    }
    write(room.get(..filled))
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
        let outcome = if stream.multiplexed.is_some() { stream.read_in_turns(cx, buf) } else { stream.read(cx, buf) };
        let ended = matches!(outcome, Poll::Ready(Ok(()))) && buf.filled().len() == before;
        if ended && stream.clock.holds_end(cx.waker()) {
            return Poll::Pending;
        }
        if outcome.is_ready() {
            let received = buf.filled().get(before..).unwrap_or_default();
            stream.clock.received(received);
            if let Some(heads) = &mut stream.heads {
                heads.see(received);
            }
        }
        outcome
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.multiplexed.as_mut().is_some_and(|multiplexed| multiplexed.gather.puts_off()) {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(stream.poll_gathered(cx))?;
        ready!(stream.poll_owed(cx))?;
        let outcome = match &mut stream.io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        };
        stream.clock.sending(outcome.is_ready().then_some(0));
        if stream.multiplexed.is_none() && matches!(outcome, Poll::Ready(Ok(()))) {
            stream.clock.interim().flushed();
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.linger.is_none() {
            ready!(stream.poll_gathered(cx))?;
            ready!(stream.poll_owed(cx))?;
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
        if let Some(multiplexed) = &mut stream.multiplexed {
            if let Some(count) = multiplexed.gather.take(parts) {
                return Poll::Ready(Ok(count));
            }
            ready!(stream.poll_gathered(cx))?;
        } else {
            stream.clock.interim().writing();
            if let Some(refusal) = unread::told(parts) {
                stream.owed = refusal.into();
                return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
            }
        }
        ready!(stream.poll_owed(cx))?;
        stream.write_parts(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::joined;
    use crate::limits;

    #[track_caller]
    fn check(parts: &[&[u8]], expected: Option<&[u8]>) {
        let parts: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        joined(&parts, |bytes| assert_eq!(bytes, expected));
    }

    #[test]
    fn small_parts_are_written_in_one_piece() {
        check(&[], Some(b""));
        check(&[b"", b"head"], Some(b"head"));
        check(&[b"head", b"", b"body", b"end"], Some(b"headbodyend"));
        let (most, over) = ([b'x'; limits::JOINED_WRITE - 1], [b'x'; limits::JOINED_WRITE]);
        check(&[b"x", &most], Some(&over));
        check(&[b"x", &over], None);
        check(&[&[b'x'; 3 * limits::JOINED_WRITE]], Some(&[b'x'; 3 * limits::JOINED_WRITE]));
    }
}
