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
        // Looked at, and waited for, also while it is the body that is waited for.
        if outgoing.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(());
        }
        while ready!(outgoing.poll_step(cx)).is_ok() {}
        Poll::Ready(())
    }
}
