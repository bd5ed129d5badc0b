//! Where an answer's body is in what is heard (RFC 9112, sections 6 and 7.1).
//!
//! Owns: chunks and trailers. Never: IO, or a copy of a body's bytes.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::failure::Broken;
use super::head::Length;
use crate::limits;

/// A body on its way.
#[derive(Debug)]
pub(super) enum Decoder {
    /// So many bytes are to come.
    Length(u64),
    Chunked(Chunks),
    Close,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// A line with a size.
    Size,
    /// So many bytes of a chunk are to come.
    Data(u64),
    /// The end of the line behind a chunk.
    Behind,
    Trailers,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Nothing until more is heard.
    More,
    End,
}

impl Decoder {
    pub(super) fn new(length: Length) -> Decoder {
        match length {
            Length::Known(0) => Decoder::Ended,
            Length::Known(length) => Decoder::Length(length),
            Length::Chunked => Decoder::Chunked(Chunks::Size),
            Length::Close => Decoder::Close,
        }
    }

    /// The bytes that are to come, where they are known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Decoder::Length(left) => Some(*left),
            Decoder::Ended => Some(0),
            Decoder::Chunked(_) | Decoder::Close => None,
        }
    }

    /// The bytes of data that come next for certain, without anything between.
    pub(super) fn run(&self) -> u64 {
        match self {
            Decoder::Length(left) | Decoder::Chunked(Chunks::Data(left)) => *left,
            Decoder::Close => u64::MAX,
            Decoder::Chunked(Chunks::Size | Chunks::Behind | Chunks::Trailers) | Decoder::Ended => 0,
        }
    }

    /// Data was read of the run that is to come.
    pub(super) fn pass(&mut self, count: usize) {
        let count = count as u64;
        match self {
            Decoder::Length(left) => {
                *left = left.saturating_sub(count);
                if *left == 0 {
                    *self = Decoder::Ended;
                }
            }
            Decoder::Chunked(Chunks::Data(left)) => {
                *left = left.saturating_sub(count);
                if *left == 0 {
                    *self = Decoder::Chunked(Chunks::Behind);
                }
            }
            Decoder::Chunked(Chunks::Size | Chunks::Behind | Chunks::Trailers) | Decoder::Close | Decoder::Ended => {}
        }
    }

    /// The connection has ended; whether that is the body's end.
    pub(super) fn finish(&mut self) -> bool {
        let whole = matches!(self, Decoder::Close | Decoder::Ended);
        *self = Decoder::Ended;
        whole
    }

    /// Takes the next piece off what was `heard`.
    ///
    /// # Errors
    /// If it is no chunk.
    pub(super) fn take(&mut self, heard: &mut BytesMut) -> Result<Piece, Broken> {
        loop {
            let run = usize::try_from(self.run()).unwrap_or(usize::MAX);
            if run > 0 {
                if heard.is_empty() {
                    return Ok(Piece::More);
                }
                let data = heard.split_to(run.min(heard.len())).freeze();
                self.pass(data.len());
                return Ok(Piece::Data(data));
            }
            let Decoder::Chunked(chunks) = self else { return Ok(Piece::End) };
            match chunks.line(heard)? {
                Line::None => return Ok(Piece::More),
                Line::Then(next) => *chunks = next,
                Line::End(trailers) => {
                    *self = Decoder::Ended;
                    return Ok(trailers.map_or(Piece::End, Piece::Trailers));
                }
            }
        }
    }
}

/// What a line between two chunks says.
enum Line {
    /// It is not there whole.
    None,
    Then(Chunks),
    End(Option<HeaderMap>),
}

impl Chunks {
    fn line(self, heard: &mut BytesMut) -> Result<Line, Broken> {
        match self {
            Chunks::Size => {
                let Some(end) = line_end(heard)? else { return Ok(Line::None) };
                let size = size(heard.get(..end).unwrap_or_default())?;
                let _line = heard.split_to(end + 2);
                Ok(Line::Then(if size == 0 { Chunks::Trailers } else { Chunks::Data(size) }))
            }
            Chunks::Behind => match &**heard {
                [b'\r', b'\n', ..] => {
                    let _line = heard.split_to(2);
                    Ok(Line::Then(Chunks::Size))
                }
                [] | [b'\r'] => Ok(Line::None),
                [..] => Err(Broken::Chunk("longer than it says")),
            },
            Chunks::Trailers => trailers(heard),
            Chunks::Data(_) => Ok(Line::None),
        }
    }
}

/// Where a chunk's line ends, less its CR LF.
fn line_end(heard: &[u8]) -> Result<Option<usize>, Broken> {
    match memchr::memchr(b'\n', heard) {
        Some(end) if end > 0 && heard.get(end - 1) == Some(&b'\r') && end <= limits::UPSTREAM_CHUNK_LINE => {
            Ok(Some(end - 1))
        }
        Some(end) if end <= limits::UPSTREAM_CHUNK_LINE => Err(Broken::Chunk("ended by LF alone")),
        None if heard.len() <= limits::UPSTREAM_CHUNK_LINE => Ok(None),
        Some(_) | None => Err(Broken::Chunk("preceded by a line that is too long")),
    }
}

/// A chunk's size; its extensions say nothing to us (section 7.1.1), but for a CR alone, where some see a line's end.
fn size(line: &[u8]) -> Result<u64, Broken> {
    if memchr::memchr(b'\r', line).is_some() {
        return Err(Broken::Chunk("preceded by a line with a CR in it"));
    }
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let is_size = !digits.is_empty() && digits.len() <= 16 && digits.iter().all(u8::is_ascii_hexdigit);
    let size = std::str::from_utf8(digits).ok().filter(|_| is_size);
    // A size that no length could have (2^63) is nobody's.
    let size = size.and_then(|digits| i64::from_str_radix(digits, 16).ok()).and_then(|size| u64::try_from(size).ok());
    size.ok_or(Broken::Chunk("without a size"))
}

fn trailers(heard: &mut BytesMut) -> Result<Line, Broken> {
    if heard.starts_with(b"\r\n") {
        let _line = heard.split_to(2);
        return Ok(Line::End(None));
    }
    let mut fields = [httparse::EMPTY_HEADER; limits::UPSTREAM_FIELDS];
    let no_http = |error: &dyn std::fmt::Display| Broken::NoHttp(error.to_string());
    let (length, map) = match httparse::parse_headers(heard, &mut fields).map_err(|error| no_http(&error))? {
        httparse::Status::Partial if heard.len() < limits::UPSTREAM_TRAILERS => return Ok(Line::None),
        httparse::Status::Complete((length, fields)) if length <= limits::UPSTREAM_TRAILERS => {
            let mut map = HeaderMap::with_capacity(fields.len());
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|error| no_http(&error))?;
                map.append(name, HeaderValue::from_bytes(field.value).map_err(|error| no_http(&error))?);
            }
            (length, map)
        }
        httparse::Status::Partial | httparse::Status::Complete(_) => {
            return Err(Broken::Trailers(limits::UPSTREAM_TRAILERS));
        }
    };
    let _lines = heard.split_to(length);
    Ok(Line::End(Some(map)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in `text`, which is heard `step` bytes at a time: data joined, `|` before trailers, `.` at the end,
    /// what is left; or the failure.
    fn found(length: Length, text: &str, step: usize) -> String {
        let (mut decoder, mut heard, mut found) = (Decoder::new(length), BytesMut::new(), String::new());
        let mut pieces = text.as_bytes().chunks(step);
        loop {
            match decoder.take(&mut heard) {
                Ok(Piece::Data(data)) => found.push_str(std::str::from_utf8(&data).unwrap()),
                Ok(Piece::Trailers(map)) => {
                    let fields: Vec<_> =
                        map.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
                    found = format!("{found}|{}", fields.join(","));
                }
                Ok(Piece::End) => {
                    let rest: Vec<u8> = heard.iter().copied().chain(pieces.flatten().copied()).collect();
                    return format!("{found}.{}", String::from_utf8(rest).unwrap());
                }
                Ok(Piece::More) => match pieces.next() {
                    Some(piece) => heard.extend_from_slice(piece),
                    None => return if decoder.finish() { format!("{found}!") } else { format!("{found}?") },
                },
                Err(error) => return error.to_string(),
            }
        }
    }

    #[track_caller]
    fn check(length: Length, text: &str, expected: &str) {
        for step in [1, 2, 3, 7, text.len().max(1)] {
            assert_eq!(found(length, text, step), expected, "{text:?} by {step}");
        }
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        check(Length::Known(0), "rest", ".rest");
        check(Length::Known(4), "bodyrest", "body.rest");
        check(Length::Known(4), "bod", "bod?");
        check(Length::Close, "all of it", "all of it!");
    }

    #[test]
    fn chunks_are_joined_and_trailers_told() {
        check(Length::Chunked, "4\r\nbody\r\n0\r\n\r\nrest", "body.rest");
        check(Length::Chunked, "2;a=b;c\r\nbo\r\n0002 \r\ndy\r\n000\r\nX-Sum: 1\r\nY:2\r\n\r\n", "body|x-sum=1,y=2.");
        check(Length::Chunked, "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789.");
        check(Length::Chunked, "4\r\nbody\r\n", "body?");
        check(Length::Chunked, "4\r\nbody\r\n0\r\n", "body?");
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let size = "a chunk of its answer is without a size";
        for bad in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            " 4\r\nbody\r\n",
            "0x4\r\nbody",
            "8000000000000000\r\n",
            "00000000000000001\r\n",
        ] {
            check(Length::Chunked, bad, size);
        }
        check(Length::Chunked, "4\nbody\r\n", "a chunk of its answer is ended by LF alone");
        check(Length::Chunked, "4\r\nbodyx\r\n", "a chunk of its answer is longer than it says");
        let cr = "a chunk of its answer is preceded by a line with a CR in it";
        for bad in ["4\r\r\nbody\r\n", "4;a\rb\r\nbody\r\n", "\r4\r\nbody\r\n"] {
            check(Length::Chunked, bad, cr);
        }
        let longest = "x".repeat(limits::UPSTREAM_CHUNK_LINE - 3);
        check(Length::Chunked, &format!("4;{longest}\r\nbody\r\n0\r\n\r\n"), "body.");
        check(
            Length::Chunked,
            &format!("4;x{longest}\r\nbody\r\n"),
            "a chunk of its answer is preceded by a line that is too long",
        );
        let long = format!("4;{}\r\n", "x".repeat(limits::UPSTREAM_CHUNK_LINE));
        check(Length::Chunked, &long, "a chunk of its answer is preceded by a line that is too long");
        let long = format!("0\r\nX: {}\r\n\r\n", "x".repeat(limits::UPSTREAM_TRAILERS));
        check(Length::Chunked, &long, &Broken::Trailers(limits::UPSTREAM_TRAILERS).to_string());
    }
}
