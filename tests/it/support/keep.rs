//! Many requests over one plain HTTP/1.1 connection: to publish quickly, and to ask one worker again and again.

use std::net::SocketAddr;

use super::{RawHttp, Reply};

pub struct KeepAlive {
    raw: RawHttp,
    host: SocketAddr,
}

impl KeepAlive {
    pub async fn connect(address: SocketAddr) -> KeepAlive {
        KeepAlive { raw: RawHttp::connect(address).await, host: address }
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.raw.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host).as_bytes()).await;
        self.reply().await
    }

    /// POSTs all of `bodies`, one request behind the other without waiting between them.
    pub async fn post_all(&mut self, path: &str, bodies: &[String]) {
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", self.host);
        for some in bodies.chunks(50) {
            let whole: String =
                some.iter().map(|body| format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).collect();
            self.raw.send(whole.as_bytes()).await;
            for _ in some {
                let reply = self.reply().await;
                assert_eq!(reply.status, 200, "{}", reply.text());
            }
        }
    }

    async fn reply(&mut self) -> Reply {
        let head = self.raw.head().await;
        let mut reply = Reply::new(head, Vec::new());
        let length = reply.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        reply.body = self.raw.exactly(length).await;
        reply
    }
}
