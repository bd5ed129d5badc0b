//! An HTTP/2 client by the h2 crate: requests, and WebSockets by extended CONNECT (RFC 8441), spoken by a library or by hand.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::TcpStream;

use super::h2_stream::H2Stream;
use super::ws::{Io, tls};
use super::{RawHttp, RawWs, WsClient, within};

pub struct H2Client {
    requests: SendRequest<Bytes>,
    authority: String,
    /// The server's SETTINGS allow extended CONNECT.
    pub offers_websocket: bool,
    /// Completes when the connection has ended, with why.
    pub ending: tokio::task::JoinHandle<Result<(), h2::Error>>,
    pub pings: h2::PingPong,
}

impl H2Client {
    /// With prior knowledge, over plain TCP.
    pub async fn connect(address: SocketAddr) -> H2Client {
        let stream = TcpStream::connect(address).await.expect("the listener accepts");
        H2Client::over(stream, &address.to_string()).await
    }

    /// By ALPN, whatever the certificate.
    pub async fn connect_tls(address: SocketAddr) -> H2Client {
        let stream = tls(address, &["h2"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        H2Client::over(stream, &format!("localhost:{}", address.port())).await
    }

    /// The same, of which the first request goes out with the preface, before it is known what the server allows.
    pub async fn connect_at_once(address: SocketAddr) -> H2Client {
        let stream = TcpStream::connect(address).await.expect("the listener accepts");
        let (requests, connection, pings) = begin(stream).await;
        H2Client::new(requests, &address.to_string(), connection, pings)
    }

    /// On a connection that is for HTTP/2.
    pub async fn over(stream: impl Io, authority: &str) -> H2Client {
        let (requests, mut connection, mut pings) = begin(stream).await;
        // The server's SETTINGS are its first frame: whoever has its pong has them.
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
        H2Client::new(requests, authority, connection, pings)
    }

    fn new<S: Io>(
        requests: SendRequest<Bytes>,
        authority: &str,
        connection: Connection<S>,
        pings: h2::PingPong,
    ) -> H2Client {
        let offers_websocket = requests.is_extended_connect_protocol_enabled();
        H2Client {
            requests,
            authority: authority.to_owned(),
            offers_websocket,
            ending: tokio::spawn(connection),
            pings,
        }
    }

    /// A whole response.
    pub async fn get(&self, path: &str) -> Response<Bytes> {
        self.whole(Request::get(self.uri(path))).await
    }

    /// The status and the text of a response to a GET with these fields.
    pub async fn answer(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let response = self.whole(with(Request::get(self.uri(path)), fields)).await;
        (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned())
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
        WsClient::opened(Box::new(self.socket(path).await)).await
    }

    /// One that the test speaks on by hand; there is no head.
    pub async fn raw_websocket(&self, path: &str) -> RawWs<H2Stream> {
        RawWs { raw: RawHttp::over(self.socket(path).await), head: String::new() }
    }

    async fn socket(&self, path: &str) -> H2Stream {
        let (response, send) = self.connect_websocket(path, &[]).await;
        assert_eq!(response.status(), 200);
        H2Stream::new(send, response.into_body())
    }

    /// Asks for a WebSocket on a connection that may be about to end.
    pub async fn try_websocket(&self, path: &str) -> Result<Response<RecvStream>, h2::Error> {
        let request = self.connect_request(path).body(()).expect("a request");
        let (response, _send) = self.requests.clone().send_request(request, false)?;
        within("a response head", response).await
    }

    /// The bare stream of an extended CONNECT, and its response.
    pub async fn connect_websocket(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Response<RecvStream>, SendStream<Bytes>) {
        self.open(with(self.connect_request(path), headers), false).await
    }

    fn connect_request(&self, path: &str) -> http::request::Builder {
        Request::connect(self.uri(path)).extension(Protocol::from("websocket")).header("sec-websocket-version", "13")
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

fn with(request: http::request::Builder, fields: &[(&str, &str)]) -> http::request::Builder {
    fields.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

async fn begin<S: Io>(stream: S) -> (SendRequest<Bytes>, Connection<S>, h2::PingPong) {
    // As browsers do: a stream that is not read leaves the others room.
    let mut builder = h2::client::Builder::new();
    let (requests, mut connection) =
        builder.initial_connection_window_size(4 << 20).handshake(stream).await.expect("HTTP/2");
    let pings = connection.ping_pong().expect("the first to ask");
    (requests, connection, pings)
}
