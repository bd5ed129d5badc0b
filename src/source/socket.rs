//! The byte stream under a WebSocket that was dialled: reads, and what is said meanwhile.
//!
//! Owns: the frame that is being written, and the next one. Never: queues more: of the pongs that wait only the newest is
//! owed (RFC 6455, section 5.5.3).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ws::frame::{CONTROL_MAX, masked};
use crate::ws::{CloseCode, OpCode, close, mask};

/// A byte stream, and what waits to be written to it.
#[derive(Debug)]
pub(super) struct Socket<S> {
    io: S,
    /// What is left of the frame that is being written.
    out: Bytes,
    next: Option<Bytes>,
    /// Something was written that may not be on its way yet.
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(io: S) -> Socket<S> {
        Socket { io, out: Bytes::new(), next: None, unflushed: false }
    }

    /// Has a control frame written while reading, in place of one that still waits.
    pub(super) fn say(&mut self, opcode: OpCode, payload: &[u8]) {
        let payload = payload.get(..CONTROL_MAX).unwrap_or(payload);
        self.next = Some(masked(opcode, payload, mask::fresh()));
    }

    /// Has a close frame written, the last of all; without a code where `code` must not be sent.
    pub(super) fn close(&mut self, code: CloseCode, reason: &str) {
        self.say(OpCode::Close, &close::payload(code, reason));
    }

    /// Reads into `buffer`, writing meanwhile; 0 is the end.
    ///
    /// # Errors
    /// Of either.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok(buffer.filled().len()))
        })
        .await
    }

    /// Completes when all has been written.
    ///
    /// # Errors
    /// If it can't be.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.out.is_empty() {
                match self.next.take() {
                    Some(next) => self.out = next,
                    None => break,
                }
            }
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::ws::{Decoder, Message};

    fn messages(mut bytes: Vec<u8>) -> Vec<Message> {
        let (mut decoder, mut rest) = (Decoder::new(1000, false), &mut bytes[..]);
        std::iter::from_fn(|| decoder.next(&mut rest).unwrap()).collect()
    }

    #[tokio::test]
    async fn what_a_peer_does_not_read_does_not_add_up() {
        let (near, mut far) = duplex(8);
        let mut socket = Socket::new(near);
        for count in 0..1000u16 {
            far.write_all(b"x").await.unwrap();
            socket.say(OpCode::Pong, &count.to_be_bytes());
            let mut buffer = [0; 16];
            assert_eq!(socket.read(&mut buffer).await.unwrap(), 1);
        }
        let mut said = Vec::new();
        let (flushed, ()) = tokio::join!(
            async {
                socket.flush().await.unwrap();
                drop(socket);
            },
            async {
                far.read_to_end(&mut said).await.unwrap();
            }
        );
        let () = flushed;
        // The one that found room, the one that was half written, and the newest.
        let payloads: Vec<_> = messages(said)
            .into_iter()
            .map(|message| if let Message::Pong(payload) = message { payload } else { panic!("{message:?}") })
            .collect();
        assert_eq!(payloads.len(), 3, "{payloads:?}");
        assert_eq!(payloads.last().unwrap()[..], 999u16.to_be_bytes());
    }

    #[tokio::test]
    async fn a_close_says_its_code() {
        let (near, mut far) = duplex(1024);
        let mut socket = Socket::new(near);
        socket.close(CloseCode::PROTOCOL, "bad");
        socket.flush().await.unwrap();
        socket.close(CloseCode::NO_STATUS, "");
        socket.flush().await.unwrap();
        drop(socket);
        let mut said = Vec::new();
        far.read_to_end(&mut said).await.unwrap();
        let frame = crate::ws::CloseFrame { code: CloseCode::PROTOCOL, reason: "bad".to_owned() };
        assert_eq!(messages(said), [Message::Close(Some(frame)), Message::Close(None)]);
    }
}
