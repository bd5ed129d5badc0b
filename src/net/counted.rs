//! A response body on its way out.
//!
//! Owns: that its request counts as in flight until it is sent or dropped, and over HTTP/2 that it goes out in pieces:
//! h2 would take it whole, and keep it for a peer that takes none of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::clock::InFlight;
use super::stall::Streams;
use crate::limits;

/// A body, counted.
#[derive(Debug)]
pub struct Counted<B> {
    body: B,
    _in_flight: InFlight,
    /// Over HTTP/2.
    streams: Option<Streams>,
    /// What is left of a large frame.
    rest: Option<Box<Bytes>>,
}

impl<B> Counted<B> {
    #[must_use]
    pub fn new(body: B, in_flight: InFlight, streams: Option<Streams>) -> Counted<B> {
        Counted { body, _in_flight: in_flight, streams, rest: None }
    }
}

impl<B> Counted<B> {
    /// The next piece of what is left.
    fn next_piece(&mut self) -> Option<Bytes> {
        let mut rest = self.rest.take()?;
        let piece = rest.split_to(rest.len().min(limits::H2_PIECE));
        self.rest = Some(rest).filter(|rest| !rest.is_empty());
        Some(piece)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let counted = self.get_mut();
        if counted.streams.is_none() {
            return Pin::new(&mut counted.body).poll_frame(cx);
        }
        let mut outcome = match counted.next_piece() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => Pin::new(&mut counted.body).poll_frame(cx),
        };
        if let Poll::Ready(Some(Ok(frame))) = &mut outcome
            && let Some(data) = frame.data_mut().filter(|data| data.len() > limits::H2_PIECE)
        {
            counted.rest = Some(Box::new(data.split_off(limits::H2_PIECE)));
        }
        if let Some(streams) = &counted.streams {
            streams.asked(matches!(outcome, Poll::Ready(Some(Ok(_)))));
        }
        outcome
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.size_hint();
        let Some(rest) = &self.rest else { return body };
        let rest = rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http_body_util::{BodyExt, Full};
    use tokio::time::Instant;

    use super::*;
    use crate::net::Peer;
    use crate::net::clock::Clock;
    use crate::shutdown::{Stages, Tasks};

    #[tokio::test]
    async fn over_http2_a_large_body_goes_out_in_pieces_that_make_it_whole() {
        let clock = Arc::new(Clock::new(Instant::now(), true));
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), false, false);
        let streams = Streams::new(Tasks::new(Stages::default()), Arc::clone(&clock), peer, Duration::from_secs(30));
        let whole: Vec<u8> = (0..limits::H2_PIECE * 5 / 2).map(|number| number as u8).collect();
        for (size, pieces) in [(0, 0), (1, 1), (limits::H2_PIECE, 1), (limits::H2_PIECE + 1, 2), (whole.len(), 3)] {
            let full = Full::new(Bytes::copy_from_slice(&whole[..size]));
            let mut body = Counted::new(full, clock.begin(true), Some(streams.clone()));
            let (mut seen, mut count) = (Vec::new(), 0);
            while !body.is_end_stream() {
                assert_eq!(body.size_hint().exact(), Some((size - seen.len()) as u64));
                seen.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
                count += 1;
            }
            assert_eq!((seen.as_slice(), count), (&whole[..size], pieces));
        }
    }
}
