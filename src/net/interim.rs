//! Informational answers (RFC 9110, section 15.2) on their way to the client. Over HTTP/2 they are said on the request's own
//! stream; on an HTTP/1 connection between requests and answers of hyper's, whose server has no way to say them.
//!
//! Owns: when that is safe on HTTP/1, and how one is written there. hyper flushes its stream only once all that it held is
//! written, so that what was flushed since a request began, and not written to since, stands between two messages: all that
//! hyper may hold then is a whole `100 Continue`, and behind it the request's own answer. Anything else that is offered is
//! dropped: it is a hint. Never: more than [`limits::INTERIM`] bytes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, ready};

use http::{HeaderMap, StatusCode};

use super::clock::InFlight;
use super::http2::Respond;
use super::whole;
use crate::limits;

/// Where a request's informational answers go.
#[derive(Debug, Clone, Copy)]
pub enum Interims<'a> {
    /// In bytes, before the answer's.
    Http1(&'a InFlight),
    Http2(&'a Respond),
}

/// What waits to be written before anything of hyper's.
#[derive(Debug, Default)]
pub(super) struct Interim {
    /// The stream stands between two messages.
    clean: AtomicBool,
    /// There are bytes.
    waits: AtomicBool,
    bytes: Mutex<Vec<u8>>,
}

impl Interims<'_> {
    /// Says one, or drops it where that cannot be done. Its `headers` have no field of a connection, and none of a body.
    pub fn say(self, status: StatusCode, headers: HeaderMap) {
        match self {
            Interims::Http1(in_flight) => in_flight.interject(&whole::head(status, &headers)),
            Interims::Http2(respond) => respond.say(status, headers),
        }
    }
}

impl Interim {
    /// A request's head is complete. What hyper says of the one before may be in its buffer still.
    pub(super) fn begin(&self) {
        self.clean.store(false, Relaxed);
    }

    /// hyper writes.
    pub(super) fn writing(&self) {
        self.clean.store(false, Relaxed);
    }

    /// hyper has nothing left to write, and all that it wrote is out.
    pub(super) fn flushed(&self) {
        self.clean.store(true, Relaxed);
    }

    /// Takes a whole head, or drops it.
    pub(super) fn offer(&self, head: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clean.load(Relaxed) && bytes.len() + head.len() <= limits::INTERIM {
            bytes.extend_from_slice(head);
            self.waits.store(true, Relaxed);
        }
    }

    pub(super) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    /// Gives `write` what waits until it has taken all of it.
    ///
    /// # Errors
    /// As `write`, and if it takes nothing.
    pub(super) fn poll_out(&self, mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>) -> Poll<io::Result<()>> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        while !bytes.is_empty() {
            let count = ready!(write(&bytes))?.min(bytes.len());
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            bytes.drain(..count);
        }
        *bytes = Vec::new();
        self.waits.store(false, Relaxed);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to a stream.
    enum Step {
        Begin,
        Offer(&'static str),
        /// hyper writes this, of which the socket takes so many bytes, what waits included.
        Write(&'static str, usize),
        /// hyper flushes, and the socket takes so many bytes.
        Flush(usize),
    }
    use Step::{Begin, Flush, Offer, Write};

    /// A stream as the connection's, whose socket takes what it is told to.
    #[derive(Default)]
    struct Wire {
        interim: Interim,
        taken: Vec<u8>,
    }

    impl Wire {
        fn take(taken: &mut Vec<u8>, room: &mut usize, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(*room);
            *room -= count;
            taken.extend_from_slice(&bytes[..count]);
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        }

        fn out(&mut self, room: &mut usize) -> bool {
            let taken = &mut self.taken;
            self.interim.poll_out(|bytes| Wire::take(taken, room, bytes)).is_ready()
        }

        fn step(&mut self, step: &Step) {
            match step {
                Begin => self.interim.begin(),
                Offer(head) => self.interim.offer(head.as_bytes()),
                Write(text, room) => {
                    let mut room = *room;
                    self.interim.writing();
                    if self.out(&mut room) {
                        let _ = Wire::take(&mut self.taken, &mut room, text.as_bytes());
                    }
                }
                Flush(room) => {
                    let mut room = *room;
                    if self.out(&mut room) {
                        self.interim.flushed();
                    }
                }
            }
        }
    }

    /// What the socket has taken at the end.
    #[track_caller]
    fn check(steps: &[Step], expected: &str) {
        let mut wire = Wire::default();
        steps.iter().for_each(|step| wire.step(step));
        assert_eq!(String::from_utf8(wire.taken).unwrap(), expected);
    }

    #[test]
    fn a_head_goes_out_before_the_answer_and_only_between_messages() {
        check(&[Begin, Flush(9), Offer("<a>"), Flush(9), Write("200", 9)], "<a>200");
        check(&[Begin, Flush(9), Offer("<a>"), Write("200", 9)], "<a>200");
        check(&[Begin, Flush(9), Offer("<a>"), Offer("<b>"), Flush(9), Offer("<c>"), Write("200", 12)], "<a><b><c>200");
        check(&[Begin, Offer("<a>"), Flush(9), Write("200", 9)], "200");
        check(&[Begin, Flush(9), Write("100", 9), Offer("<a>"), Flush(9), Write("200", 9)], "100200");
        check(&[Begin, Flush(9), Write("100", 9), Flush(9), Offer("<a>"), Flush(9), Write("200", 9)], "100<a>200");
        check(&[Begin, Flush(9), Write("20", 1), Offer("<a>"), Write("0", 9), Flush(9)], "20");
    }

    #[test]
    fn a_head_that_is_out_in_part_is_finished_first() {
        check(&[Begin, Flush(9), Offer("<a>"), Flush(1), Flush(1), Write("200", 3)], "<a>20");
        check(&[Begin, Flush(9), Offer("<a>"), Flush(2), Offer("<b>"), Flush(3), Write("200", 4)], "<a><b>200");
        check(&[Begin, Flush(9), Offer("<a>"), Write("200", 2), Offer("<b>"), Write("200", 9)], "<a>200");
    }

    #[test]
    fn what_is_left_of_the_answer_before_is_not_cut_in_two() {
        let answered = [Begin, Flush(9), Offer("<a>"), Write("200", 9), Flush(9)];
        let next = |steps: Vec<Step>| {
            answered
                .iter()
                .map(|step| match step {
                    Begin => Begin,
                    Offer(head) => Offer(head),
                    Write(text, room) => Write(text, *room),
                    Flush(room) => Flush(*room),
                })
                .chain(steps)
                .collect::<Vec<_>>()
        };
        check(&next(vec![Begin, Flush(9), Offer("<b>"), Flush(9), Write("201", 9)]), "<a>200<b>201");
        // The last chunk of the answer before is with hyper still, as far as anybody knows.
        check(&next(vec![Begin, Offer("<b>"), Write("end", 9), Flush(9), Write("201", 9)]), "<a>200end201");
        // It is flushed in part only.
        check(&next(vec![Begin, Write("en", 1), Offer("<b>"), Write("n", 1), Offer("<b>"), Flush(9)]), "<a>200en");
    }

    #[test]
    fn more_than_a_few_heads_are_not_kept() {
        let (wire, head) = (Wire::default(), "x".repeat(limits::INTERIM / 4));
        wire.interim.begin();
        wire.interim.flushed();
        (0..10).for_each(|_| wire.interim.offer(head.as_bytes()));
        assert!(wire.interim.waits());
        let mut seen = 0;
        let out = wire.interim.poll_out(|bytes| {
            seen += bytes.len();
            Poll::Ready(Ok(bytes.len()))
        });
        assert!(out.is_ready() && !wire.interim.waits());
        assert_eq!(seen, limits::INTERIM);
    }
}
