//! What waits for a session's client: whole frames, joined, so that a burst goes out in one write.
//!
//! Never: judges how much may wait; whoever reads the upstream stops at [`limits::SESSION_OUT_BYTES`].

use crate::limits;

/// Frames on their way to a client. While there are none, it owns no heap.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
    }

    /// The bytes to be written next; empty where there are none.
    #[must_use]
    pub(super) fn unsent(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// So many of them went out.
    pub(super) fn sent(&mut self, count: usize) {
        self.written += count;
        if self.written >= self.bytes.len() {
            self.clear();
        }
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Nothing more is to be decoded for it until it is out.
    #[must_use]
    pub(super) fn is_full(&self) -> bool {
        self.unsent().len() >= limits::SESSION_OUT_BYTES
    }

    pub(super) fn clear(&mut self) {
        *self = Outbox::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_out_joined_and_leave_nothing_behind() {
        let mut outbox = Outbox::default();
        outbox.push(b"one");
        outbox.push(b"two");
        assert_eq!(outbox.unsent(), b"onetwo");
        outbox.sent(4);
        assert_eq!(outbox.unsent(), b"wo");
        outbox.push(b"!");
        outbox.sent(3);
        assert!(outbox.is_empty() && outbox.bytes.capacity() == 0);
    }

    #[test]
    fn it_is_full_at_its_limit() {
        let mut outbox = Outbox::default();
        outbox.push(&[0; limits::SESSION_OUT_BYTES - 1]);
        assert!(!outbox.is_full());
        outbox.push(b"x");
        assert!(outbox.is_full());
        outbox.sent(1);
        assert!(!outbox.is_full());
    }
}
