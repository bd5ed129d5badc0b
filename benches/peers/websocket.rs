//! The load's WebSocket (RFC 6455): handshake, an echo of [`PAYLOAD`] bytes, close; and its frames as the backend has them.

use std::convert::Infallible;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Outcome;
use super::http1::shown;
use super::load::{Door, Stream};
use super::support::handshake::{KEY, field, head_end};
use super::tally::Tally;

/// Bytes of a message.
pub const PAYLOAD: usize = 128;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// What is answered to [`KEY`].
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Binary, final, 16-bit length: what comes before the mask or, from a server, the payload.
const HEAD: [u8; 4] = [0x82, 126, 0, PAYLOAD as u8];
/// A close frame of code 1000 as a server sends it.
pub const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xe8];

/// Messages there and back, again and again.
pub async fn repeat(mut stream: Stream, tally: &Tally) -> Outcome<Infallible> {
    open(&mut stream).await?;
    let message = masked(&[0x5a; PAYLOAD]);
    echo(&mut stream, &message).await?;
    tally.seat();
    loop {
        let began = Instant::now();
        echo(&mut stream, &message).await?;
        tally.done(began);
    }
}

/// Sockets opened, used once and closed, again and again.
pub async fn come_and_go(door: &Door, tally: &Tally) -> Outcome<Infallible> {
    let message = masked(&[0x5a; PAYLOAD]);
    for number in 0u64.. {
        let began = Instant::now();
        let mut stream = door.open().await?;
        open(&mut stream).await?;
        echo(&mut stream, &message).await?;
        close(&mut stream).await?;
        tally.done(began);
        if number == 0 {
            tally.seat();
        }
    }
    Err("there is no end of numbers".into())
}

/// A socket that is silent until woken, and then shows that it still works.
pub async fn be_idle(mut stream: Stream, tally: &Tally) -> Outcome<Infallible> {
    open(&mut stream).await?;
    let message = masked(&[0x5a; PAYLOAD]);
    echo(&mut stream, &message).await?;
    let woken = tally.wake.notified();
    tally.seat();
    woken.await;
    echo(&mut stream, &message).await?;
    tally.done(Instant::now());
    std::future::pending().await
}

async fn open(stream: &mut Stream) -> Outcome<()> {
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUser-Agent: peers\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut buffer = [0; 2048];
    let mut filled = 0;
    while head_end(&buffer[..filled]).is_none() {
        let count = stream.read(&mut buffer[filled..]).await?;
        filled += count;
        if count == 0 {
            return Err(format!("ended in the middle of a handshake: {}", shown(&buffer[..filled])).into());
        }
    }
    let reply = &buffer[..filled];
    // The backend says nothing unasked, so that the head is all there is.
    let whole = head_end(reply) == Some(filled);
    if !whole || !reply.starts_with(b"HTTP/1.1 101 ") || field(reply, "sec-websocket-accept") != Some(ACCEPT) {
        return Err(format!("not a 101: {}", shown(reply)).into());
    }
    Ok(())
}

async fn echo(stream: &mut Stream, message: &[u8]) -> Outcome<()> {
    stream.write_all(message).await?;
    stream.flush().await?;
    let mut reply = [0; HEAD.len() + PAYLOAD];
    stream.read_exact(&mut reply).await?;
    if reply[..HEAD.len()] != HEAD || reply[HEAD.len()..] != [0x5a; PAYLOAD] {
        return Err(format!("not the echo: {reply:?}").into());
    }
    Ok(())
}

/// Asks for the close, and waits for its answer and the end.
async fn close(stream: &mut Stream) -> Outcome<()> {
    let code = [CLOSE[2] ^ MASK[0], CLOSE[3] ^ MASK[1]];
    let frame = [[CLOSE[0], CLOSE[1] | 0x80].as_slice(), &MASK, &code].concat();
    stream.write_all(&frame).await?;
    stream.flush().await?;
    let mut reply = [0; CLOSE.len()];
    stream.read_exact(&mut reply).await?;
    if reply != CLOSE {
        return Err(format!("not the close frame: {reply:?}").into());
    }
    match stream.read(&mut reply).await {
        Ok(0) => Ok(()),
        // All of the conversation was said; not every proxy then ends TLS before TCP.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
        Ok(_) => Err("something came after the close frame".into()),
        Err(error) => Err(error.into()),
    }
}

/// A message as a client sends it.
fn masked(payload: &[u8; PAYLOAD]) -> Vec<u8> {
    let mut frame = vec![HEAD[0], HEAD[1] | 0x80, HEAD[2], HEAD[3]];
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
