//! An event stream over plain HTTP/1.1, by hand.

use std::net::SocketAddr;

use super::RawHttp;
use super::ws::Io;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: Option<String>,
    pub event: Option<String>,
    pub data: String,
}

pub struct SseClient {
    raw: RawHttp<Box<dyn Io>>,
    pub head: String,
}

impl SseClient {
    pub async fn connect(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> SseClient {
        SseClient::over(RawHttp::connect(address).await, address, path, headers).await
    }

    /// Over TLS, whatever the certificate.
    pub async fn connect_tls(address: SocketAddr, path: &str) -> SseClient {
        let raw = RawHttp::over(super::ws::tls(address, &[]).await);
        SseClient::over(raw, address, path, &[]).await
    }

    pub async fn on(stream: impl Io, address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> SseClient {
        SseClient::over(RawHttp::over(stream), address, path, headers).await
    }

    async fn over<S: Io>(mut raw: RawHttp<S>, address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> SseClient {
        let mut text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        raw.send(format!("{text}\r\n").as_bytes()).await;
        let head = raw.head().await;
        SseClient { raw: raw.boxed(), head }
    }

    /// The next event; comments and `retry` are passed over. Chunk sizes are lines of their own, and skipped.
    pub async fn event(&mut self) -> Event {
        let mut event = Event::default();
        loop {
            let line = self.raw.until(b"\n").await;
            let line = line.trim_end_matches(['\r', '\n']);
            match line.split_once(": ") {
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("event", type_)) => event.event = Some(type_.to_owned()),
                Some(("data", data)) => event.data.push_str(data),
                _ if line.is_empty() && event.event.is_some() => return event,
                _ => {}
            }
        }
    }
    /// The next comment; a pause between events has nothing else.
    pub async fn comment(&mut self) -> String {
        loop {
            let line = self.raw.until(b"\n").await;
            if line.starts_with(':') {
                return line.trim_end().to_owned();
            }
            assert!(!line.starts_with("data:"), "{line}");
        }
    }

    /// All that comes until the stream ends, as it is on the wire.
    pub async fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.raw.rest().await).into_owned()
    }
}
