//! A client of HTTP/2 over a plain connection, with WebSockets by extended CONNECT (RFC 8441).

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::raw_ws::CLOSE;
use super::within;

pub struct Client {
    requests: SendRequest<Bytes>,
    authority: String,
    /// How the connection ends.
    pub ending: tokio::task::JoinHandle<Result<(), h2::Error>>,
    pub pings: Option<h2::PingPong>,
}

pub struct Socket {
    sending: SendStream<Bytes>,
    receiving: RecvStream,
    seen: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.expect("the listener accepts");
        Client::over(stream, &address.to_string()).await
    }

    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, authority: &str) -> Client {
        let (requests, mut connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let pings = connection.ping_pong();
        let ending = tokio::spawn(connection);
        let requests = within("HTTP/2", requests.ready()).await.expect("HTTP/2");
        Client { requests, authority: authority.to_owned(), ending, pings }
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.authority))
    }

    fn send(&self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        self.requests.clone().send_request(request, ends).expect("the connection is open")
    }

    /// A response's status and body.
    pub async fn get(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let request =
            fields.iter().fold(self.request(Method::GET, path), |request, (name, value)| request.header(*name, *value));
        let (response, _) = self.send(request.body(()).expect("a request"), true);
        let response = within("a response", response).await.expect("a response");
        let (status, mut body) = (response.status().as_u16(), response.into_body());
        let mut text = Vec::new();
        while let Some(piece) = within("a body", body.data()).await {
            text.extend(piece.expect("a body"));
        }
        (status, String::from_utf8_lossy(&text).into_owned())
    }

    /// A response whose body is not read.
    pub async fn unread(&self, path: &str, fields: &[(&str, &str)]) -> RecvStream {
        let get = self.request(Method::GET, path);
        let request = fields.iter().fold(get, |request, (name, value)| request.header(*name, *value));
        let (response, _) = self.send(request.body(()).expect("a request"), true);
        within("a response", response).await.expect("a response").into_body()
    }

    /// Opens a WebSocket, once the server has said that it knows how.
    pub async fn websocket(&self, path: &str) -> Socket {
        super::until("the extended CONNECT setting", || async {
            self.requests.is_extended_connect_protocol_enabled().then_some(())
        })
        .await;
        let (response, sending) = self.send(self.connect_request(path), false);
        let response = within("a response", response).await.expect("a response");
        assert_eq!(response.status(), 200);
        Socket { sending, receiving: response.into_body(), seen: Vec::new() }
    }

    /// Asks for a WebSocket on a connection that may be about to end.
    pub async fn try_websocket(&self, path: &str) -> Result<http::Response<RecvStream>, h2::Error> {
        let (response, _sending) = self.requests.clone().send_request(self.connect_request(path), false)?;
        within("a response", response).await
    }

    fn connect_request(&self, path: &str) -> Request<()> {
        let connect = self.request(Method::CONNECT, path).extension(Protocol::from_static("websocket"));
        connect.header("sec-websocket-version", "13").body(()).expect("a request")
    }
}

impl Socket {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.sending.send_data(Bytes::copy_from_slice(bytes), false).expect("the stream is open");
    }

    /// Answers a close, and says no more.
    pub async fn close(&mut self) {
        let close = super::raw_ws::masked(0x80 | CLOSE, &1012u16.to_be_bytes());
        self.sending.send_data(Bytes::from(close), true).expect("the stream is open");
    }

    /// The next frame: its first byte and its payload.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        self.fill(2).await;
        let (first, size) = (self.seen[0], usize::from(self.seen[1]));
        let skip = if size == 126 { 4 } else { 2 };
        self.fill(skip).await;
        let size = if size == 126 { usize::from(u16::from_be_bytes([self.seen[2], self.seen[3]])) } else { size };
        self.fill(skip + size).await;
        let rest = self.seen.split_off(skip + size);
        let frame = std::mem::replace(&mut self.seen, rest);
        (first, frame[skip..].to_vec())
    }

    /// The code of the close that comes; other frames are passed over.
    pub async fn closed(&mut self) -> u16 {
        loop {
            let (first, payload) = self.frame().await;
            if first == 0x80 | CLOSE {
                return payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
            }
        }
    }

    async fn fill(&mut self, count: usize) {
        while self.seen.len() < count {
            let piece = within("data", self.receiving.data()).await.expect("the stream is open").expect("data");
            let _ = self.receiving.flow_control().release_capacity(piece.len());
            self.seen.extend(piece);
        }
    }
}
