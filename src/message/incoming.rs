//! A request's body as it comes in.
//!
//! Owns: that a stream of HTTP/2 is given back the window that is read of it, and that a client which holds its body back
//! until it is told to go on (RFC 9110, section 10.1.1) is told so when the body is first wanted. Never: holds more of it
//! than what reads the connection gives at a time, or takes a body that was broken off for a whole one.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};

/// The body of a client's request.
#[derive(Debug, Default)]
pub enum Incoming {
    /// There is none.
    #[default]
    Empty,
    /// As hyper reads it.
    Hyper(hyper::body::Incoming),
    Stream(Streamed),
}

/// What a stream of HTTP/2 says.
#[derive(Debug)]
pub struct Streamed {
    stream: RecvStream,
    /// Bytes that are to come, where that was said.
    left: Option<u64>,
    /// Until it is first read.
    held: Option<Rc<HeldBack>>,
}

/// What is known of a body that its client may hold back.
#[derive(Debug, Default)]
pub struct HeldBack {
    wanted: Cell<bool>,
    teller: RefCell<Option<Waker>>,
}

/// Why a body has no proper end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Hyper(#[from] hyper::Error),
    #[error("error reading a body from a stream")]
    Stream(#[source] h2::Error),
}

impl From<hyper::body::Incoming> for Incoming {
    fn from(body: hyper::body::Incoming) -> Incoming {
        Incoming::Hyper(body)
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Incoming::Empty => Poll::Ready(None),
            Incoming::Hyper(body) => Pin::new(body).poll_frame(cx).map_err(Error::Hyper),
            Incoming::Stream(body) => body.poll_frame(cx).map_err(Error::Stream),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Incoming::Empty => true,
            Incoming::Hyper(body) => body.is_end_stream(),
            Incoming::Stream(body) => body.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Incoming::Empty => SizeHint::with_exact(0),
            Incoming::Hyper(body) => body.size_hint(),
            Incoming::Stream(body) => body.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Streamed {
    /// What `stream` says, of `length` bytes where that is known.
    #[must_use]
    pub fn new(stream: RecvStream, length: Option<u64>, held: Option<Rc<HeldBack>>) -> Streamed {
        Streamed { stream, left: length, held }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let held = self.held.take();
        let Poll::Ready(read) = self.stream.poll_data(cx) else {
            held.into_iter().for_each(|held| held.want());
            return Poll::Pending;
        };
        match read {
            Some(Ok(data)) => {
                // It fails only for more than was read.
                let _ = self.stream.flow_control().release_capacity(data.len());
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                Poll::Ready(ready!(self.stream.poll_trailers(cx)).map(|fields| fields.map(Frame::trailers)).transpose())
            }
        }
    }
}

impl HeldBack {
    /// Whether it is wanted now, told once; `cx` is woken when it will be.
    pub fn is_wanted(&self, cx: &Context<'_>) -> bool {
        let wanted = self.wanted.take();
        if !wanted {
            *self.teller.borrow_mut() = Some(cx.waker().clone());
        }
        wanted
    }

    fn want(&self) {
        self.wanted.set(true);
        if let Some(teller) = self.teller.take() {
            teller.wake();
        }
    }
}
