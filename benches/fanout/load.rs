//! The load: viewers that read all they get and check that no number is missing.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use rustls_pki_types::ServerName;
use steadfeed::cli::client::{Trust, tls_client_config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::support::handshake::{head_end, upgrade};

/// How a viewer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Plain,
    Deflate,
    Tls,
    Sse,
    Http2,
}

/// What all viewers of a run saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub messages: Cell<u64>,
    pub bytes: Cell<u64>,
    pub gaps: Cell<u64>,
    pub seated: Cell<usize>,
    pub told: Cell<usize>,
}

pub type Count = Rc<Seen>;

/// Opens `viewers` of them, a few at a time; they read until the local set they run on is dropped.
pub async fn seat(door: Door, address: SocketAddr, viewers: usize, seen: &Count) {
    let connector = TlsConnector::from(tls());
    let mut waiting = Vec::new();
    for _ in 0..viewers {
        let (seen, connector) = (Rc::clone(seen), connector.clone());
        waiting.push(tokio::task::spawn_local(view(door, address, connector, seen)));
        if waiting.len() == 100 {
            settle(&mut waiting).await;
        }
    }
    settle(&mut waiting).await;
}

/// Each `view` gives its reading task once it is seated.
async fn settle(waiting: &mut Vec<tokio::task::JoinHandle<()>>) {
    for one in waiting.drain(..) {
        one.await.unwrap();
    }
}

fn tls() -> Arc<rustls::ClientConfig> {
    tls_client_config(Trust::Anything).unwrap()
}

async fn view(door: Door, address: SocketAddr, connector: TlsConnector, seen: Count) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    match door {
        Door::Tls => {
            let name = ServerName::try_from("localhost").unwrap();
            let stream = connector.connect(name, stream).await.unwrap();
            open(stream, "", seen).await;
        }
        Door::Plain => open(stream, "", seen).await,
        Door::Deflate => open(stream, "Sec-WebSocket-Extensions: permessage-deflate\r\n", seen).await,
        Door::Sse => open_events(stream, seen).await,
        Door::Http2 => super::crowd::open_http2(stream, seen).await,
    }
}

/// A handshake, then a task that counts frames.
async fn open(mut stream: impl AsyncRead + AsyncWrite + Unpin + 'static, extra: &str, seen: Count) {
    stream.write_all(upgrade("/feed", extra).as_bytes()).await.unwrap();
    let mut buffer = BytesMut::with_capacity(1024);
    loop {
        assert!(stream.read_buf(&mut buffer).await.unwrap() > 0, "refused");
        if let Some(end) = head_end(&buffer) {
            assert!(buffer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&buffer));
            buffer.advance(end);
            break;
        }
    }
    seen.seated.set(seen.seated.get() + 1);
    tokio::task::spawn_local(async move {
        let mut viewer = Viewer { seen, last: 0 };
        loop {
            viewer.take_frames(&mut buffer);
            if buffer.is_empty() {
                // An idle viewer of the load need not hold a buffer either.
                buffer = BytesMut::new();
            }
            buffer.reserve(2048);
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
    });
}

async fn open_events(mut stream: TcpStream, seen: Count) {
    let request = "GET /feed HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = BytesMut::with_capacity(1024);
    while head_end(&buffer).is_none() {
        assert!(stream.read_buf(&mut buffer).await.unwrap() > 0, "refused");
    }
    seen.seated.set(seen.seated.get() + 1);
    tokio::task::spawn_local(async move {
        let mut viewer = Viewer { seen, last: 0 };
        loop {
            // One event's data is one line.
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end + 1);
                if line.starts_with(b"data: ") {
                    viewer.take(&line[6..]);
                }
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
    });
}

/// One viewer's account.
pub struct Viewer {
    pub seen: Count,
    pub last: u64,
}

impl Viewer {
    /// Counts the whole frames in `buffer`, and takes them off.
    pub fn take_frames(&mut self, buffer: &mut BytesMut) {
        while buffer.len() >= 2 {
            let (head, length) = match buffer[1] & 0x7f {
                126 if buffer.len() >= 4 => (4, usize::from(u16::from_be_bytes([buffer[2], buffer[3]]))),
                127 if buffer.len() >= 10 => {
                    let bytes = buffer[2..10].try_into().unwrap();
                    (10, usize::try_from(u64::from_be_bytes(bytes)).unwrap())
                }
                short @ 0..=125 => (2, usize::from(short)),
                _ => return,
            };
            if buffer.len() < head + length {
                return;
            }
            let frame = buffer.split_to(head + length);
            let deflated = frame[0] & 0x40 != 0;
            if deflated { self.count(frame.len()) } else { self.take(&frame[head..]) }
        }
    }

    /// A message; its number, where it has one, must follow the last.
    fn take(&mut self, text: &[u8]) {
        let Some(number) = number(text) else {
            self.seen.told.set(self.seen.told.get() + 1);
            return;
        };
        if self.last > 0 && number != self.last + 1 {
            self.seen.gaps.set(self.seen.gaps.get() + 1);
        }
        self.last = number;
        self.count(text.len());
    }

    fn count(&mut self, bytes: usize) {
        self.seen.messages.set(self.seen.messages.get() + 1);
        self.seen.bytes.set(self.seen.bytes.get() + bytes as u64);
    }
}

/// The number in `"n":"0000000012"`.
fn number(text: &[u8]) -> Option<u64> {
    let start = text.windows(5).position(|window| window == b"\"n\":\"")? + 5;
    std::str::from_utf8(text.get(start..start + 10)?).ok()?.parse().ok()
}
