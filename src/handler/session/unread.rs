//! Bytes that were read from one side and wait until the other takes more.
//!
//! Never: more than one read, or what a handshake brought along.

/// What one side has said that is not understood yet. While there is nothing, it owns no heap.
#[derive(Debug, Default)]
pub(super) struct Unread {
    bytes: Vec<u8>,
    from: usize,
}

impl Unread {
    #[must_use]
    pub(super) fn new(bytes: &[u8]) -> Unread {
        Unread { bytes: bytes.to_vec(), from: 0 }
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.from >= self.bytes.len()
    }

    /// The bytes, out of their place; what of them is not understood is to be [put back](Unread::put_back).
    #[must_use]
    pub(super) fn take(&mut self) -> Unread {
        std::mem::take(self)
    }

    pub(super) fn rest(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.from..).unwrap_or_default()
    }

    /// All but the first `understood` of what was taken.
    pub(super) fn put_back(&mut self, mut taken: Unread, understood: usize) {
        taken.from += understood;
        *self = if taken.is_empty() { Unread::default() } else { taken };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_stays_in_order_and_the_rest_is_given_up() {
        let mut unread = Unread::new(b"abc");
        let mut taken = unread.take();
        assert!(unread.is_empty());
        assert_eq!(taken.rest(), b"abc");
        unread.put_back(taken, 1);
        let mut taken = unread.take();
        assert_eq!(taken.rest(), b"bc");
        unread.put_back(taken, 2);
        assert!(unread.is_empty() && unread.bytes.capacity() == 0);
    }
}
