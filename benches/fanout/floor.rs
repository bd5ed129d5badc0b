//! The floor: a bare loop of one `send` a viewer, or of one rustls write and `send`. No event loop, no protocol but a
//! handshake's answer. It writes [`ROUNDS`](super::load) messages a second to whoever has connected, until killed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConnection;
use steadfeed::net::tls::{Identity, MinVersion, Options, Shared, Tls};

use super::server::{INTERVAL, message};

enum Viewer {
    Plain(TcpStream),
    Tls(TcpStream, Box<ServerConnection>),
}

/// Takes `count` viewers in, says so, then sends to each in turn.
pub fn serve(kind: &str, count: &str) {
    let count: usize = count.parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let tls = (kind == "tls").then(config);
    let mut viewers: Vec<Viewer> = (0..count).map(|_| accept(&listener, tls.as_ref())).collect();
    println!("seated");
    let start = Instant::now();
    for number in 1u32.. {
        let frame = steadfeed::ws::frame::text(&message(u64::from(number)));
        for viewer in &mut viewers {
            viewer.send(&frame);
        }
        std::thread::sleep((start + INTERVAL * number).saturating_duration_since(Instant::now()));
    }
}

fn config() -> Arc<rustls::ServerConfig> {
    let folder = std::env::temp_dir().join(format!("steadfeed-floor-{}", std::process::id()));
    let identity = Identity::SelfSigned { names: vec!["localhost".to_owned()], folder: folder.clone() };
    let options = Options { identity, min_version: MinVersion::Tls12, clients: None };
    let tls = Tls::load(&options, &Shared::new().unwrap()).unwrap();
    let _ = std::fs::remove_dir_all(folder);
    tls.server_config()
}

fn accept(listener: &TcpListener, tls: Option<&Arc<rustls::ServerConfig>>) -> Viewer {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut head = [0; 2048];
    let viewer = match tls {
        None => {
            let _ = stream.read(&mut head).unwrap();
            stream.write_all(ANSWER).unwrap();
            Viewer::Plain(stream)
        }
        Some(config) => {
            let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
            let mut both = rustls::Stream::new(&mut tls, &mut stream);
            let _ = both.read(&mut head).unwrap();
            both.write_all(ANSWER).unwrap();
            both.flush().unwrap();
            Viewer::Tls(stream, Box::new(tls))
        }
    };
    viewer.stream().set_nonblocking(true).unwrap();
    viewer
}

const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

impl Viewer {
    fn stream(&self) -> &TcpStream {
        match self {
            Viewer::Plain(stream) | Viewer::Tls(stream, _) => stream,
        }
    }

    fn send(&mut self, frame: &[u8]) {
        match self {
            Viewer::Plain(stream) => assert_eq!(stream.write(frame).unwrap(), frame.len(), "the load keeps up"),
            Viewer::Tls(stream, tls) => {
                tls.writer().write_all(frame).unwrap();
                while tls.wants_write() {
                    tls.write_tls(stream).unwrap();
                }
            }
        }
    }
}
