//! The mask of a client's frames (RFC 6455, 5.3): an exclusive or with a key of four bytes, whole words at a time.
//!
//! Owns: the keys of what we say as a client; masking and unmasking are the same. Never: allocates.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// A frame's masking key.
pub type Key = [u8; 4];

thread_local! {
    /// Keys that nobody outside knows, from the system once a thread, and how many were made of them.
    static SECRET: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
}

/// A key for one frame of ours. It can't be told from those before it (RFC 6455, section 10.3): whoever chooses what is
/// said would else choose what goes over the wire.
#[must_use]
pub fn fresh() -> Key {
    let number = SECRET.with(|(random, count)| {
        count.set(count.get().wrapping_add(1));
        random.hash_one(count.get())
    });
    let [a, b, c, d, ..] = number.to_ne_bytes();
    [a, b, c, d]
}

/// Masks or unmasks `bytes` in place, `key[0]` going to the first of them; gives the key for the bytes that follow.
pub fn apply(bytes: &mut [u8], key: Key) -> Key {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for eight in words {
        *eight = (u64::from_ne_bytes(*eight) ^ word).to_ne_bytes();
    }
    // Eight is a multiple of four, so what is left over starts at `key[0]` again.
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    let mut next = key;
    next.rotate_left(rest.len() % 4);
    next
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(bytes: &mut [u8], key: Key) {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[at % 4];
        }
    }

    #[test]
    fn the_example_of_rfc_6455_5_7_unmasks() {
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let next = apply(&mut bytes, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(&bytes, b"Hello");
        assert_eq!(next, [0xfa, 0x21, 0x3d, 0x37]);
    }

    #[test]
    fn no_key_is_like_the_one_before() {
        let keys: std::collections::HashSet<Key> = (0..1000).map(|_| fresh()).collect();
        assert!(keys.len() > 990, "{}", keys.len());
    }

    proptest! {
        #[test]
        fn any_split_gives_what_a_loop_over_bytes_gives(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            key in any::<Key>(),
            split in 0usize..200,
        ) {
            let mut expected = bytes.clone();
            naive(&mut expected, key);
            let mut got = bytes.clone();
            let (first, second) = got.split_at_mut(split.min(bytes.len()));
            let next = apply(first, key);
            apply(second, next);
            prop_assert_eq!(&got, &expected);
            apply(&mut got, key);
            prop_assert_eq!(got, bytes);
        }
    }
}
