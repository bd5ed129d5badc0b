//! A WebSocket by hand: it answers no ping, and reads only when it is told to.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::RawHttp;

pub struct RawWs {
    pub raw: RawHttp,
    pub head: String,
}

/// One frame as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

pub const TEXT: u8 = 0x81;
pub const PING: u8 = 0x89;
/// RSV1: deflated.
pub const DEFLATED: u8 = 0x40;

impl RawWs {
    pub async fn connect(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> RawWs {
        let stream = TcpStream::connect(address).await.expect("the listener accepts");
        RawWs::over(stream, path, headers).await
    }

    pub async fn over(stream: TcpStream, path: &str, headers: &[(&str, &str)]) -> RawWs {
        let host = stream.peer_addr().expect("connected");
        let mut raw = RawHttp::over(stream);
        let mut text = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        raw.send(format!("{text}\r\n").as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        RawWs { raw, head }
    }

    /// The next frame; fails the test where the peer has closed.
    pub async fn frame(&mut self) -> Frame {
        let head = self.raw.exactly(2).await;
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.raw.exactly(2).await.try_into().expect("2 bytes"))),
            127 => u64::from_be_bytes(self.raw.exactly(8).await.try_into().expect("8 bytes")),
            length => u64::from(length),
        };
        let payload = self.raw.exactly(usize::try_from(length).expect("it fits")).await;
        Frame { first: head[0], payload }
    }

    /// The next text, as JSON.
    pub async fn json(&mut self) -> serde_json::Value {
        let frame = self.frame().await;
        assert_eq!(frame.first, TEXT, "{frame:?}");
        serde_json::from_slice(&frame.payload).expect("JSON")
    }

    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        self.raw.send(&masked(first, payload)).await;
    }
}

/// A client's frame; its mask is all zeros, which masks nothing.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..65_536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
