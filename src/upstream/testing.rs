//! What tests of upstreams share: servers that do as they are told, and requests to them.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::{Balance, Failure, Options, Scheme, Sent, Server, Shared, Upstream, Upstreams};
use crate::message::Body;
use crate::net::tls::testing as tls;
use crate::shutdown::{Stages, Tasks};
use crate::telemetry::Metrics;
pub(super) use crate::testing::{head, run};

pub(super) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Waits for `done` without a clock: other tasks run in between.
pub(super) async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

pub(super) fn tasks() -> Tasks {
    Tasks::new(Stages::default())
}

pub(super) fn options(servers: &[Server]) -> Options {
    let minute = Duration::from_secs(60);
    Options {
        name: "app".to_owned(),
        servers: servers.to_vec(),
        resolve: minute,
        balance: Balance::RoundRobin,
        health: None,
        authorities: None,
        connect_timeout: minute,
        response_timeout: minute,
        idle_timeout: minute,
    }
}

pub(super) fn upstream(options: &Options) -> Rc<Upstream> {
    Rc::clone(Upstreams::new(Shared::new([options], &Metrics::new()).unwrap(), tasks()).get("app").unwrap())
}

/// Trusts these certificates and no other.
pub(super) fn trusting(options: &Options, trusted: &Path) -> Rc<Upstream> {
    let shared = Shared::with_roots([options], &Metrics::new(), Some(roots(trusted))).unwrap();
    Rc::clone(Upstreams::new(shared, tasks()).get("app").unwrap())
}

pub(super) fn roots(trusted: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    roots
}

pub(super) fn request(method: Method, body: Body) -> Request<Body> {
    Request::builder().method(method).uri("/path?query").header("host", "app.test").body(body).unwrap()
}

pub(super) fn get() -> Request<Body> {
    request(Method::GET, Body::Empty)
}

pub(super) fn post() -> Request<Body> {
    request(Method::POST, Body::from(Bytes::from_static(b"body")))
}

/// The body of the answer, read to its end.
pub(super) async fn text(sent: Sent) -> String {
    let Sent { response, permit, .. } = sent;
    let whole = response.into_body().collect().await.unwrap().to_bytes();
    drop(permit);
    String::from_utf8(whole.to_vec()).unwrap()
}

pub(super) async fn ask(upstream: &Upstream, request: Request<Body>) -> Result<String, Failure> {
    Ok(text(upstream.send(CLIENT, request).await?).await)
}

/// A server whose every connection is handed to the test.
pub(super) struct Manual {
    listener: TcpListener,
}

impl Manual {
    pub(super) async fn start() -> Manual {
        Manual { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(super) fn server(&self, scheme: Scheme) -> Server {
        Server::Tcp { scheme, host: "127.0.0.1".to_owned(), port: self.port() }
    }

    pub(super) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub(super) async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    /// Accepts, and reads a request's head.
    pub(super) async fn asked(&self) -> (TcpStream, String) {
        let mut stream = self.accept().await;
        let head = head(&mut stream).await.expect("a request");
        (stream, head)
    }
}

/// An address nobody listens at.
pub(super) async fn nobody() -> Server {
    Manual::start().await.server(Scheme::Http)
}

pub(super) async fn answer(stream: &mut (impl AsyncWrite + Unpin), body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(head.as_bytes()).await;
}

/// A server that answers every request over HTTP/1.1 with its name.
#[derive(Debug, Clone)]
pub(super) struct Answering {
    pub(super) server: Server,
    pub(super) seen: Rc<Seen>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) connections: Cell<usize>,
    pub(super) heads: RefCell<Vec<String>>,
    /// What it answers instead of 200.
    pub(super) status: Cell<Option<u16>>,
}

impl Answering {
    pub(super) async fn start(name: &str) -> Answering {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server::Tcp { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port };
        let (seen, name, own) = (Rc::<Seen>::default(), name.to_owned(), tasks());
        let kept = Rc::clone(&seen);
        tasks().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.spawn(serve(stream, name.clone(), Rc::clone(&seen)));
            }
        });
        Answering { server, seen: kept }
    }

    pub(super) fn unix(path: &Path, name: &str) -> Answering {
        let listener = UnixListener::bind(path).unwrap();
        let (seen, name, own) = (Rc::<Seen>::default(), name.to_owned(), tasks());
        let kept = Rc::clone(&seen);
        tasks().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.spawn(serve(stream, name.clone(), Rc::clone(&seen)));
            }
        });
        Answering { server: Server::Unix(path.to_owned()), seen: kept }
    }
}

impl Seen {
    pub(super) fn requests(&self) -> usize {
        self.heads.borrow().len()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, name: String, seen: Rc<Seen>) {
    seen.connections.set(seen.connections.get() + 1);
    while let Some(head) = head(&mut stream).await {
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        let _ = stream.read_exact(&mut body).await;
        seen.heads.borrow_mut().push(head);
        match seen.status.get() {
            None => answer(&mut stream, &name).await,
            Some(status) => {
                let head = format!("HTTP/1.1 {status} As told\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
            }
        }
    }
}

/// An HTTP/2 server: each request is answered once the test lets it, with its `:authority`, or `:scheme` over TLS.
pub(super) struct Multiplexing {
    pub(super) port: u16,
    pub(super) connections: Rc<Cell<usize>>,
    /// Requests as they come; answered when the sender is used.
    pub(super) asked: mpsc::UnboundedReceiver<h2::server::SendResponse<Bytes>>,
}

impl Multiplexing {
    pub(super) async fn start(most: Option<u32>, tls: Option<Arc<ServerConfig>>) -> Multiplexing {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, asked) = mpsc::unbounded_channel();
        let (connections, own) = (Rc::<Cell<usize>>::default(), tasks());
        let counted = Rc::clone(&connections);
        tasks().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.set(counted.get() + 1);
                let (tls, tell) = (tls.clone(), tell.clone());
                own.spawn(async move {
                    match tls {
                        None => multiplex(stream, most, tell).await,
                        Some(config) => {
                            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                            multiplex(stream, most, tell).await;
                        }
                    }
                });
            }
        });
        Multiplexing { port, connections, asked }
    }

    pub(super) fn server(&self, scheme: Scheme, host: &str) -> Server {
        Server::Tcp { scheme, host: host.to_owned(), port: self.port }
    }
}

async fn multiplex(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    most: Option<u32>,
    tell: mpsc::UnboundedSender<h2::server::SendResponse<Bytes>>,
) {
    let mut builder = h2::server::Builder::new();
    if let Some(most) = most {
        builder.max_concurrent_streams(most);
    }
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        assert!(request.uri().authority().is_some_and(|authority| authority == "app.test"), "{request:?}");
        assert!(!request.headers().contains_key("host"), "{request:?}");
        let _ = tell.send(respond);
    }
}

/// Answers a request over HTTP/2.
pub(super) fn respond(mut to: h2::server::SendResponse<Bytes>, body: &'static str) {
    let mut stream = to.send_response(http::Response::new(()), false).unwrap();
    stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
}

/// A certificate for `localhost` in `folder`, and a listener's TLS with it.
pub(super) fn certificate(folder: &Path) -> (std::path::PathBuf, Arc<ServerConfig>) {
    let pair = tls::write_pair(folder, "site", &["localhost"]);
    let config = tls::load(std::slice::from_ref(&pair)).server_config();
    (pair.cert, config)
}
