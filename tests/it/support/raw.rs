//! Literal bytes over TCP.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::within;
use super::ws::Io;

pub struct RawHttp<S = TcpStream> {
    pub stream: S,
    seen: Vec<u8>,
}

impl RawHttp {
    pub async fn connect(address: SocketAddr) -> RawHttp {
        let stream = TcpStream::connect(address).await.expect("the listener accepts");
        stream.set_nodelay(true).expect("nodelay");
        RawHttp::over(stream)
    }
}

impl<S: Io> RawHttp<S> {
    pub fn over(stream: S) -> RawHttp<S> {
        RawHttp { stream, seen: Vec::new() }
    }

    /// The same, whatever the stream.
    pub fn boxed(self) -> RawHttp<Box<dyn Io>> {
        RawHttp { stream: Box::new(self.stream), seen: self.seen }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the peer takes bytes");
        self.stream.flush().await.expect("the peer takes bytes");
    }

    /// Everything up to and with the blank line after a response head.
    pub async fn head(&mut self) -> String {
        self.until(b"\r\n\r\n").await
    }

    /// Everything up to and with `end`.
    pub async fn until(&mut self, end: &[u8]) -> String {
        within(&format!("{:?}", String::from_utf8_lossy(end)), async {
            loop {
                if let Some(at) = self.seen.windows(end.len()).position(|window| window == end) {
                    let rest = self.seen.split_off(at + end.len());
                    return String::from_utf8_lossy(&std::mem::replace(&mut self.seen, rest)).into_owned();
                }
                let read = self.stream.read_buf(&mut self.seen).await.expect("the peer sends");
                assert!(read > 0, "the peer closed after {:?}", String::from_utf8_lossy(&self.seen));
            }
        })
        .await
    }

    /// What came with what was waited for.
    pub fn taken(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.seen)
    }

    /// Exactly `count` bytes.
    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        within(&format!("{count} bytes"), async {
            while self.seen.len() < count {
                let read = self.stream.read_buf(&mut self.seen).await.expect("the peer sends");
                assert!(read > 0, "the peer closed after {} of {count} bytes", self.seen.len());
            }
            let rest = self.seen.split_off(count);
            std::mem::replace(&mut self.seen, rest)
        })
        .await
    }

    /// All that comes until the peer closes or resets.
    pub async fn rest(&mut self) -> Vec<u8> {
        within("the peer to close", async {
            while self.stream.read_buf(&mut self.seen).await.is_ok_and(|read| read > 0) {}
            std::mem::take(&mut self.seen)
        })
        .await
    }

    /// All that comes until the peer closes. That it goes on taking what was on its way to it is checked, too: else it
    /// would answer with a reset, which may destroy what was yet to be read of it.
    pub async fn closed(&mut self) -> Vec<u8> {
        within("the peer to close", async {
            while self.stream.read_buf(&mut self.seen).await.expect("a close, not a reset") > 0 {}
            self.stream.write_all(&vec![b'x'; 512 * 1024]).await.expect("the peer takes what was on its way");
            std::mem::take(&mut self.seen)
        })
        .await
    }
}
