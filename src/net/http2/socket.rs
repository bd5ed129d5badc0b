//! An upgraded stream of HTTP/2 as a byte stream.
//!
//! Owns: that the peer's window is given back as it is read from, and that no more is written than it has room for; where
//! it is so wished, it fails when its peer takes nothing for `send_timeout`. What is written in small pieces goes out as one
//! frame, with the next flush: many small ones cost both sides more than they say. Never: holds anything once it was
//! flushed and read. Dropped before it is shut down, it resets the stream once what was flushed is out.

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
    /// Written, and with room at the peer. Less than [`limits::H2_PIECE`] bytes.
    unsent: Vec<u8>,
    pace: Rc<Pace>,
    stall: Stall,
    /// Under `send_timeout`.
    timed: bool,
    finished: bool,
}

impl StreamIo {
    pub(super) fn new(send: SendStream<Bytes>, recv: RecvStream, pace: Rc<Pace>) -> StreamIo {
        let (unread, unsent, stall) = (Bytes::new(), Vec::new(), Stall::default());
        StreamIo { send, recv, unread, unsent, pace, stall, timed: false, finished: false }
    }

    /// The same, that fails, and is reset, when its peer takes nothing for `send_timeout`.
    #[must_use]
    pub fn timed(self) -> StreamIo {
        StreamIo { timed: true, ..self }
    }

    /// Completes when the peer has reset the stream, or the connection has ended, though nothing is read or written.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.send.poll_reset(cx).map(drop)
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

    /// How much of `wanted` bytes there is room for beside what is unsent, at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        loop {
            self.send.reserve_capacity(self.unsent.len() + wanted);
            let room = self.send.capacity().saturating_sub(self.unsent.len());
            if room > 0 {
                self.stall.moved();
                return Poll::Ready(Ok(wanted.min(room)));
            }
            if !self.unsent.is_empty() {
                // Its peer has to have it before it gives more room.
                self.send_out(false)?;
                continue;
            }
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
    }

    /// Sends what is unsent, and the `end` of the stream.
    fn send_out(&mut self, end: bool) -> io::Result<()> {
        let unsent = std::mem::take(&mut self.unsent);
        if unsent.is_empty() && !end {
            return Ok(());
        }
        self.send.send_data(unsent.into(), end).map_err(broken)
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
        let wanted = bytes.len().min(limits::H2_PIECE - stream.unsent.len());
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let count = ready!(stream.poll_room(cx, wanted))?;
        stream.unsent.extend_from_slice(&bytes[..count]);
        if stream.unsent.len() >= limits::H2_PIECE {
            stream.send_out(false)?;
        }
        Poll::Ready(Ok(count))
    }

    /// There was room for what was written.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().send_out(false))
    }

    /// The end of the stream, behind what was written.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let finished = std::mem::replace(&mut stream.finished, true);
        Poll::Ready(if finished { Ok(()) } else { stream.send_out(true) })
    }
}

fn broken(error: h2::Error) -> io::Error {
    let kind = error.get_io().map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use http::Response;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};

    use super::super::testing::{Ends, SEND_TIMEOUT, pace, with_stream};
    use super::*;

    /// The client's end of a socket.
    struct Client {
        send: SendStream<Bytes>,
        recv: RecvStream,
    }

    /// Runs `test` with a socket whose client takes so many bytes ahead.
    async fn with_socket(window: u32, test: impl AsyncFnOnce(StreamIo, Client)) {
        with_stream(window, async |Ends { request, mut respond, answer, ask }: Ends| {
            let send = respond.send_response(Response::new(()), false).unwrap();
            drop(respond);
            let socket = StreamIo::new(send, request.into_body(), Rc::new(pace().0));
            let recv = answer.await.unwrap().into_body();
            test(socket, Client { send: ask, recv }).await;
        })
        .await;
    }

    impl Client {
        fn say(&mut self, text: &'static str) {
            self.send.send_data(Bytes::from_static(text.as_bytes()), false).unwrap();
        }

        async fn hears(&mut self, expected: &str) {
            let data = self.recv.data().await.unwrap().unwrap();
            self.recv.flow_control().release_capacity(data.len()).unwrap();
            assert_eq!(data, expected);
        }
    }

    /// What is read, in buffers of this size, of a client that says these and its end.
    async fn check_read(said: &'static [&'static str], size: usize, expected: &[&str]) {
        with_socket(100, async |mut socket: StreamIo, mut client: Client| {
            said.iter().for_each(|text| client.say(text));
            client.send.send_data(Bytes::new(), true).unwrap();
            let mut buf = vec![0; size];
            for expected in expected.iter().chain(&["", ""]) {
                let count = socket.read(&mut buf).await.unwrap();
                assert_eq!(&buf[..count], expected.as_bytes());
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_read_gives_one_frame_at_most() {
        check_read(&[], 9, &[]).await;
        check_read(&["ab", "c"], 9, &["ab", "c"]).await;
        check_read(&["ab", "", "c"], 9, &["ab", "c"]).await;
        check_read(&["abc", "de"], 2, &["ab", "c", "de"]).await;
    }

    #[tokio::test]
    async fn a_client_that_cancels_has_ended_and_one_that_breaks_off_has_not() {
        for (reason, ended) in [
            (Reason::CANCEL, true),
            (Reason::NO_ERROR, true),
            (Reason::INTERNAL_ERROR, false),
            (Reason::PROTOCOL_ERROR, false),
        ] {
            with_socket(100, async |mut socket: StreamIo, mut client: Client| {
                client.send.send_reset(reason);
                let read = socket.read(&mut [0; 9]).await;
                assert_eq!(read.ok(), ended.then_some(0), "{reason}");
                assert!(socket.write_all(&[0; 1000]).await.is_err(), "{reason}");
            })
            .await;
        }
    }

    #[tokio::test]
    async fn what_is_read_gives_the_client_its_window_back() {
        with_socket(100, async |mut socket: StreamIo, mut client: Client| {
            let (mut piece, mut left) = (vec![0; 16 * 1024], 1024 * 1024);
            while left > 0 {
                client.send.reserve_capacity(piece.len().min(left));
                if client.send.capacity() == 0 {
                    std::future::poll_fn(|cx| client.send.poll_capacity(cx)).await.unwrap().unwrap();
                }
                let room = client.send.capacity().min(piece.len()).min(left);
                client.send.send_data(vec![7; room].into(), false).unwrap();
                socket.read_exact(&mut piece[..room]).await.unwrap();
                left -= room;
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_written_than_there_is_room_for() {
        with_socket(5, async |mut socket: StreamIo, mut client: Client| {
            assert_eq!(socket.write(b"").await.unwrap(), 0);
            assert_eq!(socket.write(b"hello world").await.unwrap(), 5);
            assert!(
                timeout(100 * SEND_TIMEOUT, socket.write(b" world")).await.is_err(),
                "it waits, with no time of its own"
            );
            client.hears("hello").await;
            assert_eq!(socket.write(b" world").await.unwrap(), 5);
            socket.flush().await.unwrap();
            client.hears(" worl").await;
            socket.shutdown().await.unwrap();
            socket.shutdown().await.unwrap();
            client.hears("").await;
            assert!(client.recv.data().await.is_none(), "a proper end");
            assert!(socket.write(b"d").await.is_err());
        })
        .await;
    }

    #[tokio::test]
    async fn small_pieces_go_out_as_one_frame() {
        with_socket(100_000, async |mut socket: StreamIo, mut client: Client| {
            for _ in 0..1000 {
                socket.write_all(b"0123456789").await.unwrap();
            }
            socket.flush().await.unwrap();
            client.hears(&"0123456789".repeat(1000)).await;
            // A large one goes out as it is written.
            let large = "x".repeat(limits::H2_PIECE);
            assert_eq!(socket.write(format!("{large}x").as_bytes()).await.unwrap(), limits::H2_PIECE);
            client.hears(&large).await;
            socket.write_all(b"the last").await.unwrap();
            socket.shutdown().await.unwrap();
            client.hears("the last").await;
            assert!(client.recv.data().await.is_none(), "a proper end");
        })
        .await;
    }

    #[tokio::test]
    async fn one_that_is_dropped_is_reset() {
        with_socket(100, async |mut socket: StreamIo, mut client: Client| {
            socket.write_all(b"hello").await.unwrap();
            socket.flush().await.unwrap();
            client.hears("hello").await;
            drop(socket);
            assert_eq!(client.recv.data().await.unwrap().unwrap_err().reason(), Some(Reason::CANCEL));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_with_a_time_of_its_own_fails_when_its_client_takes_nothing_for_that_long() {
        with_socket(5, async |socket: StreamIo, mut client: Client| {
            let (mut socket, start) = (socket.timed(), Instant::now());
            for _ in 0..3 {
                assert_eq!(socket.write(b"hello").await.unwrap(), 5);
                assert!(timeout(SEND_TIMEOUT / 2, socket.write(b"hello")).await.is_err());
                client.hears("hello").await;
            }
            assert_eq!(socket.write(b"hello").await.unwrap(), 5);
            let failed = socket.write(b"hello").await.unwrap_err();
            assert_eq!((failed.kind(), start.elapsed()), (io::ErrorKind::TimedOut, SEND_TIMEOUT * 5 / 2));
            // Of what was written, the end alone is heard.
            assert_eq!(client.recv.data().await.unwrap().unwrap(), "hello");
            assert_eq!(client.recv.data().await.unwrap().unwrap_err().reason(), Some(Reason::CANCEL));
        })
        .await;
    }
}
