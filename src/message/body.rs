//! The one body type.
//!
//! Owns: the bounds on a body that is passed on: how long it may be, and how long it may pause. Never: boxes what is whole;
//! only a stream is, once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::hop;

/// A body: nothing, one piece, pieces as they come, or another message's body on its way through.
pub enum Body {
    Empty,
    Whole(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Bytes>>>),
    Passing(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error>>>),
}

/// Why a body that is passed on has no proper end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the body is larger than it may be")]
    TooLarge,
    #[error("the body made no progress")]
    Stalled,
    #[error("{}", with_cause(&**.0))]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// What a body that is passed on may do.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes.
    pub size: u64,
    /// Between two reads.
    pub pause: Duration,
}

/// A body on its way through, and what lives as long as it does.
struct Passing<B, K> {
    inner: B,
    /// Bytes that may still come.
    left: u64,
    pause: Duration,
    /// Since when more is waited for.
    waiting: Option<Instant>,
    /// Made when it is first waited for; it may ring early.
    alarm: Option<Pin<Box<Sleep>>>,
    _keep: K,
}

impl Body {
    /// Pieces as they come; dropping the body drops the stream.
    pub fn stream(pieces: impl Stream<Item = Bytes> + 'static) -> Body {
        Body::Stream(Box::pin(pieces))
    }

    /// `inner` within `bounds`, its trailers included; `keep` is dropped with it.
    pub fn passing<B, K>(inner: B, bounds: Bounds, keep: K) -> Body
    where
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
        K: Unpin + 'static,
    {
        if inner.is_end_stream() {
            return Body::Empty;
        }
        let Bounds { size, pause } = bounds;
        Body::Passing(Box::pin(Passing { inner, left: size, pause, waiting: None, alarm: None, _keep: keep }))
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
            Body::Passing(passing) => passing.as_mut().poll_frame(cx),
            Body::Stream(pieces) => {
                pieces.as_mut().poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
            Body::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *body = Body::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Body::Empty => Poll::Ready(None),
        }
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

impl<B, K> Passing<B, K> {
    /// Completes when nothing has come for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let due = since + self.pause;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= due {
                return Poll::Ready(());
            }
            // It was set for an earlier wait: moving it only when it rings spares the timer at each read.
            alarm.as_mut().reset(due);
        }
    }
}

impl<B, K> http_body::Body for Passing<B, K>
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    K: Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let body = self.get_mut();
        let Poll::Ready(polled) = Pin::new(&mut body.inner).poll_frame(cx) else {
            ready!(body.poll_stalled(cx));
            return Poll::Ready(Some(Err(Error::Stalled)));
        };
        body.waiting = None;
        let mut frame = match polled {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(Error::Broken(error.into())))),
            None => return Poll::Ready(None),
        };
        if let Some(data) = frame.data_ref() {
            match body.left.checked_sub(data.len() as u64) {
                Some(left) => body.left = left,
                None => return Poll::Ready(Some(Err(Error::TooLarge))),
            }
        }
        if let Some(trailers) = frame.trailers_mut() {
            hop::trailers(trailers);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An error and what it came from, innermost last.
fn with_cause(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", with_cause(cause)))
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::rc::Rc;

    use futures_util::{Stream, StreamExt, stream};
    use http::HeaderMap;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BOUNDS: Bounds = Bounds { size: 10, pause: SECOND };

    fn passing(frames: impl Stream<Item = Frame<Bytes>> + 'static) -> Body {
        Body::passing(StreamBody::new(Box::pin(frames.map(Ok::<_, Infallible>))), BOUNDS, ())
    }

    fn data(text: &'static str) -> Frame<Bytes> {
        Frame::data(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn a_body_that_is_passed_on_ends_with_its_trailers_at_the_size_that_it_may_have() {
        let mut fields = HeaderMap::new();
        fields.insert("x-sum", "1".parse().unwrap());
        fields.insert("content-length", "1".parse().unwrap());
        let body = passing(stream::iter([data("12345"), data("67890"), Frame::trailers(fields)]));
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().unwrap();
        assert_eq!((&trailers["x-sum"], trailers.len()), (&"1".parse().unwrap(), 1));
        assert_eq!(collected.to_bytes(), "1234567890");
        let over = passing(stream::iter([data("12345"), data("67890"), data("1")])).collect().await;
        assert!(matches!(over, Err(Error::TooLarge)));
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_pause_between_two_pieces_counts() {
        let slow = |times: &'static [u64]| {
            passing(stream::iter(times).then(|millis| async {
                sleep(Duration::from_millis(*millis)).await;
                data("1")
            }))
        };
        assert_eq!(slow(&[900; 8]).collect().await.unwrap().to_bytes().len(), 8);
        let began = Instant::now();
        assert!(matches!(slow(&[900, 900, 1100]).collect().await, Err(Error::Stalled)));
        assert_eq!(began.elapsed().as_millis(), 2800);
        // Nobody waits while nobody reads.
        let mut unread = slow(&[900, 900]);
        unread.frame().await.unwrap().unwrap();
        sleep(10 * SECOND).await;
        unread.frame().await.unwrap().unwrap();
    }

    #[test]
    fn what_is_kept_goes_with_the_body() {
        let kept = Rc::new(());
        let frames = StreamBody::new(stream::empty::<Result<Frame<Bytes>, Infallible>>());
        let body = Body::passing(frames, BOUNDS, Rc::clone(&kept));
        assert_eq!(Rc::strong_count(&kept), 2);
        drop(body);
        assert_eq!(Rc::strong_count(&kept), 1);
    }
}
