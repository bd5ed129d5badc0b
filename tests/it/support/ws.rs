//! A WebSocket client by tungstenite, plain or over TLS, and one by hand for what a client must not do.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message, http};

use super::{DEADLINE, within};

pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

pub struct WsClient {
    socket: WebSocketStream<Box<dyn Io>>,
    pub response: http::Response<Option<Vec<u8>>>,
}

impl WsClient {
    /// Connects, and fails the test if it is refused.
    pub async fn connect(address: SocketAddr, path: &str) -> WsClient {
        WsClient::try_connect(address, path, &[]).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The refusal's status and problem.
    pub async fn refused(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        match WsClient::try_connect(address, path, headers).await {
            Ok(_) => panic!("{path} was not refused"),
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                (response.status().as_u16(), serde_json::from_slice(body).unwrap_or(Value::Null))
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub async fn try_connect(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<WsClient, Error> {
        let stream = TcpStream::connect(address).await?;
        WsClient::over(Box::new(stream), &format!("ws://{address}{path}"), headers).await
    }

    /// Over TLS, whatever the certificate.
    pub async fn connect_tls(address: SocketAddr, path: &str) -> WsClient {
        let stream = tls(address, &[]).await;
        let url = format!("ws://localhost:{}{path}", address.port());
        WsClient::over(Box::new(stream), &url, &[]).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Plain, from a socket that takes few bytes ahead of being read.
    pub async fn connect_small(address: SocketAddr, path: &str) -> WsClient {
        let stream = small_socket(address).await;
        let url = format!("ws://{address}{path}");
        WsClient::over(Box::new(stream), &url, &[]).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A stream on which the handshake was done by other means.
    pub async fn opened(stream: Box<dyn Io>) -> WsClient {
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        WsClient { socket, response: http::Response::new(None) }
    }

    pub async fn over(stream: Box<dyn Io>, url: &str, headers: &[(&str, &str)]) -> Result<WsClient, Error> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            let name = http::HeaderName::try_from(*name).expect("a header name");
            request.headers_mut().append(name, value.parse().expect("a header value"));
        }
        let (socket, response) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(WsClient { socket, response })
    }

    /// The next frame of any kind; `None` once the socket has ended.
    pub async fn frame(&mut self) -> Option<Result<Message, Error>> {
        within("a frame", self.socket.next()).await
    }

    /// The next text; pings are passed over.
    pub async fn text(&mut self) -> String {
        loop {
            match self.frame().await {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a text was expected, not {other:?}"),
            }
        }
    }

    /// The next message, as JSON.
    pub async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next message that is not one of steadfeed's own.
    pub async fn data(&mut self) -> Value {
        within("a message of the feed", async {
            loop {
                let message = self.json().await;
                if !matches!(message["type"].as_str(), Some("connected" | "keepalive")) {
                    return message;
                }
            }
        })
        .await
    }

    /// The `data` of the next messages that are not steadfeed's own.
    pub async fn values(&mut self, count: usize) -> Vec<Value> {
        let mut values = Vec::with_capacity(count);
        while values.len() < count {
            values.push(self.data().await["data"].take());
        }
        values
    }

    /// Fails the test if anything but greeting and keepalives has come, or comes before a pong.
    pub async fn nothing_more(&mut self) {
        self.send(r#"{"type":"ping"}"#).await;
        let next = self.data().await;
        assert_eq!(next["type"], "pong", "{next}");
    }

    /// Says a command; the next message but keepalives.
    pub async fn ask(&mut self, command: &str) -> Value {
        self.send(command).await;
        self.data().await
    }

    /// The next message that is not one of steadfeed's own; `None` for a close.
    pub async fn data_or_close(&mut self) -> Option<Value> {
        loop {
            match self.frame().await {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    if !matches!(message["type"].as_str(), Some("connected" | "keepalive")) {
                        return Some(message);
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.frame_out(Message::text(text)).await;
    }

    /// Begins the closing handshake.
    pub async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.frame_out(Message::Close(Some(frame))).await;
    }

    pub async fn frame_out(&mut self, message: Message) {
        within("the peer to take a frame", self.socket.send(message)).await.expect("the socket is open");
    }

    /// Waits until the socket has ended, however.
    pub async fn ended(&mut self) {
        while let Some(Ok(_)) = self.frame().await {}
    }

    /// The close that ends the socket; messages before it are passed over.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match self.frame().await {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("a close was expected, not {other:?}"),
            }
        }
    }
}

/// A connection whose peer can send no more than about 4 KiB ahead.
pub async fn small_socket(address: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    tokio::time::timeout(DEADLINE, socket.connect(address)).await.expect("in time").expect("the listener accepts")
}

/// A TLS connection, whatever the certificate, that offers these protocols.
pub async fn tls(address: SocketAddr, alpn: &[&str]) -> TlsStream<TcpStream> {
    tls_over(TcpStream::connect(address).await.expect("the listener accepts"), alpn).await
}

pub async fn tls_over(stream: TcpStream, alpn: &[&str]) -> TlsStream<TcpStream> {
    let config = steadfeed::cli::client::tls_client_config(steadfeed::cli::client::Trust::Anything).expect("TLS");
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
}
