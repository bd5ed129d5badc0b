//! Viewers: thousands of WebSockets that hand on each message they get, and tell of their end.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::Outcome;
use super::frames::{CLOSE, PING, PONG, TEXT, frame, receive, send, take};
use super::support::handshake::{head_end, upgrade};
use super::support::wait::wait_for;

/// Sockets that are being opened at once.
const OPENING: usize = 64;

/// What takes a message: who got it, and its text.
pub type Reader = Rc<dyn Fn(usize, &[u8])>;

/// How a crowd of viewers fares.
#[derive(Debug, Default)]
pub struct Crowd {
    seated: Cell<usize>,
    closed: Cell<u64>,
    /// Why the first of those that ended did.
    reason: RefCell<Option<String>>,
}

impl Crowd {
    /// Opens `count` of them; they read until the local set is dropped.
    pub async fn seat(address: SocketAddr, path: &'static str, count: usize, reader: &Reader) -> Outcome<Rc<Crowd>> {
        let crowd = Rc::new(Crowd::default());
        let opening = Rc::new(Semaphore::new(OPENING));
        for number in 0..count {
            let (crowd, opening, reader) = (Rc::clone(&crowd), Rc::clone(&opening), Rc::clone(reader));
            tokio::task::spawn_local(async move {
                let end = crowd.view(address, path, &opening, number, &reader).await;
                crowd.closed.set(crowd.closed.get() + 1);
                let reason = end.err().map_or("it just ended".to_owned(), |error| error.to_string());
                crowd.reason.borrow_mut().get_or_insert(reason);
            });
        }
        let seated = Rc::clone(&crowd);
        wait_for("all to be seated", || seated.seated.get() == count || seated.closed.get() > 0).await?;
        match crowd.first_end() {
            Some(reason) => Err(format!("a viewer could not stay: {reason}").into()),
            None => Ok(crowd),
        }
    }

    /// How many are no longer there.
    pub fn closed(&self) -> u64 {
        self.closed.get()
    }

    pub fn first_end(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    async fn view(
        &self,
        address: SocketAddr,
        path: &str,
        opening: &Semaphore,
        number: usize,
        reader: &Reader,
    ) -> Outcome<()> {
        let permit = opening.acquire().await?;
        let (stream, mut buffer) = open(address, path).await?;
        drop(permit);
        self.seated.set(self.seated.get() + 1);
        loop {
            while let Some((opcode, payload)) = take(&mut buffer)? {
                match opcode {
                    TEXT => reader(number, &payload),
                    PING => send(&stream, &frame(PONG, &payload, Some([0; 4]))).await?,
                    CLOSE => return Err(format!("closed: {payload:?}").into()),
                    _ => {}
                }
            }
            if buffer.is_empty() {
                buffer = BytesMut::new();
            }
            if receive(&stream, &mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// A WebSocket that is open, and what came with its head.
pub async fn open(address: SocketAddr, path: &str) -> Outcome<(TcpStream, BytesMut)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    send(&stream, upgrade(path, "").as_bytes()).await?;
    let mut buffer = BytesMut::new();
    let end = loop {
        if receive(&stream, &mut buffer).await? == 0 {
            return Err("ended in the middle of a handshake".into());
        }
        if let Some(end) = head_end(&buffer) {
            break end;
        }
    };
    let head = buffer.split_to(end);
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(format!("not a 101: {}", String::from_utf8_lossy(&head)).into());
    }
    Ok((stream, buffer))
}
