//! Text that arrives in pieces: each byte is validated once, and the first one that can't be UTF-8 is an error at once.
//!
//! Owns: [`TextBuffer`]. Never: keeps more than it was given, nor allocates over the message's limit.

use super::assembly::capacity;

/// The text so far, and the start of a character whose end has not come.
#[derive(Debug, Default)]
pub(super) struct TextBuffer {
    text: String,
    tail: [u8; 3],
    tail_len: u8,
}

/// Not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl TextBuffer {
    /// The length so far, in bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len() + usize::from(self.tail_len)
    }

    /// What the text occupies, in bytes.
    pub(super) fn held(&self) -> usize {
        self.text.capacity()
    }

    /// Adds `bytes` to a text that will have at most `max` bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], max: usize) -> Result<(), NotUtf8> {
        let want = capacity(self.text.capacity(), self.len() + bytes.len(), max);
        self.text.reserve_exact(want.saturating_sub(self.text.len()));
        while self.tail_len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            bytes = rest;
            self.complete(byte)?;
        }
        let (text, tail) = split(bytes)?;
        self.text.push_str(text);
        self.keep(tail);
        Ok(())
    }

    /// The whole text.
    pub(super) fn finish(self) -> Result<String, NotUtf8> {
        if self.tail_len > 0 { Err(NotUtf8) } else { Ok(self.text) }
    }

    /// Puts one more byte to the character that is begun.
    fn complete(&mut self, byte: u8) -> Result<(), NotUtf8> {
        let [a, b, c] = self.tail;
        let mut character = [a, b, c, 0];
        let len = usize::from(self.tail_len) + 1;
        if let Some(last) = character.get_mut(len - 1) {
            *last = byte;
        }
        let (text, tail) = split(character.get(..len).unwrap_or_default())?;
        self.text.push_str(text);
        self.keep(tail);
        Ok(())
    }

    fn keep(&mut self, tail: &[u8]) {
        self.tail_len = 0;
        for (to, from) in self.tail.iter_mut().zip(tail) {
            *to = *from;
            self.tail_len += 1;
        }
    }
}

/// The text that `bytes` begin with, and at their end at most three bytes of a character that is not whole.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), NotUtf8> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok((text, &[])),
        Err(error) => error,
    };
    // An error without a length is the end of the bytes within a character that may still become one.
    if error.error_len().is_some() {
        return Err(NotUtf8);
    }
    let (text, tail) = bytes.split_at_checked(error.valid_up_to()).ok_or(NotUtf8)?;
    Ok((std::str::from_utf8(text).map_err(|_| NotUtf8)?, tail))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(pieces: &[&[u8]]) -> Result<String, NotUtf8> {
        let mut buffer = TextBuffer::default();
        let max = pieces.iter().map(|piece| piece.len()).sum();
        for piece in pieces {
            buffer.push(piece, max)?;
        }
        assert_eq!(buffer.len(), max);
        buffer.finish()
    }

    #[track_caller]
    fn fails_at(bytes: &[u8], at: usize) {
        let mut buffer = TextBuffer::default();
        let failed = bytes.iter().position(|&byte| buffer.push(&[byte], bytes.len()).is_err());
        assert_eq!(failed, Some(at), "{bytes:x?}");
    }

    #[test]
    fn the_first_impossible_byte_fails() {
        fails_at(b"a\xff", 1);
        fails_at(b"\x80", 0);
        fails_at(b"\xc0\x80", 0);
        fails_at(b"\xe0\x80\x80", 1);
        fails_at(b"\xed\xa0\x80", 1);
        fails_at(b"\xf4\x90\x80\x80", 1);
        fails_at(b"\xf0\x80", 1);
        fails_at(b"\xf5", 0);
        fails_at(b"\xe2\x82a", 2);
        fails_at(b"\xf0\x9f\x98\x41", 3);
        fails_at("κόσμε".as_bytes().split_at(5).0.iter().chain(b"a").copied().collect::<Vec<_>>().as_slice(), 5);
    }

    #[test]
    fn a_text_that_ends_within_a_character_is_none() {
        assert_eq!(feed(&["€".as_bytes()]), Ok("€".to_owned()));
        assert_eq!(feed(&[b"\xe2", b"\x82"]), Err(NotUtf8));
        assert_eq!(feed(&[b"", b""]), Ok(String::new()));
    }

    #[test]
    fn the_buffer_never_passes_the_limit() {
        let mut buffer = TextBuffer::default();
        for _ in 0..100 {
            buffer.push(b"a", 100).unwrap();
            assert!(buffer.held() <= 100);
        }
        assert_eq!(buffer.finish().unwrap().len(), 100);
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let noise = prop_oneof![Just(vec![]), proptest::collection::vec(any::<u8>(), 0..3)];
        (any::<String>(), noise, any::<String>()).prop_map(|(a, b, c)| [a.into_bytes(), b, c.into_bytes()].concat())
    }

    proptest! {
        #[test]
        fn pieces_agree_with_the_standard_library(bytes in bytes(), cuts in proptest::collection::vec(1usize..5, 0..40)) {
            let mut rest = &bytes[..];
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let got = feed(&pieces).map_err(|_| ());
            prop_assert_eq!(got, String::from_utf8(bytes.clone()).map_err(|_| ()));
        }
    }
}
