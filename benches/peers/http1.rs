//! The load's HTTP/1.1: a request, its answer looked at, the next.

use std::convert::Infallible;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Outcome;
use super::load::Stream;
use super::rows::Answer;
use super::support::handshake::{field, head_end};
use super::tally::Tally;

/// A response head longer than this is refused.
const HEAD: usize = 8 << 10;
/// Taken by one read.
const BUFFER: usize = 128 << 10;

/// Asks again and again.
pub async fn repeat(mut stream: Stream, answer: Answer, tally: &Tally) -> Outcome<Infallible> {
    let request =
        format!("GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: peers\r\nAccept: */*\r\n\r\n", answer.path);
    let mut buffer = vec![0; if answer.bytes > HEAD { BUFFER } else { HEAD }];
    exchange(&mut stream, &request, answer.bytes, &mut buffer).await?;
    tally.seat();
    loop {
        let began = Instant::now();
        exchange(&mut stream, &request, answer.bytes, &mut buffer).await?;
        tally.done(began);
    }
}

/// One request, whose answer must be 200 and have a body of `bytes`.
async fn exchange(stream: &mut Stream, request: &str, bytes: usize, buffer: &mut [u8]) -> Outcome<()> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut filled = 0;
    let end = loop {
        let count = stream.read(&mut buffer[filled..]).await?;
        filled += count;
        if let Some(end) = head_end(&buffer[..filled]) {
            break end;
        }
        if count == 0 {
            return Err(format!("ended in the middle of a head: {}", shown(&buffer[..filled])).into());
        }
    };
    let head = &buffer[..end];
    let length = field(head, "content-length").and_then(|value| value.parse::<usize>().ok());
    if !head.starts_with(b"HTTP/1.1 200 ") || length != Some(bytes) {
        return Err(format!("not 200 with {bytes} bytes: {}", shown(&buffer[..filled])).into());
    }
    let mut missing = (end + bytes).checked_sub(filled).ok_or("more than the body that was announced")?;
    while missing > 0 {
        let room = missing.min(buffer.len());
        let count = stream.read(&mut buffer[..room]).await?;
        if count == 0 {
            return Err(format!("{missing} bytes of a body are missing").into());
        }
        missing -= count;
    }
    Ok(())
}

/// What was read, for an error.
pub fn shown(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes.get(..bytes.len().min(300)).unwrap_or_default()))
}
