//! Watching an HTTP/1 connection's incoming bytes for what hyper does not tell of their heads.
//!
//! Owns: finding each head and the end of each body, as hyper does: what hyper refuses is not understood here, since the
//! connection ends there. Never: judges (that is [`framing`]), keeps or copies a byte.

use std::sync::Arc;

use memchr::memchr;

use super::framing::{self, Verdict};

const LENGTH: &[u8] = b"content-length";
const ENCODING: &[u8] = b"transfer-encoding";

/// Follows one connection.
#[derive(Debug)]
pub struct Heads {
    at: At,
    /// Heads that are complete.
    count: u64,
    /// The body's length, as the head under way gives it.
    length: u64,
    lengths: u8,
    encodings: u8,
    verdict: Arc<Verdict>,
}

/// What the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Of a request line, or of an empty line before it.
    Start,
    RequestLine,
    LineStart,
    /// After so many bytes of this name.
    Name(&'static [u8], u8),
    Value,
    /// Of a line that does not matter.
    Line,
    /// The end of the empty line after a head.
    HeadEnd,
    Body(u64),
    ChunkSize(u64),
    /// After a chunk's size.
    ChunkLine(u64),
    ChunkLineEnd(u64),
    Chunk(u64),
    ChunkEnd,
    ChunkEndLine,
    TrailerStart,
    Trailer,
    TrailerEnd,
    TrailersEnd,
    /// Nothing from here on is served.
    Nowhere,
}

impl Heads {
    /// Tells `verdict` of the first bad one.
    #[must_use]
    pub fn new(verdict: Arc<Verdict>) -> Heads {
        Heads { at: At::Start, count: 0, length: 0, lengths: 0, encodings: 0, verdict }
    }

    /// These came next.
    pub fn see(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            let taken = match self.at {
                At::Nowhere => return,
                At::RequestLine | At::Line => match memchr(b'\n', bytes) {
                    Some(end) => {
                        self.at = At::LineStart;
                        end + 1
                    }
                    None => return,
                },
                At::Body(left) => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - taken as u64;
                    self.at = if left == 0 { At::Start } else { At::Body(left) };
                    taken
                }
                At::Chunk(left) => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - taken as u64;
                    self.at = if left == 0 { At::ChunkEnd } else { At::Chunk(left) };
                    taken
                }
                At::Trailer => match memchr(b'\r', bytes) {
                    Some(end) => {
                        self.at = At::TrailerEnd;
                        end + 1
                    }
                    None => return,
                },
                At::Start | At::LineStart | At::Name(..) | At::Value | At::HeadEnd => self.in_head(*first),
                At::ChunkSize(_)
                | At::ChunkLine(_)
                | At::ChunkLineEnd(_)
                | At::ChunkEnd
                | At::ChunkEndLine
                | At::TrailerStart
                | At::TrailerEnd
                | At::TrailersEnd => self.in_chunks(*first),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// One byte of a head; gives how many were taken.
    fn in_head(&mut self, byte: u8) -> usize {
        self.at = match (self.at, byte) {
            (At::Start, b'\r' | b'\n') => At::Start,
            (At::Start, _) => At::RequestLine,
            (At::LineStart, b'\r') => At::HeadEnd,
            (At::LineStart | At::HeadEnd, b'\n') => return self.end_head(),
            (At::LineStart, b'c' | b'C') => At::Name(LENGTH, 1),
            (At::LineStart, b't' | b'T') => At::Name(ENCODING, 1),
            (At::Name(name, seen), _) => return self.in_name(name, seen, byte),
            (At::Value, b'0'..=b'9') => {
                self.length = self.length.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                At::Value
            }
            (At::Value, b'\n') => At::LineStart,
            (At::Value, _) => At::Value,
            (At::HeadEnd, _) => At::Nowhere,
            (_, _) => At::Line,
        };
        1
    }

    fn in_name(&mut self, name: &'static [u8], seen: u8, byte: u8) -> usize {
        match name.get(usize::from(seen)) {
            Some(expected) if byte.eq_ignore_ascii_case(expected) => self.at = At::Name(name, seen + 1),
            None if byte == b':' && name == LENGTH => {
                self.lengths = self.lengths.saturating_add(1);
                self.length = 0;
                self.at = At::Value;
            }
            None if byte == b':' => {
                self.encodings = self.encodings.saturating_add(1);
                self.at = At::Line;
            }
            Some(_) | None => {
                self.at = At::Line;
                return 0;
            }
        }
        1
    }

    fn end_head(&mut self) -> usize {
        let (lengths, encodings) = (std::mem::take(&mut self.lengths), std::mem::take(&mut self.encodings));
        let length = std::mem::take(&mut self.length);
        self.at = match (framing::counted(lengths, encodings), encodings, length) {
            (Some(rule), _, _) => {
                self.verdict.condemn(self.count, rule);
                At::Nowhere
            }
            (None, 0, 0) => At::Start,
            (None, 0, length) => At::Body(length),
            (None, _, _) => At::ChunkSize(0),
        };
        self.count += 1;
        1
    }

    /// One byte of a chunked body (RFC 9112, section 7.1), outside of its data.
    fn in_chunks(&mut self, byte: u8) -> usize {
        self.at = match (self.at, byte) {
            (At::ChunkSize(size) | At::ChunkLine(size), b'\r') => At::ChunkLineEnd(size),
            (At::ChunkSize(size), _) => match (char::from(byte).to_digit(16), size.checked_mul(16)) {
                (Some(digit), Some(size)) => At::ChunkSize(size.saturating_add(u64::from(digit))),
                (None, _) if matches!(byte, b' ' | b'\t' | b';') => At::ChunkLine(size),
                (Some(_) | None, _) => At::Nowhere,
            },
            (At::ChunkLine(size), _) => At::ChunkLine(size),
            (At::ChunkLineEnd(0), b'\n') => At::TrailerStart,
            (At::ChunkLineEnd(size), b'\n') => At::Chunk(size),
            (At::ChunkEnd, b'\r') => At::ChunkEndLine,
            (At::ChunkEndLine, b'\n') => At::ChunkSize(0),
            (At::TrailerStart, b'\r') => At::TrailersEnd,
            (At::TrailerStart, _) => At::Trailer,
            (At::TrailerEnd, b'\n') => At::TrailerStart,
            (At::TrailersEnd, b'\n') => At::Start,
            (_, _) => At::Nowhere,
        };
        1
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{At, Heads};
    use crate::message::framing::{Rule, Verdict};

    /// Sees `bytes` in pieces of every size: the first bad head, how many there are, and where it stands at the end.
    #[track_caller]
    fn check(bytes: &str, expected: Option<(u64, Rule)>, count: u64, at: At) {
        for size in 1..=bytes.len() {
            let verdict = Arc::new(Verdict::default());
            let mut heads = Heads::new(Arc::clone(&verdict));
            bytes.as_bytes().chunks(size).for_each(|piece| heads.see(piece));
            let first = (0..100).find_map(|index| Some((index, verdict.of(index)?)));
            assert_eq!((first, heads.count, heads.at), (expected, count, at), "{bytes:?} in pieces of {size}");
        }
    }

    #[test]
    fn heads_are_found_between_bodies() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", None, 1, At::Start);
        check("\r\n\r\nGET / HTTP/1.1\nHost: a\nCookie: x\n\nGET / HTTP/1.1\r\n\r\n", None, 2, At::Start);
        check("POST / HTTP/1.1\r\ncontent-LENGTH:  12 \r\n\r\nGET / HTTP/1GET / HTTP/1.1\r\n\r\n", None, 2, At::Start);
        check("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", None, 1, At::Body(1));
        check("POST / HTTP/1.1\r\nContent-Lengthy: 3\r\nTransfer: a\r\n\r\n", None, 1, At::Start);
        check("GET / HTTP/1.1\r\nC\r\nT: a\r\nContent-Length\r\n\r\n", None, 1, At::Start);
    }

    #[test]
    fn chunked_bodies_are_followed_to_their_end() {
        let post = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{post}a;x=\"1\"\r\n0\r\n\r\nGET /\r\n0\r\n\r\n"), None, 1, At::Start);
        check(
            &format!("{post}1A \r\n{}\r\n0\r\nA: b\r\nC: d\r\n\r\n{post}", "x".repeat(26)),
            None,
            2,
            At::ChunkSize(0),
        );
        check(&format!("{post}5\r\nab"), None, 1, At::Chunk(3));
        check(&format!("{post}5\nab"), None, 1, At::Nowhere);
        check(&format!("{post}0\r\nA: b\nC: d\r\n\r\n"), None, 1, At::Start);
        check(&format!("{post}ffffffffffffffffff\r\n"), None, 1, At::Nowhere);
    }

    #[test]
    fn what_hyper_hides_is_seen() {
        let good = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
        let check = |head: &str, rule: Rule| {
            check(&format!("{good}{head}\r\n\r\n{good}"), Some((1, rule)), 2, At::Nowhere);
        };
        check("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", Rule::LengthAndEncoding);
        check("POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\ncontent-length:5", Rule::LengthAndEncoding);
        check("POST / HTTP/1.1\r\nContent-Length: 5\r\nX: y\r\nContent-Length: 5", Rule::Lengths);
        check("POST / HTTP/1.1\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked", Rule::Encoding);
    }
}
