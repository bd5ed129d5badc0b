//! The backend: a process of its own that answers `/1k`, `/1m` and WebSockets on `/ws`, and does as little as it can.
//!
//! It prints its port, then serves until it is killed.

use std::rc::Rc;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::Outcome;
use super::support::handshake::{accept, field, head_end};
use super::websocket::CLOSE;

/// Answers, head and body in one.
struct Answers {
    kib: Box<[u8]>,
    mib: Box<[u8]>,
}

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
/// A request head longer than this ends its connection.
const HEAD: usize = 16 << 10;

pub fn serve() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        let answers = Rc::new(Answers { kib: answer(1 << 10), mib: answer(1 << 20) });
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answers = Rc::clone(&answers);
            tokio::task::spawn_local(async move {
                // A proxy ends its connections as it likes.
                let _ = connection(stream, &answers).await;
            });
        }
    })
}

fn answer(bytes: usize) -> Box<[u8]> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: peers\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
    );
    [head.as_bytes(), &vec![b'x'; bytes]].concat().into()
}

async fn connection(mut stream: TcpStream, answers: &Answers) -> Outcome<()> {
    let mut buffer = BytesMut::with_capacity(2048);
    loop {
        while let Some(end) = head_end(&buffer) {
            let head = buffer.split_to(end);
            let reply = match head.as_ref().split(|byte| *byte == b' ').nth(1) {
                Some(b"/1k") => &answers.kib,
                Some(b"/1m") => &answers.mib,
                Some(b"/ws") => {
                    let key = field(&head, "sec-websocket-key").ok_or("not a WebSocket")?;
                    stream.write_all(accept(key).as_bytes()).await?;
                    return echo(stream, buffer).await;
                }
                _ => NOT_FOUND,
            };
            stream.write_all(reply).await?;
        }
        if buffer.len() > HEAD || stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Sends each message back, until the client asks for the close.
async fn echo(mut stream: TcpStream, mut buffer: BytesMut) -> Outcome<()> {
    let mut reply = Vec::new();
    loop {
        while let Some(end) = masked_end(&buffer) {
            let frame = buffer.split_to(end);
            if frame[0] == CLOSE[0] {
                reply.extend(CLOSE);
                stream.write_all(&reply).await?;
                return Ok(());
            }
            let head = if frame[1] & 0x7f == 126 { 4 } else { 2 };
            reply.extend([frame[0], frame[1] & 0x7f]);
            reply.extend_from_slice(&frame[2..head]);
            let mut payload = &frame[head..];
            let mask = payload.get_u32().to_be_bytes();
            reply.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
        stream.write_all(&reply).await?;
        reply.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Where the first frame ends, once it is whole.
fn masked_end(buffer: &[u8]) -> Option<usize> {
    let end = match buffer.get(1)? & 0x7f {
        126 => 8 + usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?])),
        short => 6 + usize::from(short),
    };
    (buffer.len() >= end).then_some(end)
}
