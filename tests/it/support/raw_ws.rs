//! A WebSocket client by hand, over any stream: it sends whatever bytes it is given, answers no ping and no close, and
//! reads only when it is told to.
//!
//! Never: for a viewer that behaves, which is [`WsClient`](super::WsClient), by a library.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::RawHttp;
use super::ws::Io;

/// The key of RFC 6455's example.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
/// The last piece of its message.
pub const FIN: u8 = 0x80;
/// RSV1: deflated.
pub const DEFLATED: u8 = 0x40;

pub struct RawWs<S = TcpStream> {
    pub raw: RawHttp<S>,
    /// The answer's.
    pub head: String,
}

/// One frame as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

impl RawWs {
    /// Opens a socket; `fields` are those of [`upgrade`].
    pub async fn connect(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> RawWs {
        RawWs::over(TcpStream::connect(address).await.expect("the listener accepts"), path, fields).await
    }

    pub async fn over(stream: TcpStream, path: &str, fields: &[(&str, &str)]) -> RawWs {
        stream.set_nodelay(true).expect("nodelay");
        let address = stream.peer_addr().expect("connected");
        let mut raw = RawHttp::over(stream);
        raw.send(upgrade(address, path, fields).as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        RawWs { raw, head }
    }
}

impl<S: Io> RawWs<S> {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.raw.send(bytes).await;
    }

    /// Sends a frame whose first byte is `first`.
    pub async fn say(&mut self, first: u8, payload: &[u8]) {
        self.send(&masked(first, payload)).await;
    }

    /// The next frame; fails the test where the peer has closed.
    pub async fn frame(&mut self) -> Frame {
        let head = self.raw.exactly(2).await;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let length = length(&mut self.raw, head[1]).await;
        Frame { first: head[0], payload: self.raw.exactly(length).await }
    }

    /// The next frame with this opcode; others are passed over, a close never.
    pub async fn next(&mut self, opcode: u8) -> Vec<u8> {
        loop {
            let Frame { first, payload } = self.frame().await;
            if first & 0x0f == opcode {
                return payload;
            }
            assert_ne!(first & 0x0f, CLOSE, "closed: {payload:?}");
        }
    }

    /// The next frame, which must be a text, as JSON.
    pub async fn json(&mut self) -> serde_json::Value {
        let frame = self.frame().await;
        assert_eq!(frame.first, FIN | TEXT, "{frame:?}");
        serde_json::from_slice(&frame.payload).expect("JSON")
    }

    /// The next text, as JSON; messages of `steadfeed` itself are passed over.
    pub async fn data(&mut self) -> serde_json::Value {
        loop {
            let text = self.next(TEXT).await;
            let message: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            if !matches!(message["type"].as_str(), Some("connected" | "keepalive")) {
                return message;
            }
        }
    }

    /// The code of the close that comes, and its reason; other frames are passed over.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            let Frame { first, payload } = self.frame().await;
            if first == FIN | CLOSE {
                return close_of(&payload);
            }
        }
    }
}

/// The code that a close says, 1005 for none, and its reason.
pub fn close_of(payload: &[u8]) -> (u16, String) {
    let code = payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
    (code, String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned())
}

/// The length of the frame of whose head `second` was read, the bit of the mask apart.
pub async fn length<S: Io>(raw: &mut RawHttp<S>, second: u8) -> usize {
    let length = match second & 0x7f {
        126 => u64::from(u16::from_be_bytes(raw.exactly(2).await.try_into().expect("2 bytes"))),
        127 => u64::from_be_bytes(raw.exactly(8).await.try_into().expect("8 bytes")),
        length => u64::from(length),
    };
    usize::try_from(length).expect("it fits")
}

/// A request for a WebSocket; a field of `fields` replaces those of its name, "-" leaves it out.
pub fn upgrade(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> String {
    let host = address.to_string();
    let usual = [
        ("Host", host.as_str()),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    let kept = usual.iter().filter(|(name, _)| fields.iter().all(|(other, _)| !other.eq_ignore_ascii_case(name)));
    let given = fields.iter().filter(|(_, value)| *value != "-");
    let mut text = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in kept.chain(given) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}

/// A masked frame whose first byte is `first`.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = head(first, payload.len());
    frame[1] |= 0x80;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame's head as a server writes it.
pub fn head(first: u8, len: usize) -> Vec<u8> {
    match len {
        0..126 => vec![first, u8::try_from(len).expect("small")],
        126..0x1_0000 => [&[first, 126][..], &u16::try_from(len).expect("two bytes").to_be_bytes()].concat(),
        _ => [&[first, 127][..], &(len as u64).to_be_bytes()].concat(),
    }
}
