//! An application behind steadfeed, by hand: literal bytes on its side too, or a recorder of all that reaches it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::config::PLAIN_H2;
use super::{Proxy, RawHttp, within};

/// One that a test speaks for.
pub struct Backend {
    listener: TcpListener,
    address: SocketAddr,
}

impl Backend {
    pub async fn bind() -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        Backend { listener, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection.
    pub async fn accept(&self) -> RawHttp {
        let (stream, _) = within("a connection to the backend", self.listener.accept()).await.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        RawHttp::over(stream)
    }

    /// The next connection's first request head, and the connection.
    pub async fn request(&self) -> (String, RawHttp) {
        let mut raw = self.accept().await;
        (raw.head().await, raw)
    }

    /// As the config writes it.
    pub fn server(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A steadfeed in front of it that forwards everything.
    pub fn front(&self) -> Proxy {
        self.front_with("", "")
    }

    /// The same with these keys of the upstream and the route.
    pub fn front_with(&self, upstream: &str, route: &str) -> Proxy {
        front("", &self.server(), upstream, route)
    }

    /// Takes what comes and keeps it; answers each request head with 200.
    pub fn record(self) -> Recorder {
        let (address, seen) = (self.address, Arc::new(Mutex::new(Vec::new())));
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = self.listener.accept().await {
                let seen = Arc::clone(&all);
                tokio::spawn(async move {
                    let mut buf = vec![0; 64 * 1024];
                    while let Ok(count @ 1..) = stream.read(&mut buf).await {
                        seen.lock().expect("no panic").extend_from_slice(&buf[..count]);
                        if buf[..count].ends_with(b"\r\n\r\n") {
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                        }
                    }
                });
            }
        });
        Recorder { address, seen }
    }
}

/// What reached a backend.
pub struct Recorder {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no panic")).into_owned()
    }
}

/// A steadfeed that forwards everything to `server`, with these keys at the file's top, of its upstream and of its route.
pub fn front(top: &str, server: &str, upstream: &str, route: &str) -> Proxy {
    Proxy::start(&front_config(top, server, upstream, route))
}

/// The config of one.
pub fn front_config(top: &str, server: &str, upstream: &str, route: &str) -> String {
    format!(
        "{top}\n{PLAIN_H2}[upstream.app]\nservers = [\"{server}\"]\n{upstream}\n\
         [[route]]\npath = \"/*\"\nproxy = \"app\"\n{route}\n"
    )
}
