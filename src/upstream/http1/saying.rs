//! A request on its way out: its head, then its body, framed as the head says.
//!
//! Owns: whose turn it is while it goes out, which the response timeout needs: a slow client is no slow server. A body whose
//! client waits to be told to go on (`Expect: 100-continue`; RFC 9110, section 10.1.1) is not asked for until the server
//! wants it, or says nothing of it for a while. Never: copies a body's bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::failure::Broken;
use super::head::{self, Framing};
use crate::limits;
use crate::message::{Body, hop};
use crate::upstream::failure::BodyError;
use crate::upstream::io::Io;

/// What is still to be said.
#[derive(Debug)]
pub(super) struct Saying {
    /// Bytes of our own before the piece.
    before: Vec<u8>,
    /// How many of those are out.
    out: usize,
    piece: Bytes,
    /// Behind the piece.
    behind: &'static [u8],
    framing: Framing,
    state: State,
    /// Anything was written.
    begun: bool,
    /// Since when the server is waited for; `None` while the client is.
    servers_turn: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The head is to be answered before the body is asked for.
    Waiting,
    /// There may be more of the body.
    Body,
    /// What is there is the last.
    Last,
    Done,
    /// The server takes no more. It may have answered all the same.
    Failed,
}

/// Why it cannot be said to its end.
#[derive(Debug)]
pub(super) enum Unsaid {
    /// The client's own body failed.
    Body(BodyError),
    Broken(Broken),
}

impl Saying {
    pub(super) fn new(request: &Request<Body>, now: Instant) -> Saying {
        let length = request.body().size_hint().exact().or_else(|| head::said_length(request.headers()));
        let framing = head::framing(request.method(), length);
        let state = match framing {
            Framing::Nothing | Framing::Length(0) => State::Last,
            Framing::Length(_) | Framing::Chunked if hop::waits_to_continue(request.headers()) => State::Waiting,
            Framing::Length(_) | Framing::Chunked => State::Body,
        };
        let before = head::request(request, framing);
        let (piece, behind, servers_turn) = (Bytes::new(), b"".as_slice(), Some(now));
        Saying { before, out: 0, piece, behind, framing, state, begun: false, servers_turn }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// All of it is out.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// There is nothing more to do.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }

    pub(super) fn servers_turn(&self) -> Option<Instant> {
        self.servers_turn
    }

    /// Until when the server may keep the body waiting, if it does.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        let since = self.servers_turn.filter(|_| self.state == State::Waiting)?;
        Some(since + limits::CONTINUE_WAIT)
    }

    /// The body is wanted: 100 was said, or nothing for long enough.
    pub(super) fn go_on(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Body;
        }
    }

    /// The answer has come; whether the server got all that it wanted of the request, and will get no more: its client was
    /// not told to go on, and need not be.
    pub(super) fn is_withheld(&mut self, answer: StatusCode) -> bool {
        if answer == StatusCode::SWITCHING_PROTOCOLS {
            self.go_on();
        }
        let withheld = self.state == State::Waiting;
        if withheld {
            self.state = State::Failed;
        }
        withheld
    }

    /// Says what can be said; completes when all is out, or when the server takes no more.
    ///
    /// # Errors
    /// If the body fails. That the server takes no more is no error until it has not answered either.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, io: &mut Io, body: &mut Body) -> Poll<Result<(), Unsaid>> {
        loop {
            match self.state {
                State::Done | State::Failed => return Poll::Ready(Ok(())),
                State::Waiting | State::Body | State::Last => {}
            }
            if self.left() > 0 {
                match ready!(self.poll_write(cx, io)) {
                    Ok(()) => {}
                    Err(_) => self.state = State::Failed,
                }
            } else if self.state == State::Waiting {
                match ready!(Pin::new(&mut *io).poll_flush(cx)) {
                    Ok(()) => return Poll::Pending,
                    Err(_) => self.state = State::Failed,
                }
            } else if self.state == State::Last {
                // TLS keeps what the socket did not take.
                match ready!(Pin::new(&mut *io).poll_flush(cx)) {
                    Ok(()) => self.state = State::Done,
                    Err(_) => self.state = State::Failed,
                }
            } else {
                let polled = Pin::new(&mut *body).poll_frame(cx);
                self.servers_turn = polled.is_ready().then(Instant::now);
                if polled.is_pending() {
                    // Nothing more comes for now: what is there must not wait for it.
                    let _ = Pin::new(&mut *io).poll_flush(cx);
                }
                match ready!(polled) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.add(data)?,
                        Err(frame) => self.end(frame.into_trailers().ok())?,
                    },
                    Some(Err(error)) => return Poll::Ready(Err(Unsaid::Body(error))),
                    None => self.end(None)?,
                }
            }
        }
    }

    fn left(&self) -> usize {
        self.before.len() - self.out + self.piece.len() + self.behind.len()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, io: &mut Io) -> Poll<io::Result<()>> {
        let before = self.before.get(self.out..).unwrap_or_default();
        let count = if self.piece.is_empty() && self.behind.is_empty() {
            ready!(Pin::new(io).poll_write(cx, before))?
        } else {
            let parts = [IoSlice::new(before), IoSlice::new(&self.piece), IoSlice::new(self.behind)];
            let first = usize::from(before.is_empty());
            ready!(Pin::new(io).poll_write_vectored(cx, parts.get(first..).unwrap_or_default()))?
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.begun = true;
        self.pass(count);
        Poll::Ready(Ok(()))
    }

    fn pass(&mut self, count: usize) {
        let of_before = count.min(self.before.len() - self.out);
        self.out += of_before;
        let of_piece = (count - of_before).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_behind = (count - of_before - of_piece).min(self.behind.len());
        self.behind = self.behind.get(of_behind..).unwrap_or_default();
        if self.out == self.before.len() {
            self.before = Vec::new();
            self.out = 0;
        }
    }

    /// Another piece of the body.
    fn add(&mut self, data: Bytes) -> Result<(), Unsaid> {
        match &mut self.framing {
            Framing::Length(left) => {
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or(Unsaid::Broken(Broken::Length))?;
                if *left == 0 {
                    self.state = State::Last;
                }
            }
            // An empty chunk would be the last.
            Framing::Chunked if data.is_empty() => {}
            Framing::Chunked => {
                self.before = format!("{:x}\r\n", data.len()).into_bytes();
                self.behind = b"\r\n";
            }
            Framing::Nothing if data.is_empty() => {}
            Framing::Nothing => return Err(Unsaid::Broken(Broken::Length)),
        }
        self.piece = data;
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Unsaid> {
        match self.framing {
            // Trailers have no place behind a body of a known length.
            Framing::Length(0) | Framing::Nothing => {}
            Framing::Length(_) => return Err(Unsaid::Broken(Broken::Length)),
            Framing::Chunked => {
                self.before = b"0\r\n".to_vec();
                for (name, value) in &trailers.unwrap_or_default() {
                    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                        self.before.extend_from_slice(part);
                    }
                }
                self.before.extend_from_slice(b"\r\n");
            }
        }
        self.state = State::Last;
        Ok(())
    }
}
