//! Scripted backends: one within the load, which says what it is told to or echoes; one in a process of its own, which says
//! something at once and then every two seconds, and can be killed.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::Outcome;
use super::frames::{CLOSE, PING, PONG, TEXT, frame, receive, send, take};
use super::support::handshake::{accept, field, head_end};

/// Between two messages of the backend that is a process.
const EVERY: Duration = Duration::from_secs(2);
/// Bytes of its messages, what a dashboard's have.
const SIZE: usize = 400;

/// What a backend's sockets share.
#[derive(Debug, Default)]
pub struct Backend {
    /// Sockets there ever were.
    pub opened: Cell<u64>,
    open: RefCell<Vec<Rc<TcpStream>>>,
    /// Sends each message back.
    echoes: bool,
    /// Says something of this start by itself.
    boot: Option<String>,
}

impl Backend {
    /// Serves until the local set is dropped.
    pub async fn start(echoes: bool) -> Outcome<(Rc<Backend>, SocketAddr)> {
        let backend = Rc::new(Backend { echoes, ..Backend::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::task::spawn_local(Rc::clone(&backend).accept(listener));
        Ok((backend, address))
    }

    /// Says this to each socket.
    pub async fn say(&self, text: &str) -> Outcome<()> {
        let frame = frame(TEXT, text.as_bytes(), None);
        let open = self.open.borrow().clone();
        for socket in open {
            send(&socket, &frame).await?;
        }
        Ok(())
    }

    async fn accept(self: Rc<Backend>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let backend = Rc::clone(&self);
            tokio::task::spawn_local(async move {
                // A proxy ends its connections as it likes.
                let _ = backend.connection(stream).await;
            });
        }
    }

    async fn connection(&self, stream: TcpStream) -> Outcome<()> {
        stream.set_nodelay(true)?;
        let mut buffer = BytesMut::new();
        let end = loop {
            if receive(&stream, &mut buffer).await? == 0 {
                return Ok(());
            }
            if let Some(end) = head_end(&buffer) {
                break end;
            }
        };
        let head = buffer.split_to(end);
        let Some(key) = field(&head, "sec-websocket-key") else {
            // How many sockets there ever were.
            let count = self.opened.get().to_string();
            let length = count.len();
            let reply = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{count}");
            return send(&stream, reply.as_bytes()).await;
        };
        send(&stream, accept(key).as_bytes()).await?;
        self.opened.set(self.opened.get() + 1);
        let stream = Rc::new(stream);
        self.open.borrow_mut().push(Rc::clone(&stream));
        if let Some(boot) = &self.boot {
            tokio::task::spawn_local(speak(Rc::clone(&stream), boot.clone()));
        }
        let outcome = self.listen(&stream, buffer).await;
        self.open.borrow_mut().retain(|one| !Rc::ptr_eq(one, &stream));
        outcome
    }

    async fn listen(&self, stream: &TcpStream, mut buffer: BytesMut) -> Outcome<()> {
        loop {
            while let Some((opcode, payload)) = take(&mut buffer)? {
                match opcode {
                    PING => send(stream, &frame(PONG, &payload, None)).await?,
                    CLOSE => return send(stream, &frame(CLOSE, &payload, None)).await,
                    TEXT if self.echoes => send(stream, &frame(TEXT, &payload, None)).await?,
                    _ => {}
                }
            }
            if buffer.is_empty() {
                // An idle socket holds none.
                buffer = BytesMut::new();
            }
            if receive(stream, &mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// The process: listens on this port, says so, and serves until it is killed.
pub fn serve(port: &str, boot: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        println!("listening");
        let backend = Rc::new(Backend { boot: Some(boot.to_owned()), ..Backend::default() });
        backend.accept(listener).await;
        Ok(())
    })
}

/// Until nobody listens.
async fn speak(stream: Rc<TcpStream>, boot: String) {
    let mut ticks = tokio::time::interval(EVERY);
    for number in 1u64.. {
        ticks.tick().await;
        let head = format!("{{\"type\":\"system_stats\",\"data\":{{\"boot\":{boot},\"number\":{number},\"fill\":\"");
        let text = format!("{head}{}\"}}}}", "x".repeat(SIZE.saturating_sub(head.len())));
        if send(&stream, &frame(TEXT, text.as_bytes(), None)).await.is_err() {
            return;
        }
    }
}
