//! What HTTP/2 writes, gathered: h2 flushes after each frame of a body, which over TLS is a record and a system call each.
//!
//! Owns: the bytes of frames until the connection has no more to say for now. Never: holds more than
//! [`limits::H2_GATHER`] bytes, or anything while the connection is idle.

use std::io::IoSlice;

use bytes::{Buf, BytesMut};

use crate::limits;

/// Bytes taken from h2 and not yet written.
#[derive(Debug, Default)]
pub(super) struct Gather {
    bytes: BytesMut,
    /// The last of them was a frame with a body, which comes in two parts and is flushed at once: there may be more.
    /// Frames without one come together, when there is nothing else.
    unsettled: bool,
}

impl Gather {
    /// Takes the parts, and gives their length; `None` where there is no room.
    pub(super) fn take(&mut self, parts: &[IoSlice<'_>]) -> Option<usize> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.bytes.len() + length > limits::H2_GATHER {
            return None;
        }
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.unsettled = parts.len() > 1;
        Some(length)
    }

    /// Whether a flush may wait for another, which is sure to come where the connection is woken.
    pub(super) fn puts_off(&mut self) -> bool {
        std::mem::take(&mut self.unsettled)
    }

    /// What is to be written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// So much was written. With the last of it the memory goes.
    pub(super) fn written(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_gathered_up_to_the_bound() {
        let mut gather = Gather::default();
        let (half, whole) = (vec![1; limits::H2_GATHER / 2], vec![2; limits::H2_GATHER]);
        assert_eq!(gather.take(&[IoSlice::new(&half), IoSlice::new(&half)]), Some(limits::H2_GATHER));
        assert_eq!(gather.take(&[IoSlice::new(&[3])]), None);
        assert_eq!(gather.bytes().len(), limits::H2_GATHER);
        gather.written(limits::H2_GATHER / 2);
        assert_eq!(gather.take(&[IoSlice::new(&whole)]), None);
        assert_eq!(gather.take(&[IoSlice::new(&half)]), Some(half.len()));
        gather.written(limits::H2_GATHER);
        assert!(gather.bytes().is_empty());
        assert_eq!(gather.bytes.capacity(), 0, "an idle connection holds nothing");
    }

    #[test]
    fn a_flush_waits_for_another_only_while_there_is_more() {
        let mut gather = Gather::default();
        assert!(!gather.puts_off());
        gather.take(&[IoSlice::new(b"head"), IoSlice::new(b"body")]);
        assert!(gather.puts_off());
        assert!(!gather.puts_off());
        gather.take(&[IoSlice::new(b"heads")]);
        assert!(!gather.puts_off());
    }
}
