//! The body of an answer, as it comes.
//!
//! Owns: that a connection goes back to its pool as soon as its answer has ended as it should, and is closed else. What is
//! left of the request goes on meanwhile.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Conn;
use super::decoder::{Decoder, Piece};
use super::failure::Broken;
use super::saying::Saying;
use crate::limits;
use crate::message::Body;
use crate::upstream::pool::Pool;

/// An answer's body, and the connection that it comes over.
#[derive(Debug)]
pub struct Hearing {
    /// `None` once it went back.
    conn: Option<Conn>,
    decoder: Decoder,
    /// What is left of the request.
    saying: Saying,
    body: Body,
    /// Where the connection goes; `None` where it can't be used once more.
    pool: Option<Rc<Pool>>,
}

impl Hearing {
    pub(super) fn new(conn: Conn, decoder: Decoder, saying: Saying, body: Body, pool: Option<Rc<Pool>>) -> Hearing {
        Hearing { conn: Some(conn), decoder, saying, body, pool }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        let Some(conn) = &mut self.conn else { return Poll::Ready(Ok(Piece::End)) };
        if !self.saying.is_over() {
            // A body that fails now is told by the answer's own end.
            let _ = self.saying.poll(cx, &mut conn.io, &mut self.body);
        }
        loop {
            match self.decoder.take(&mut conn.heard)? {
                Piece::More => {}
                found @ (Piece::Data(_) | Piece::Trailers(_) | Piece::End) => return Poll::Ready(Ok(found)),
            }
            let run = self.decoder.run();
            let count = if run > limits::UPSTREAM_READ as u64 {
                let most = usize::try_from(run).unwrap_or(usize::MAX);
                let piece = ready!(conn.poll_hear_piece(cx, most))?;
                if !piece.is_empty() {
                    self.decoder.pass(piece.len());
                    return Poll::Ready(Ok(Piece::Data(piece)));
                }
                0
            } else {
                ready!(conn.poll_hear(cx))?
            };
            if count == 0 {
                self.pool = None;
                return Poll::Ready(if self.decoder.finish() { Ok(Piece::End) } else { Err(Broken::Cut) });
            }
        }
    }

    /// The connection goes back, or is closed.
    fn end(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if let Some(pool) = self.pool.take().filter(|_| self.saying.is_done() && conn.heard.is_empty()) {
            pool.put(conn.rested());
        }
    }
}

impl http_body::Body for Hearing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let hearing = self.get_mut();
        let piece = ready!(hearing.poll_piece(cx));
        if matches!(hearing.decoder, Decoder::Ended) {
            hearing.end();
        }
        Poll::Ready(match piece {
            Ok(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Piece::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Piece::More | Piece::End) => None,
            Err(broken) => {
                hearing.conn = None;
                Some(Err(broken))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.decoder, Decoder::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
