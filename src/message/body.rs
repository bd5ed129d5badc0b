//! The one response body type.
//!
//! Never: boxes what is whole; only a stream is.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};

/// A response body: nothing, one piece, pieces as they come, or a body on its way through.
pub enum Body {
    Empty,
    Whole(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Bytes>>>),
    Passing(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error>>>),
}

/// Why a body has no proper end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
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
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let body = self.get_mut();
        match body {
            Body::Stream(pieces) => {
                return pieces.as_mut().poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))));
            }
            Body::Passing(passing) => return passing.as_mut().poll_frame(cx),
            Body::Empty | Body::Whole(_) => {}
        }
        Poll::Ready(match std::mem::replace(body, Body::Empty) {
            Body::Whole(bytes) => Some(Ok(Frame::data(bytes))),
            Body::Empty | Body::Stream(_) | Body::Passing(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Whole(_) | Body::Stream(_) => false,
            Body::Passing(passing) => passing.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Stream(_) => SizeHint::default(),
            Body::Passing(passing) => passing.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Body::Stream(_) => f.write_str("Stream"),
            Body::Passing(_) => f.write_str("Passing"),
        }
    }
}
