//! What waits to be written to one viewer: the frame it is in the middle of, and answers to what it said.
//!
//! Owns: their order (the frame in progress, then answers, then the feed) and their bounds. Never: many more than
//! [`limits::OUTBOX_FRAMES`] answers or [`limits::OUTBOX_BYTES`]; whoever reads the viewer stops at
//! [`Outgoing::is_full`].

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use jiff::Timestamp;

use super::system::{self, system};
use crate::limits;
use crate::ws::frame::{self, OpCode};

/// Bytes on their way to a viewer. While there are none, it owns nothing.
#[derive(Debug, Default)]
pub struct Outgoing {
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    partial: Option<Partial>,
    answers: VecDeque<Bytes>,
    /// Of all `answers`.
    bytes: usize,
}

/// A frame of which some bytes went out, or none yet.
#[derive(Debug)]
struct Partial {
    frame: Bytes,
    written: usize,
    /// The message it carries; 0 for an answer.
    seq: u64,
}

/// How far a frame has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// The message it carries; 0 for an answer.
    pub seq: u64,
    /// Bytes of the frame.
    pub size: usize,
    /// Bytes of it that went out.
    pub written: usize,
}

/// How far writing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// All of it is out.
    Done,
    /// The peer takes no more for now.
    Blocked,
}

/// Writes as much as the peer takes without waiting: the count, which is 0 where it takes nothing now.
pub trait Sink {
    /// # Errors
    /// What the socket says; the viewer is then gone.
    fn offer(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

impl<F: FnMut(&[u8]) -> io::Result<usize>> Sink for F {
    fn offer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self(bytes)
    }
}

impl Outgoing {
    /// Adds an answer behind those that wait.
    pub fn answer(&mut self, frame: Bytes) {
        let waiting = self.waiting.get_or_insert_default();
        debug_assert!(waiting.answers.len() <= limits::OUTBOX_FRAMES + 2, "the reader stops when it is full");
        waiting.bytes += frame.len();
        waiting.answers.push_back(frame);
    }

    /// Adds a message of our own; `data` is JSON text.
    pub fn say(&mut self, type_: &str, data: Option<&str>) {
        self.answer(frame::frame(OpCode::Text, false, &system(type_, data, &[], Timestamp::now())));
    }

    /// Adds an `error`; both texts are plain.
    pub fn refuse(&mut self, code: &str, message: &str) {
        self.answer(frame::frame(OpCode::Text, false, &system::error(code, message, Timestamp::now())));
    }

    /// Whether the viewer must read before it is heard again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let full =
            |waiting: &Waiting| waiting.answers.len() >= limits::OUTBOX_FRAMES || waiting.bytes >= limits::OUTBOX_BYTES;
        self.waiting.as_deref().is_some_and(full)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_none()
    }

    /// The frame that is half-way out.
    #[must_use]
    pub fn stuck(&self) -> Option<Stuck> {
        let partial = self.waiting.as_ref()?.partial.as_ref()?;
        Some(Stuck { seq: partial.seq, size: partial.frame.len(), written: partial.written })
    }

    /// Forgets the answers that have not begun to go out.
    pub fn drop_answers(&mut self) {
        self.waiting = self.waiting.take().filter(|waiting| waiting.partial.is_some());
        if let Some(waiting) = &mut self.waiting {
            waiting.answers.clear();
            waiting.bytes = 0;
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// What the sink says.
    pub fn flush(&mut self, sink: &mut impl Sink) -> io::Result<Flow> {
        let Some(waiting) = &mut self.waiting else { return Ok(Flow::Done) };
        loop {
            if let Some(partial) = &mut waiting.partial {
                partial.written += offer_all(&partial.frame[partial.written..], sink)?;
                if partial.written < partial.frame.len() {
                    return Ok(Flow::Blocked);
                }
                waiting.partial = None;
            }
            let Some(frame) = waiting.answers.pop_front() else { break };
            waiting.bytes -= frame.len();
            waiting.partial = Some(Partial { frame, written: 0, seq: 0 });
        }
        self.waiting = None;
        Ok(Flow::Done)
    }

    /// Writes message `seq` where nothing waits before it. It is kept (by reference) only if the peer blocks.
    ///
    /// # Errors
    /// What the sink says.
    pub fn send(&mut self, seq: u64, frame: &Bytes, sink: &mut impl Sink) -> io::Result<Flow> {
        debug_assert!(self.is_empty(), "what waits goes first");
        let written = offer_all(frame, sink)?;
        if written == frame.len() {
            return Ok(Flow::Done);
        }
        self.waiting.get_or_insert_default().partial = Some(Partial { frame: frame.clone(), written, seq });
        Ok(Flow::Blocked)
    }
}

/// Offers `bytes` until the sink takes none, and so knows that there is more; gives how many it took.
fn offer_all(bytes: &[u8], sink: &mut impl Sink) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match sink.offer(&bytes[written..])? {
            0 => break,
            some => written += some,
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::Bytes;

    use super::{Flow, Outgoing, Stuck};

    /// Takes `room` bytes, then blocks.
    fn sink(room: &mut usize, taken: &mut Vec<u8>) -> impl FnMut(&[u8]) -> io::Result<usize> {
        |bytes| {
            let some = bytes.len().min(*room);
            *room -= some;
            taken.extend_from_slice(&bytes[..some]);
            Ok(some)
        }
    }

    #[test]
    fn a_frame_in_progress_is_finished_before_an_answer_goes_out() {
        let mut out = Outgoing::default();
        let mut taken = Vec::new();
        let flow = out.send(7, &Bytes::from_static(b"message"), &mut sink(&mut 3, &mut taken)).unwrap();
        assert_eq!(flow, Flow::Blocked);
        assert_eq!(out.stuck(), Some(Stuck { seq: 7, size: 7, written: 3 }));
        out.answer(Bytes::from_static(b"pong"));
        assert_eq!(out.flush(&mut sink(&mut 5, &mut taken)).unwrap(), Flow::Blocked);
        assert_eq!(out.flush(&mut sink(&mut 99, &mut taken)).unwrap(), Flow::Done);
        assert_eq!(taken, b"messagepong");
        assert!(out.is_empty());
    }

    #[test]
    fn a_sink_that_takes_pieces_is_offered_the_rest_until_it_takes_none() {
        let mut out = Outgoing::default();
        let (mut taken, mut refusals) = (Vec::new(), 0);
        let mut pieces = |bytes: &[u8]| {
            let some = bytes.len().min(2).min(6 - taken.len());
            taken.extend_from_slice(&bytes[..some]);
            refusals += usize::from(some == 0);
            Ok(some)
        };
        assert_eq!(out.send(7, &Bytes::from_static(b"mess"), &mut pieces).unwrap(), Flow::Done);
        assert_eq!(out.send(8, &Bytes::from_static(b"ages"), &mut pieces).unwrap(), Flow::Blocked);
        assert_eq!(out.flush(&mut pieces).unwrap(), Flow::Blocked);
        assert_eq!((taken.as_slice(), refusals), (&b"messag"[..], 2));
    }

    #[test]
    fn it_is_full_at_its_limit() {
        let mut out = Outgoing::default();
        for count in 0..crate::limits::OUTBOX_FRAMES {
            assert!(!out.is_full(), "{count}");
            out.answer(Bytes::from_static(b"x"));
        }
        assert!(out.is_full());
        assert_eq!(out.flush(&mut |_: &[u8]| Ok(0)).unwrap(), Flow::Blocked);
        assert!(!out.is_full(), "one of them is on its way");
        let mut out = Outgoing::default();
        out.answer(Bytes::from(vec![0; crate::limits::OUTBOX_BYTES - 1]));
        assert!(!out.is_full());
        out.answer(Bytes::from_static(b"x"));
        assert!(out.is_full());
        assert_eq!(out.flush(&mut |bytes: &[u8]| Ok(bytes.len())).unwrap(), Flow::Done);
        assert!(!out.is_full());
    }
}
