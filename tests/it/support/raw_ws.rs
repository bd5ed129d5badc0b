//! A WebSocket by hand: frames that no client should send, and what comes back.

use std::net::SocketAddr;

use super::RawHttp;

/// The key of RFC 6455's example.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

pub struct RawSocket {
    pub raw: RawHttp,
    pub head: String,
}

impl RawSocket {
    /// Opens a socket; `fields` are added to the request.
    pub async fn connect(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> RawSocket {
        let mut raw = RawHttp::connect(address).await;
        raw.send(upgrade(address, path, fields).as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        RawSocket { raw, head }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.raw.send(bytes).await;
    }

    /// The next frame: its first byte and its payload.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.raw.exactly(2).await;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let len = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.raw.exactly(2).await.try_into().expect("two"))),
            127 => u64::from_be_bytes(self.raw.exactly(8).await.try_into().expect("eight")),
            len => u64::from(len),
        };
        let payload = self.raw.exactly(usize::try_from(len).expect("it fits")).await;
        (head[0], payload)
    }

    /// The next frame with this opcode; others are passed over, a close never.
    pub async fn next(&mut self, opcode: u8) -> Vec<u8> {
        loop {
            let (first, payload) = self.frame().await;
            if first & 0x0f == opcode {
                return payload;
            }
            assert_ne!(first & 0x0f, CLOSE, "closed: {payload:?}");
        }
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

    /// The close code that comes, and its reason; then the connection must end.
    pub async fn closed(&mut self) -> (u16, String) {
        let payload = loop {
            let (first, payload) = self.frame().await;
            if first == 0x80 | CLOSE {
                break payload;
            }
        };
        let code = payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
        (code, String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned())
    }
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
