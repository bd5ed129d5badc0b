//! A frame's head that arrived in several pieces.
//!
//! Never: takes a byte of what follows the head.

use super::close::Violation;
use super::frame::{CLIENT_HEAD_MAX, Head};

/// What is there of it: of a client's, which is `MASKED`, or a server's, which is not.
#[derive(Debug, Default)]
pub(super) struct PartialHead<const MASKED: bool> {
    bytes: [u8; CLIENT_HEAD_MAX],
    len: usize,
}

impl<const MASKED: bool> PartialHead<MASKED> {
    /// Adds what `input` begins with. Gives how many bytes of it that took and, once it is whole, the head; a new one then
    /// begins here.
    ///
    /// # Errors
    /// As for [`Head::parse`].
    pub(super) fn fill(&mut self, input: &[u8]) -> Result<(usize, Option<Head>), Violation> {
        let mut rest = input;
        // Twice at most: the first two bytes say how many there are.
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.missing().min(rest.len()));
            for (to, from) in self.bytes.iter_mut().skip(self.len).zip(piece) {
                *to = *from;
                self.len += 1;
            }
            rest = after;
            let parsed = if MASKED { Head::parse(self.filled()) } else { Head::parse_unmasked(self.filled()) };
            if let Some((head, _)) = parsed? {
                self.len = 0;
                return Ok((input.len() - rest.len(), Some(head)));
            }
        }
        Ok((input.len(), None))
    }

    /// Nothing of it is there.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes it lacks, as far as those that are there tell.
    pub(super) fn missing(&self) -> usize {
        let size = if MASKED { Head::size(self.filled()) } else { Head::unmasked_size(self.filled()) };
        size.saturating_sub(self.len)
    }

    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
