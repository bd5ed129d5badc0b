//! The fields that tell a server of a request's way: who asked, for which host, and what the request is called.
//!
//! Owns: their lines as HTTP/1.1 writes them (RFC 9112, section 5), one after the other in one piece of memory: they are
//! sent as they are, and no map of headers grows for them. Never: knows what they say.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// One of the fields, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `X-Forwarded-For`.
    For,
    /// RFC 7239.
    Forwarded,
    /// `X-Forwarded-Proto`.
    Proto,
    /// `X-Forwarded-Host`.
    Host,
    /// `X-Forwarded-Port`.
    Port,
    /// W3C Trace Context.
    Traceparent,
    /// `X-Request-Id`.
    RequestId,
}

/// The names, in lower case, in the order of [`Field`].
const NAMES: [&str; 7] = [
    "x-forwarded-for",
    "forwarded",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "traceparent",
    "x-request-id",
];

/// Room for what most requests are told of, in bytes.
const USUAL: usize = 384;

/// The lines.
#[derive(Debug, Default)]
pub struct Trail {
    lines: Vec<u8>,
    /// Where each field's line ends; that of one that is not there ends where it begins.
    ends: [usize; NAMES.len()],
}

/// A line being written.
#[derive(Debug)]
pub struct Line<'a> {
    trail: &'a mut Trail,
    field: Field,
    /// Where its value begins.
    from: usize,
}

impl Field {
    fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

impl Trail {
    /// Nothing yet, with room for what most requests are told of.
    #[must_use]
    pub fn new() -> Trail {
        Trail { lines: Vec::with_capacity(USUAL), ends: [0; NAMES.len()] }
    }

    /// Begins the line of `field`; those of fields before it have been written.
    pub fn line(&mut self, field: Field) -> Line<'_> {
        self.lines.extend_from_slice(field.name().as_bytes());
        self.lines.extend_from_slice(b": ");
        Line { from: self.lines.len(), trail: self, field }
    }

    /// The lines, each with its CRLF.
    #[must_use]
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Sets the fields in `headers`, for whoever needs them there; nothing is left here.
    pub fn set(&mut self, headers: &mut HeaderMap) {
        let lines = Bytes::from(std::mem::take(&mut self.lines));
        let mut start = 0;
        for (name, end) in NAMES.into_iter().zip(std::mem::take(&mut self.ends)) {
            let (from, to) = (start + name.len() + 2, end.saturating_sub(2));
            start = end.max(start);
            if from > to {
                continue;
            }
            // What a line may hold, a value may.
            if let Ok(value) = HeaderValue::from_maybe_shared(lines.slice(from..to)) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

impl Line<'_> {
    pub fn push(&mut self, text: &str) {
        self.trail.lines.extend_from_slice(text.as_bytes());
    }

    /// 16 digits.
    pub fn push_hex(&mut self, number: u64) {
        let halves = [digits((number >> 32) as u32), digits(number as u32)];
        self.trail.lines.extend_from_slice(halves.as_flattened());
    }

    /// In decimals.
    pub fn push_number(&mut self, number: u16) {
        let mut digits = [0; 5];
        let (mut left, mut at) = (number, digits.len());
        while at == digits.len() || left > 0 {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.trail.lines.extend_from_slice(&digits[at..]);
    }

    /// As usual, an IPv6 address without brackets.
    pub fn push_address(&mut self, address: IpAddr) {
        let IpAddr::V4(address) = address else { return self.push(&address.to_string()) };
        let [first, rest @ ..] = address.octets();
        self.push_number(first.into());
        for octet in rest {
            self.push(".");
            self.push_number(octet.into());
        }
    }

    /// The line is whole. What may not be a field's value (RFC 9110, section 5.5) leaves no line.
    pub fn end(self) {
        let Line { trail, field, from } = self;
        let allowed = |byte: &u8| (*byte >= b' ' && *byte != 0x7f) || *byte == b'\t';
        let good = trail.lines.get(from..).unwrap_or_default().iter().fold(true, |good, byte| good & allowed(byte));
        if good {
            trail.lines.extend_from_slice(b"\r\n");
        } else {
            trail.lines.truncate(from - field.name().len() - 2);
        }
        let end = trail.lines.len();
        trail.ends.iter_mut().skip(field as usize).for_each(|last| *last = end);
    }
}

/// 8 digits at once: each half-byte in a byte of its own, then made a letter or a figure.
fn digits(number: u32) -> [u8; 8] {
    let spread = u64::from(number);
    let spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // Ten and more carry into the bit above.
    let letters = ((spread + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(trail: &mut Trail, field: Field, value: &str) {
        let mut line = trail.line(field);
        line.push(value);
        line.end();
    }

    #[track_caller]
    fn check(write: impl Fn(&mut Line<'_>), expected: &str) {
        let mut trail = Trail::new();
        let mut line = trail.line(Field::Port);
        write(&mut line);
        line.end();
        assert_eq!(String::from_utf8_lossy(trail.lines()), format!("x-forwarded-port: {expected}\r\n"));
    }

    #[test]
    fn numbers_and_addresses_read_as_usual() {
        check(|line| line.push_number(0), "0");
        check(|line| line.push_number(80), "80");
        check(|line| line.push_number(65_535), "65535");
        check(|line| line.push_hex(0), "0000000000000000");
        check(|line| line.push_hex(0x0123_4567_89ab_cdef), "0123456789abcdef");
        for address in ["0.0.0.0", "192.0.2.70", "255.255.255.255", "2001:db8::1", "::ffff:192.0.2.7"] {
            check(|line| line.push_address(address.parse().unwrap()), address);
        }
    }

    #[test]
    fn the_same_is_said_in_lines_and_in_a_map() {
        let mut trail = Trail::new();
        line(&mut trail, Field::For, "192.0.2.7");
        line(&mut trail, Field::Host, "");
        line(&mut trail, Field::RequestId, "a b");
        let lines = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-host: \r\nx-request-id: a b\r\n";
        assert_eq!(String::from_utf8_lossy(trail.lines()), lines);
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("another"));
        trail.set(&mut headers);
        let mut set: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        set.sort_unstable();
        assert_eq!(set, [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-host", ""), ("x-request-id", "a b")]);
        assert!(trail.lines().is_empty());
        trail.set(&mut headers);
        assert_eq!(headers.len(), 3, "it is set once");
    }

    #[test]
    fn what_would_break_a_line_is_no_line() {
        for odd in ["a\r\nb: c", "a\nb", "\0", "\u{7f}"] {
            let mut trail = Trail::new();
            line(&mut trail, Field::For, "192.0.2.7");
            line(&mut trail, Field::Host, odd);
            line(&mut trail, Field::Port, "80");
            let lines = String::from_utf8_lossy(trail.lines()).into_owned();
            assert_eq!(lines, "x-forwarded-for: 192.0.2.7\r\nx-forwarded-port: 80\r\n", "{odd:?}");
            let mut headers = HeaderMap::new();
            trail.set(&mut headers);
            assert_eq!((headers.len(), &headers["x-forwarded-port"]), (2, &HeaderValue::from_static("80")));
        }
    }

    #[test]
    fn the_names_are_those_of_the_fields() {
        for (field, name) in [(Field::For, "x-forwarded-for"), (Field::Proto, "x-forwarded-proto")] {
            assert_eq!(field.name(), name);
        }
        assert_eq!((Field::RequestId as usize, Field::RequestId.name()), (NAMES.len() - 1, "x-request-id"));
    }
}
