//! A client of the load: connects, asks for a WebSocket, reads the whole answer, and leaves.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Outcome;

/// The longest answer: a refusal's head and problem.
const ANSWER: usize = 2048;

/// An upgrade as a browser asks for it, on a page of this host or of `origin`.
pub fn upgrade(target: &str, origin: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: dash.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
         Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36\r\n\
         Upgrade: websocket\r\nOrigin: {origin}\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\n\
         Accept-Language: en\r\nCookie: theme=dark; lang=en\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A page of the host itself.
pub const OWN: &str = "http://dash.example.com";

/// Says `request` on a connection of its own, and gives the status once the answer is whole.
pub async fn ask(address: SocketAddr, request: &[u8]) -> Outcome<u16> {
    converse(TcpStream::connect(address).await?, request).await
}

async fn converse(mut stream: TcpStream, request: &[u8]) -> Outcome<u16> {
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    let mut answer = [0; ANSWER];
    let mut filled = 0;
    loop {
        let count = stream.read(answer.get_mut(filled..).unwrap_or_default()).await?;
        filled += count;
        let answer = String::from_utf8_lossy(answer.get(..filled).unwrap_or_default());
        if count == 0 {
            return Err(format!("ended in the middle of an answer: {answer:?}").into());
        }
        if let Some((head, body)) = answer.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
                return status.ok_or_else(|| format!("no status: {head}").into());
            }
        }
    }
}
