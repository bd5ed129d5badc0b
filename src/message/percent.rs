//! Percent-encoding (RFC 3986, section 2.1): what may not stand in a part of a URL is `%` and two hex digits a byte.
//!
//! Owns: which characters stand for themselves. Never: decides what a decoded text may say.

/// What stands for itself in a path besides what is unreserved: sub-delims, `:`, `@` and the slash (RFC 3986, section 3.3).
pub const PATH: &str = "!$&'()*+,;=:@/";

/// `text` with every byte encoded but those that are unreserved (RFC 3986, section 2.3) or in `plain`.
#[must_use]
pub fn encode(text: &str, plain: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    push(&mut encoded, text, plain);
    encoded
}

/// Adds `text` to `into`, encoded as by [`encode`].
pub fn push(into: &mut String, text: &str, plain: &str) {
    for byte in text.bytes() {
        if is_unreserved(byte) || plain.as_bytes().contains(&byte) {
            into.push(char::from(byte));
        } else {
            let digit = |four: u8| char::from_digit(u32::from(four), 16).map(|digit| digit.to_ascii_uppercase());
            into.push('%');
            into.extend([digit(byte >> 4), digit(byte & 0xf)].into_iter().flatten());
        }
    }
}

/// Whether a byte means the same encoded or not, wherever it stands (RFC 3986, section 2.3).
#[must_use]
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The byte that the two characters after a `%` stand for; `None` if they are no hex digits.
#[must_use]
pub fn decode(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, plain: &str, expected: &str) {
        assert_eq!(encode(text, plain), expected, "{text}");
    }

    #[test]
    fn all_is_encoded_but_what_is_unreserved_or_plain() {
        check("aZ09-._~", "", "aZ09-._~");
        check("a b&=\u{e9}%/", "", "a%20b%26%3D%C3%A9%25%2F");
        check("/a b*\u{7f}\0", PATH, "/a%20b*%7F%00");
        check("?#[]{}|\\^`\"<>", PATH, "%3F%23%5B%5D%7B%7D%7C%5C%5E%60%22%3C%3E");
    }

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255 {
            let [high, low] = format!("{byte:02x}").into_bytes()[..] else { panic!("two digits") };
            assert_eq!(decode(high, low), Some(byte));
            assert_eq!(decode(high.to_ascii_uppercase(), low.to_ascii_uppercase()), Some(byte));
        }
        for (high, low) in [(b'g', b'0'), (b'0', b'G'), (b'+', b'1'), (b' ', b'1'), (b'%', b'4'), (0, 0)] {
            assert_eq!(decode(high, low), None);
        }
    }
}
