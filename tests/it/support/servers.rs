//! An application behind steadfeed that is not at a plain address: at a unix socket, behind TLS, or over HTTP/2.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::backend::front;
use super::ws::Io;
use super::{Proxy, RawHttp, tls, within};

/// One that a test speaks for.
pub struct Server {
    listener: Listener,
    /// Its socket, or the authority that vouches for it.
    pub folder: TempDir,
}

enum Listener {
    Unix(UnixListener),
    Plain(TcpListener),
    Tls(TcpListener, TlsAcceptor),
}

/// A connection of HTTP/2, spoken for request by request; cut on drop.
pub struct Multiplexed {
    asked: mpsc::UnboundedReceiver<Asked>,
    task: JoinHandle<()>,
}

pub type Asked = (Request<RecvStream>, SendResponse<Bytes>);

impl Server {
    pub fn unix() -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("app.sock")).expect("a socket");
        Server { listener: Listener::Unix(listener), folder }
    }

    /// HTTP/2 with prior knowledge.
    pub async fn h2c() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Server { listener: Listener::Plain(listener), folder: tempfile::tempdir().expect("a folder") }
    }

    /// With a certificate for `localhost` of an authority of its own; speaks these protocols.
    pub async fn tls(alpn: &[&str]) -> Server {
        Server::tls_named("localhost", alpn).await
    }

    /// With one for another name, though `localhost` is where it is.
    pub async fn tls_named(name: &str, alpn: &[&str]) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = tls::make(folder.path(), name);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).expect("certificates").collect();
        let mut config = ServerConfig::builder_with_provider(steadfeed::net::tls::provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain.expect("certificates"), PrivateKeyDer::from_pem_file(key).expect("a key"))
            .expect("a pair");
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Server { listener: Listener::Tls(listener, TlsAcceptor::from(Arc::new(config))), folder }
    }

    /// As the config writes it.
    pub fn url(&self) -> String {
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        match &self.listener {
            Listener::Unix(_) => format!("unix:{}/app.sock", self.folder.path().display()),
            Listener::Plain(listener) => format!("h2c://127.0.0.1:{}", port(listener)),
            Listener::Tls(listener, _) => format!("https://localhost:{}", port(listener)),
        }
    }

    /// The key of an upstream that believes it, where there is something to believe.
    pub fn ca(&self) -> String {
        match &self.listener {
            Listener::Unix(_) | Listener::Plain(_) => String::new(),
            Listener::Tls(..) => format!("ca = \"{}/ca.pem\"", self.folder.path().display()),
        }
    }

    /// A steadfeed in front of it that forwards everything.
    pub fn front(&self) -> Proxy {
        front("", &self.url(), &self.ca(), "")
    }

    /// Is there no more; connections that it has stay.
    pub fn gone(self) -> TempDir {
        let _ = fs::remove_file(self.folder.path().join("app.sock"));
        self.folder
    }

    async fn stream(&self) -> std::io::Result<Box<dyn Io>> {
        Ok(match &self.listener {
            Listener::Unix(listener) => Box::new(listener.accept().await?.0),
            Listener::Plain(listener) => Box::new(listener.accept().await?.0),
            Listener::Tls(listener, acceptor) => Box::new(acceptor.accept(listener.accept().await?.0).await?),
        })
    }

    /// The next connection; one whose handshake fails is passed over.
    async fn accept(&self) -> Box<dyn Io> {
        within("a connection to the server", async {
            loop {
                if let Ok(stream) = self.stream().await {
                    return stream;
                }
            }
        })
        .await
    }

    /// Waits until a handshake has failed.
    pub async fn refused(&self) {
        let refused = within("a handshake to fail", self.stream()).await;
        assert!(refused.is_err(), "it was believed");
    }

    /// The next connection's first request head, and the connection.
    pub async fn request(&self) -> (String, RawHttp<Box<dyn Io>>) {
        let mut raw = RawHttp::over(self.accept().await);
        (raw.head().await, raw)
    }

    /// The next connection, over HTTP/2.
    pub async fn multiplexed(&self) -> Multiplexed {
        let stream = self.accept().await;
        let (tell, asked) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok(some)) = connection.accept().await {
                if tell.send(some).is_err() {
                    return;
                }
            }
        });
        Multiplexed { asked, task }
    }
}

impl Multiplexed {
    pub async fn asked(&mut self) -> Asked {
        within("a request", self.asked.recv()).await.expect("the connection is open")
    }
}

impl Drop for Multiplexed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The whole body, and its trailers.
pub async fn whole(body: &mut RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    within("a body", async {
        let mut whole = Vec::new();
        while let Some(some) = body.data().await {
            let some = some.expect("data");
            body.flow_control().release_capacity(some.len()).expect("released");
            whole.extend_from_slice(&some);
        }
        (whole, body.trailers().await.expect("an end"))
    })
    .await
}

/// Answers with a body and a trailer, declared: over HTTP/1.1, a client gets no other.
pub fn answer(to: &mut SendResponse<Bytes>, body: &'static str, trailer: (&'static str, &'static str)) {
    let head = Response::builder().header("trailer", trailer.0).body(()).expect("a head");
    let mut stream = to.send_response(head, false).expect("sent");
    stream.send_data(Bytes::from_static(body.as_bytes()), false).expect("sent");
    let trailers = [(HeaderName::from_static(trailer.0), HeaderValue::from_static(trailer.1))];
    stream.send_trailers(HeaderMap::from_iter(trailers)).expect("sent");
}

/// Answers with this head alone.
pub fn head_only(to: &mut SendResponse<Bytes>, status: u16, field: (&'static str, &'static str)) {
    let head = Response::builder().status(status).header(field.0, field.1).body(()).expect("a head");
    to.send_response(head, true).expect("sent");
}
