//! The one response body type.
//!
//! Never: boxes what is whole; only a stream is.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};

/// A response body: nothing, one piece, or pieces as they come. It cannot fail.
pub enum Body {
    Empty,
    Whole(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Bytes>>>),
}

impl Body {
    /// Pieces as they come; dropping the body drops the stream.
    pub fn stream(pieces: impl Stream<Item = Bytes> + 'static) -> Body {
        Body::Stream(Box::pin(pieces))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        if bytes.is_empty() { Body::Empty } else { Body::Whole(bytes) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.get_mut();
        if let Body::Stream(pieces) = body {
            return pieces.as_mut().poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))));
        }
        Poll::Ready(match std::mem::replace(body, Body::Empty) {
            Body::Whole(bytes) => Some(Ok(Frame::data(bytes))),
            Body::Empty | Body::Stream(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Body::Stream(_) => f.write_str("Stream"),
        }
    }
}
