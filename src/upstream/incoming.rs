//! The body of a server's answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::http1::{Broken, Hearing};

/// An answer's body, over either protocol.
#[derive(Debug)]
pub enum Incoming {
    /// It came with its head, and its connection serves others already.
    Whole(Bytes),
    Http1(Box<Hearing>),
    Http2(hyper::body::Incoming),
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Incoming::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Incoming::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Incoming::Http1(hearing) => Pin::new(hearing).poll_frame(cx),
            Incoming::Http2(body) => Poll::Ready(ready!(Pin::new(body).poll_frame(cx)).map(|frame| Ok(frame?))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Incoming::Whole(bytes) => bytes.is_empty(),
            Incoming::Http1(hearing) => hearing.is_end_stream(),
            Incoming::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Incoming::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Incoming::Http1(hearing) => hearing.size_hint(),
            Incoming::Http2(body) => body.size_hint(),
        }
    }
}
