//! The body of an answer on its way out over a stream.
//!
//! Owns: that its request counts as in flight until it is out or dropped, and that no more of it is handed to h2 than the
//! peer's window, and [`limits::H2_SEND_BUFFER`], have room for. One that breaks off, or whose peer takes nothing for too
//! long, ends with a reset of its stream alone.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;

use super::pace::{Pace, Stall};
use crate::limits;
use crate::net::clock::InFlight;

/// A body and where it goes. There is one a stream: it is small.
#[derive(Debug)]
pub(super) struct Outgoing<B> {
    body: B,
    stream: SendStream<Bytes>,
    /// Taken from the body, and not yet given to the stream.
    piece: Bytes,
    stall: Stall,
    pace: Rc<Pace>,
    _in_flight: InFlight,
}

/// The stream is over, in whichever way.
struct Over;

impl<B> Outgoing<B> {
    pub(super) fn new(body: B, stream: SendStream<Bytes>, pace: Rc<Pace>, in_flight: InFlight) -> Outgoing<B> {
        Outgoing { body, stream, piece: Bytes::new(), stall: Stall::default(), pace, _in_flight: in_flight }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    /// Moves a piece on; fails when there is no more to move.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        if !self.piece.is_empty() {
            return self.poll_send(cx);
        }
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => Poll::Ready(if self.body.is_end_stream() { self.end() } else { Ok(()) }),
                Ok(data) => {
                    self.piece = data;
                    Poll::Ready(Ok(()))
                }
                Err(frame) => Poll::Ready(match frame.into_trailers() {
                    Ok(trailers) => {
                        let said = self.stream.send_trailers(trailers);
                        self.close(said)
                    }
                    Err(_unknown) => Ok(()),
                }),
            },
            Some(Err(_)) => {
                self.stream.send_reset(Reason::INTERNAL_ERROR);
                Poll::Ready(Err(Over))
            }
            None => Poll::Ready(self.end()),
        }
    }

    /// Gives the stream as much of the piece as it has room for.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        self.stream.reserve_capacity(self.piece.len().min(limits::H2_SEND_BUFFER));
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Over)),
                Poll::Pending => {
                    ready!(self.pace.poll_late(&mut self.stall, cx));
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(Over));
                }
            }
        }
        self.stall.moved();
        let piece = self.piece.split_to(self.piece.len().min(self.stream.capacity()));
        let end = self.piece.is_empty() && self.body.is_end_stream();
        let sent = self.stream.send_data(piece, end);
        Poll::Ready(if end { self.close(sent) } else { sent.map_err(|_| Over) })
    }

    fn end(&mut self) -> Result<(), Over> {
        let said = self.stream.send_data(Bytes::new(), true);
        self.close(said)
    }

    /// Nothing comes after this.
    fn close(&mut self, said: Result<(), h2::Error>) -> Result<(), Over> {
        if said.is_err() {
            self.stream.send_reset(Reason::INTERNAL_ERROR);
        }
        Err(Over)
    }
}

/// Completes when the body is out, or is not to go out any more.
impl<B: Body<Data = Bytes> + Unpin> Future for Outgoing<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let outgoing = self.get_mut();
        while let Poll::Ready(step) = outgoing.poll_step(cx) {
            if step.is_err() {
                return Poll::Ready(());
            }
        }
        // Waited for also while it is the body that is.
        outgoing.stream.poll_reset(cx).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use http::{HeaderMap, Response};
    use http_body::Frame;
    use http_body_util::StreamBody;
    use tokio::time::{Instant, sleep};

    use super::super::testing::{Ends, SEND_TIMEOUT, pace, with_stream};
    use super::*;

    fn data(text: &'static str) -> Result<Frame<Bytes>, &'static str> {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    fn trailers() -> HeaderMap {
        HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())])
    }

    /// What a client that takes `window` bytes ahead gets of a body of these frames: its frames, and how they end.
    async fn check(
        window: u32,
        frames: Vec<Result<Frame<Bytes>, &'static str>>,
        expected: &[&'static str],
        ends: Result<Option<HeaderMap>, Reason>,
    ) {
        with_stream(window, async |Ends { mut respond, answer, .. }: Ends| {
            let (pace, clock) = pace();
            let stream = respond.send_response(Response::new(()), false).unwrap();
            // A reset takes what has not gone out with it.
            let frames = stream::iter(frames).then(|frame| sleep(Duration::from_millis(1)).map(|()| frame));
            let outgoing = Outgoing::new(StreamBody::new(Box::pin(frames)), stream, Rc::new(pace), clock.begin(true));
            let heard = async {
                let (mut body, mut heard) = (answer.await.unwrap().into_body(), Vec::new());
                loop {
                    match body.data().await {
                        Some(Ok(data)) if data.is_empty() => {}
                        Some(Ok(data)) => {
                            body.flow_control().release_capacity(data.len()).unwrap();
                            heard.push(data);
                        }
                        Some(Err(error)) => break (heard, Err(error.reason().unwrap())),
                        None => break (heard, Ok(body.trailers().await.unwrap())),
                    }
                }
            };
            let ((), (heard, end)) = tokio::join!(outgoing, heard);
            assert!(heard.iter().eq(expected), "{heard:?} is not {expected:?}");
            assert_eq!(end, ends);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_goes_out_as_it_comes_as_far_as_there_is_room() {
        check(100, vec![], &[], Ok(None)).await;
        check(100, vec![data("hello"), data("world")], &["hello", "world"], Ok(None)).await;
        check(100, vec![data(""), data("hello"), data("")], &["hello"], Ok(None)).await;
        check(2, vec![data("hello"), data("!")], &["he", "ll", "o", "!"], Ok(None)).await;
        check(100, vec![data("hello"), Ok(Frame::trailers(trailers()))], &["hello"], Ok(Some(trailers()))).await;
        check(2, vec![data("hey"), Ok(Frame::trailers(trailers()))], &["he", "y"], Ok(Some(trailers()))).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_breaks_off_is_reset() {
        let broken: Vec<_> = [data("hello"), Err("broken")].into();
        check(5, broken, &["hello"], Err(Reason::INTERNAL_ERROR)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nobody_takes_is_reset_after_its_time_and_one_that_has_nothing_to_say_is_not() {
        with_stream(5, async |Ends { mut respond, answer, .. }: Ends| {
            let (pace, clock) = pace();
            let stream = respond.send_response(Response::new(()), false).unwrap();
            let frames = stream::unfold(0, async |number| {
                sleep(10 * SEND_TIMEOUT).await;
                Some((data(if number == 0 { "hello" } else { "world" }), number + 1))
            });
            let body = StreamBody::new(Box::pin(frames));
            let (outgoing, start) = (Outgoing::new(body, stream, Rc::new(pace), clock.begin(true)), Instant::now());
            let ((), mut body) = tokio::join!(outgoing, async { answer.await.unwrap().into_body() });
            assert_eq!(start.elapsed(), 21 * SEND_TIMEOUT);
            while let Some(Ok(_)) = body.data().await {}
            assert_eq!(body.data().await.unwrap().unwrap_err().reason(), Some(Reason::CANCEL));
        })
        .await;
    }
}
