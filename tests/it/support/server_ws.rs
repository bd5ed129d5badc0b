//! A WebSocket application by hand: it says and hears single frames, and ends as it is told to.

use steadfeed::handler::SessionOptions;
use steadfeed::route::options::Action;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::backend::front_config;
use super::http::field;
use super::raw_ws::{close_of, head, length};
use super::{Backend, Proxy, RawHttp};

/// One socket of it.
pub struct ServerWs {
    pub raw: RawHttp,
    /// The request's.
    pub head: String,
}

impl Backend {
    /// The next socket.
    pub async fn websocket(&self) -> ServerWs {
        self.websocket_with("").await
    }

    /// The next socket, with these lines in the head of its answer.
    pub async fn websocket_with(&self, fields: &str) -> ServerWs {
        let (head, mut raw) = self.request().await;
        let accept = accept(&head);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
        );
        raw.send(answer.as_bytes()).await;
        ServerWs { raw, head }
    }

    /// A steadfeed in front of it whose WebSockets are sessions.
    pub fn sessions(&self, options: &SessionOptions) -> Proxy {
        self.sessions_with("", "", options)
    }

    /// The same with these keys at the file's top and of the route.
    pub fn sessions_with(&self, top: &str, route: &str, options: &SessionOptions) -> Proxy {
        start(&front_config(top, &self.server(), "", route), options)
    }

    /// The same at `/api/*` alone, with these keys of the route.
    pub fn sessions_under_api(&self, route: &str, options: &SessionOptions) -> Proxy {
        start(&front_config("", &self.server(), "", route).replace("\"/*\"", "\"/api/*\""), options)
    }
}

fn start(toml: &str, options: &SessionOptions) -> Proxy {
    Proxy::start_edited(toml, |config| {
        for route in &mut config.routes {
            if let Action::Proxy { upstream } = &route.action {
                route.action = Action::Session { upstream: upstream.clone(), session: options.clone() };
            }
        }
    })
}

/// What proves to a client's head that it was understood (RFC 6455, 4.2.2).
pub fn accept(head: &str) -> String {
    derive_accept_key(field(head, "sec-websocket-key").expect("a key").as_bytes())
}

impl ServerWs {
    pub async fn say(&mut self, text: &str) {
        self.send(0x81, text.as_bytes()).await;
    }

    /// A frame whose first byte is `first`.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        self.raw.send(&[&head(first, payload.len())[..], payload].concat()).await;
    }

    pub async fn close(&mut self, code: u16, reason: &str) {
        self.send(0x88, &[&code.to_be_bytes()[..], reason.as_bytes()].concat()).await;
    }

    /// The next frame: its first byte, and its payload unmasked.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.raw.exactly(2).await;
        assert_ne!(head[1] & 0x80, 0, "a client masks");
        let length = length(&mut self.raw, head[1]).await;
        let key = self.raw.exactly(4).await;
        let payload = self.raw.exactly(length).await;
        (head[0], payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect())
    }

    /// The next text.
    pub async fn text(&mut self) -> String {
        let (first, payload) = self.frame().await;
        assert_eq!(first, 0x81, "{payload:?}");
        String::from_utf8(payload).expect("UTF-8")
    }

    /// The close that comes next: its code, 1005 for none, and its reason.
    pub async fn closed(&mut self) -> (u16, String) {
        let (first, payload) = self.frame().await;
        assert_eq!(first, 0x88, "{payload:?}");
        close_of(&payload)
    }

    /// Ends with a reset.
    pub fn reset(self) {
        self.raw.stream.set_zero_linger().expect("a reset on close");
    }
}
