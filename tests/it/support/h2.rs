//! An HTTP/2 client by the h2 crate: requests, and WebSockets by extended CONNECT (RFC 8441).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::ws::{Io, tls};
use super::{WsClient, within};

pub struct H2Client {
    requests: SendRequest<Bytes>,
    authority: String,
    /// The server's SETTINGS allow extended CONNECT.
    pub offers_websocket: bool,
    /// Completes when the connection has ended, with why.
    pub connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl H2Client {
    /// With prior knowledge, over plain TCP.
    pub async fn connect(address: SocketAddr) -> H2Client {
        let stream = TcpStream::connect(address).await.expect("the listener accepts");
        H2Client::over(Box::new(stream), address.to_string()).await
    }

    /// By ALPN, whatever the certificate.
    pub async fn connect_tls(address: SocketAddr) -> H2Client {
        let stream = tls(address, &["h2"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        H2Client::over(Box::new(stream), format!("localhost:{}", address.port())).await
    }

    pub async fn over(stream: Box<dyn Io>, authority: String) -> H2Client {
        // As browsers do: a stream that is not read leaves the others room.
        let (requests, mut connection) = h2::client::Builder::new()
            .initial_connection_window_size(4 << 20)
            .handshake::<_, Bytes>(stream)
            .await
            .expect("HTTP/2");
        // The server's SETTINGS are its first frame: whoever has its pong has them.
        let mut pings = connection.ping_pong().expect("the first to ask");
        let mut pong = Box::pin(pings.ping(h2::Ping::opaque()));
        within(
            "the server's SETTINGS",
            std::future::poll_fn(|cx| {
                assert!(Pin::new(&mut connection).poll(cx).is_pending(), "the connection ended");
                pong.as_mut().poll(cx)
            }),
        )
        .await
        .expect("a pong");
        drop(pong);
        let offers_websocket = requests.is_extended_connect_protocol_enabled();
        H2Client { requests, authority, offers_websocket, connection: tokio::spawn(connection) }
    }

    /// A whole response.
    pub async fn get(&self, path: &str) -> Response<Bytes> {
        self.whole(Request::get(self.uri(path))).await
    }

    /// The same for another host, over the same connection.
    pub async fn get_of(&self, host: &str, path: &str) -> Response<Bytes> {
        self.whole(Request::get(format!("https://{host}{path}"))).await
    }

    /// A request whose body is to be sent: the response to come, and the stream.
    pub async fn post_sized(&self, path: &str, size: usize) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = within("room for a stream", self.requests.clone().ready()).await.expect("open");
        let request = Request::post(self.uri(path)).header("content-length", size).body(()).expect("a request");
        requests.send_request(request, false).expect("sent")
    }

    pub async fn head(&self, path: &str) -> Response<Bytes> {
        self.whole(Request::head(self.uri(path))).await
    }

    async fn whole(&self, request: http::request::Builder) -> Response<Bytes> {
        let (parts, mut body) = self.open(request, true).await.0.into_parts();
        let mut whole = Vec::new();
        while let Some(some) = within("a body", body.data()).await {
            let some = some.expect("a whole body");
            body.flow_control().release_capacity(some.len()).expect("released");
            whole.extend_from_slice(&some);
        }
        Response::from_parts(parts, whole.into())
    }

    /// A response whose body is read as it comes.
    pub async fn stream(&self, path: &str, accept: &str) -> Response<RecvStream> {
        self.open(Request::get(self.uri(path)).header("accept", accept), true).await.0
    }

    /// A socket that tungstenite speaks on.
    pub async fn websocket(&self, path: &str) -> WsClient {
        let (response, send) = self.connect_websocket(path, &[]).await;
        assert_eq!(response.status(), 200);
        WsClient::opened(Box::new(Tunnel { send, recv: response.into_body(), unread: Bytes::new() })).await
    }

    /// The bare stream of an extended CONNECT, and its response.
    pub async fn connect_websocket(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Response<RecvStream>, SendStream<Bytes>) {
        let mut request = Request::connect(self.uri(path))
            .extension(Protocol::from("websocket"))
            .header("sec-websocket-version", "13");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.open(request, false).await
    }

    fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority)
    }

    async fn open(&self, request: http::request::Builder, end: bool) -> (Response<RecvStream>, SendStream<Bytes>) {
        let mut requests = within("room for a stream", self.requests.clone().ready()).await.expect("open");
        let (response, send): (ResponseFuture, _) =
            requests.send_request(request.body(()).expect("a request"), end).expect("sent");
        (within("a response head", response).await.expect("a response"), send)
    }
}

/// A stream's two directions as one.
struct Tunnel {
    send: SendStream<Bytes>,
    recv: RecvStream,
    unread: Bytes,
}

impl AsyncRead for Tunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tunnel = self.get_mut();
        while tunnel.unread.is_empty() {
            match ready!(tunnel.recv.poll_data(cx)) {
                Some(Ok(some)) => {
                    tunnel.recv.flow_control().release_capacity(some.len()).map_err(io::Error::other)?;
                    tunnel.unread = some;
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = tunnel.unread.len().min(buf.remaining());
        buf.put_slice(&tunnel.unread[..count]);
        tunnel.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tunnel = self.get_mut();
        tunnel.send.reserve_capacity(bytes.len());
        while tunnel.send.capacity() == 0 {
            match ready!(tunnel.send.poll_capacity(cx)) {
                Some(outcome) => drop(outcome.map_err(io::Error::other)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = bytes.len().min(tunnel.send.capacity());
        tunnel.send.send_data(Bytes::copy_from_slice(&bytes[..count]), false).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().send.send_data(Bytes::new(), true).map_err(io::Error::other))
    }
}
