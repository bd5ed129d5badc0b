//! What waits for an upstream socket: what is said again, what was held, what is said now.
//!
//! Owns: their order (the first messages again, then what was held, then what is said now), and that a message of which
//! only a part went out before the socket was lost is said whole to the next. Never: more of them than
//! [`limits::SESSION_HELD_MESSAGES`] and [`limits::SESSION_HELD_BYTES`], once whoever reads the client stops at
//! [`Upward::is_full`].

use std::collections::VecDeque;

use bytes::Bytes;

use crate::limits;

/// Masked frames on their way to an upstream. With nothing on its way and nothing to say again, it owns no heap.
#[derive(Debug)]
pub(super) struct Upward {
    /// The client's first messages that went out, to be said again; at most `resend`.
    first: Vec<Bytes>,
    first_bytes: usize,
    resend: usize,
    /// How many of them this socket has been told.
    replayed: usize,
    held: VecDeque<Bytes>,
    held_bytes: usize,
    /// Pings and pongs.
    control: VecDeque<Bytes>,
    /// After everything in progress; then no more.
    close: Option<Bytes>,
    current: Option<Current>,
}

/// The frame in progress.
#[derive(Debug)]
struct Current {
    frame: Bytes,
    written: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Again,
    Fresh,
    /// Of this socket alone.
    Own,
}

impl Upward {
    /// `resend` messages are kept to be said again.
    #[must_use]
    pub(super) fn new(resend: usize) -> Upward {
        Upward {
            first: Vec::new(),
            first_bytes: 0,
            resend,
            replayed: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            control: VecDeque::new(),
            close: None,
            current: None,
        }
    }

    /// Adds what the client said, behind all that waits.
    pub(super) fn push(&mut self, frame: Bytes) {
        self.held_bytes += frame.len();
        self.held.push_back(frame);
    }

    /// Adds a ping or pong; it goes before what else waits.
    pub(super) fn control(&mut self, frame: Bytes) {
        self.control.push_back(frame);
    }

    /// Says goodbye once what is in progress is out; what else waits is dropped.
    pub(super) fn close(&mut self, frame: Bytes) {
        self.forget();
        self.close = Some(frame);
    }

    /// Drops all but what is in progress.
    fn forget(&mut self) {
        self.held = VecDeque::new();
        self.control = VecDeque::new();
        (self.first, self.replayed, self.held_bytes) = (Vec::new(), 0, 0);
        self.resend = 0;
    }

    /// Nothing waits.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none()
            && self.held.is_empty()
            && self.control.is_empty()
            && self.close.is_none()
            && self.replayed >= self.first.len()
    }

    /// No more is to be held.
    #[must_use]
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= limits::SESSION_HELD_MESSAGES || self.held_bytes >= limits::SESSION_HELD_BYTES
    }

    /// No more is to be heard that must be answered.
    #[must_use]
    pub(super) fn owes_pongs(&self) -> bool {
        self.control.len() >= limits::SESSION_PONGS
    }

    /// Nothing is in the middle of a frame: what is said to the socket now is understood.
    #[must_use]
    pub(super) fn is_between_frames(&self) -> bool {
        self.current.as_ref().is_none_or(|current| current.written == 0)
    }

    /// The bytes to be written next; empty where there are none.
    pub(super) fn unsent(&mut self) -> &[u8] {
        if self.current.is_none() {
            self.current = self.next().map(|(frame, kind)| Current { frame, written: 0, kind });
        }
        self.current.as_ref().and_then(|current| current.frame.get(current.written..)).unwrap_or_default()
    }

    /// So many bytes of them went out.
    pub(super) fn sent(&mut self, count: usize) {
        let Some(current) = &mut self.current else { return };
        current.written += count;
        if current.written < current.frame.len() {
            return;
        }
        if let Some(Current { frame, kind, .. }) = self.current.take() {
            match kind {
                Kind::Again => self.replayed += 1,
                Kind::Fresh => self.remember(frame),
                Kind::Own => {}
            }
        }
    }

    /// The socket is gone: what it was not told whole waits for the next, which is told the first messages again.
    pub(super) fn lost(&mut self) {
        if let Some(Current { frame, kind: Kind::Fresh, .. }) = self.current.take() {
            self.held_bytes += frame.len();
            self.held.push_front(frame);
        }
        self.control = VecDeque::new();
        self.replayed = 0;
    }

    /// There will be no other socket.
    pub(super) fn clear(&mut self) {
        self.forget();
        (self.current, self.close) = (None, None);
    }

    fn next(&mut self) -> Option<(Bytes, Kind)> {
        if let Some(frame) = self.control.pop_front() {
            return Some((frame, Kind::Own));
        }
        if let Some(frame) = self.first.get(self.replayed) {
            return Some((frame.clone(), Kind::Again));
        }
        if let Some(frame) = self.held.pop_front() {
            self.held_bytes -= frame.len();
            if self.held.is_empty() {
                self.held = VecDeque::new();
            }
            return Some((frame, Kind::Fresh));
        }
        self.close.take().map(|frame| (frame, Kind::Own))
    }

    /// Keeps one of the first messages; from one that does not fit on, none is.
    fn remember(&mut self, frame: Bytes) {
        if self.first.len() >= self.resend {
            return;
        }
        if self.first_bytes + frame.len() > limits::SESSION_RESEND_BYTES {
            self.resend = self.first.len();
            return;
        }
        self.first_bytes += frame.len();
        self.first.push(frame);
        self.replayed = self.first.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(upward: &mut Upward, text: &'static str) {
        upward.push(Bytes::from_static(text.as_bytes()));
    }

    /// What is written of it, at most `most` bytes.
    fn write(upward: &mut Upward, mut most: usize) -> String {
        let mut all = Vec::new();
        while most > 0 {
            let unsent = upward.unsent();
            let count = unsent.len().min(most).min(3);
            if count == 0 {
                break;
            }
            all.extend_from_slice(&unsent[..count]);
            upward.sent(count);
            most -= count;
        }
        String::from_utf8(all).unwrap()
    }

    #[track_caller]
    fn check(upward: &mut Upward, expected: &str) {
        assert_eq!(write(upward, usize::MAX), expected);
        assert!(upward.is_empty());
    }

    #[test]
    fn a_new_socket_is_told_the_first_messages_then_what_was_held_then_what_is_said() {
        let mut upward = Upward::new(2);
        for text in ["first,", "second,", "third,"] {
            say(&mut upward, text);
        }
        check(&mut upward, "first,second,third,");
        upward.lost();
        assert!(!upward.is_empty());
        say(&mut upward, "held,");
        say(&mut upward, "fresh,");
        check(&mut upward, "first,second,held,fresh,");
        upward.lost();
        check(&mut upward, "first,second,");
    }

    #[test]
    fn what_was_held_from_the_start_is_said_once_to_each_socket() {
        let mut upward = Upward::new(2);
        say(&mut upward, "a,");
        upward.lost();
        say(&mut upward, "b,");
        check(&mut upward, "a,b,");
        upward.lost();
        check(&mut upward, "a,b,");
    }

    #[test]
    fn a_message_cut_by_the_loss_is_said_whole_to_the_next_socket() {
        for resend in [0, 5] {
            let mut upward = Upward::new(resend);
            say(&mut upward, "one,");
            say(&mut upward, "two,");
            assert_eq!(write(&mut upward, 6), "one,tw");
            assert!(!upward.is_between_frames());
            upward.lost();
            check(&mut upward, if resend == 0 { "two," } else { "one,two," });
        }
    }

    #[test]
    fn a_socket_lost_in_the_middle_of_the_replay_does_not_shorten_the_next() {
        let mut upward = Upward::new(3);
        for text in ["a,", "b,", "c,", "d,"] {
            say(&mut upward, text);
        }
        check(&mut upward, "a,b,c,d,");
        upward.lost();
        say(&mut upward, "e,");
        assert_eq!(write(&mut upward, 3), "a,b");
        upward.lost();
        check(&mut upward, "a,b,c,e,");
    }

    #[test]
    fn pongs_pass_what_waits_and_a_close_ends_it() {
        let mut upward = Upward::new(0);
        say(&mut upward, "one,");
        say(&mut upward, "two,");
        assert_eq!(write(&mut upward, 1), "o");
        upward.control(Bytes::from_static(b"pong,"));
        assert_eq!(write(&mut upward, 8), "ne,pong,");
        assert_eq!(write(&mut upward, 1), "t");
        upward.control(Bytes::from_static(b"pong,"));
        upward.close(Bytes::from_static(b"bye"));
        check(&mut upward, "wo,bye");
    }

    #[test]
    fn what_is_held_has_its_bounds() {
        let mut upward = Upward::new(0);
        for count in 0..limits::SESSION_HELD_MESSAGES {
            assert!(!upward.is_full(), "{count}");
            say(&mut upward, "x");
        }
        assert!(upward.is_full());
        write(&mut upward, 1);
        assert!(!upward.is_full());
        let mut upward = Upward::new(0);
        upward.push(Bytes::from(vec![0; limits::SESSION_HELD_BYTES - 1]));
        assert!(!upward.is_full());
        say(&mut upward, "x");
        assert!(upward.is_full());
        let mut upward = Upward::new(0);
        for count in 0..limits::SESSION_PONGS {
            assert!(!upward.owes_pongs(), "{count}");
            upward.control(Bytes::new());
        }
        assert!(upward.owes_pongs());
    }

    #[test]
    fn what_is_said_again_has_its_bound_too() {
        let mut upward = Upward::new(9);
        say(&mut upward, "a");
        upward.push(Bytes::from(vec![b'x'; limits::SESSION_RESEND_BYTES]));
        say(&mut upward, "b");
        while !upward.is_empty() {
            let count = upward.unsent().len();
            upward.sent(count);
        }
        upward.lost();
        check(&mut upward, "a");
    }
}
