//! One socket's echo: a message of 128 B to the backend and back, looked at byte by byte.

use bytes::BytesMut;
use tokio::net::TcpStream;

use std::net::SocketAddr;

use super::Outcome;
use super::frames::{PING, PONG, TEXT, frame, receive, send, take};
use super::viewers::open;

/// Bytes of a message.
const PAYLOAD: usize = 128;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An open socket whose other end echoes.
pub struct Echo {
    stream: TcpStream,
    buffer: BytesMut,
}

/// Text that the envelope rule leaves as it is, so that all ways can be held to the same bytes.
pub fn message() -> String {
    let (head, tail) = ("{\"type\":\"echo\",\"data\":\"", "\",\"timestamp\":\"2026-01-01T00:00:00.000Z\"}");
    format!("{head}{}{tail}", "x".repeat(PAYLOAD - head.len() - tail.len()))
}

/// A message as a client sends it.
pub fn asked(text: &str) -> Vec<u8> {
    frame(TEXT, text.as_bytes(), Some(MASK))
}

impl Echo {
    pub async fn open(address: SocketAddr, path: &str) -> Outcome<Echo> {
        let (stream, buffer) = open(address, path).await?;
        Ok(Echo { stream, buffer })
    }

    /// Once there and back: sends `asked`, and must get `text`.
    pub async fn once(&mut self, asked: &[u8], text: &str) -> Outcome<()> {
        send(&self.stream, asked).await?;
        loop {
            while let Some((opcode, payload)) = take(&mut self.buffer)? {
                match opcode {
                    TEXT if payload == text.as_bytes() => return Ok(()),
                    // A session says these by itself, where it was silent.
                    TEXT if payload.starts_with(b"{\"type\":\"keepalive\"") => {}
                    PING => send(&self.stream, &frame(PONG, &payload, Some(MASK))).await?,
                    _ => return Err(format!("not the echo: {opcode} {}", String::from_utf8_lossy(&payload)).into()),
                }
            }
            if receive(&self.stream, &mut self.buffer).await? == 0 {
                return Err("ended in the middle of an echo".into());
            }
        }
    }

    /// Lets its buffer go, so that the load can hold many.
    pub fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}
