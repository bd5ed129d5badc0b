//! A recording, line by line: what `steadfeed record` wrote, or a person did.
//!
//! Owns: at most one line, of [`limits::RECORDED_LINE`] bytes. Never: stops at a bad line; it is told, and the next read.

use std::io::{self, BufRead, Read as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use crate::cli::watch::message::clip;
use crate::limits;

/// The lines of a recording.
#[derive(Debug)]
pub(super) struct Recording<Input> {
    input: Input,
    line: u64,
    ended: bool,
}

/// One message, and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) time: Timestamp,
    pub(super) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Text(String),
    Binary(Bytes),
}

/// Why a line is no recorded message.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadLine {
    #[error("it is longer than {} bytes", limits::RECORDED_LINE)]
    TooLong,
    #[error("this is no recorded message ({0}); write {{\"time\": \"2026-01-31T12:00:00Z\", \"text\": \"...\"}}")]
    Malformed(String),
    #[error("`time` is no time ({0}); write it as in \"2026-01-31T12:00:00.000Z\"")]
    Time(String),
    #[error("it has neither `text` nor `binary`; write one of them")]
    Nothing,
    #[error("it has both `text` and `binary`; keep one of them")]
    Both,
    #[error("`binary` is no base64 ({0})")]
    Base64(base64::DecodeError),
    #[error("it cannot be read: {0}")]
    Io(io::Error),
}

/// A line as it is written.
#[derive(Deserialize)]
struct Written {
    time: String,
    text: Option<String>,
    binary: Option<String>,
}

impl<Input: BufRead> Recording<Input> {
    pub(super) fn new(input: Input) -> Recording<Input> {
        Recording { input, line: 0, ended: false }
    }

    /// The next line that is not empty, and its number, from 1; `None` at the end.
    pub(super) fn next(&mut self) -> Option<(u64, Result<Recorded, BadLine>)> {
        while !self.ended {
            let bytes = match self.read() {
                Ok(bytes) => bytes,
                Err(bad) => return Some((self.line, Err(bad))),
            };
            // At the end there is a last line only where something stands on it.
            if !bytes.trim_ascii().is_empty() {
                return Some((self.line, Recorded::parse(&bytes)));
            }
        }
        None
    }

    /// The bytes of the next line, with its end.
    fn read(&mut self) -> Result<Vec<u8>, BadLine> {
        self.line += 1;
        let mut bytes = Vec::new();
        let most = u64::try_from(limits::RECORDED_LINE).unwrap_or(u64::MAX);
        let read = self.input.by_ref().take(most.saturating_add(1)).read_until(b'\n', &mut bytes);
        if let Err(error) = read {
            self.ended = true;
            return Err(BadLine::Io(error));
        }
        if bytes.last() == Some(&b'\n') {
            return Ok(bytes);
        }
        if bytes.len() > limits::RECORDED_LINE {
            drop(bytes);
            self.skip_line();
            return Err(BadLine::TooLong);
        }
        self.ended = true;
        Ok(bytes)
    }

    fn skip_line(&mut self) {
        loop {
            let (used, done) = match self.input.fill_buf() {
                Ok([]) | Err(_) => {
                    self.ended = true;
                    return;
                }
                Ok(buffer) => match memchr::memchr(b'\n', buffer) {
                    Some(end) => (end + 1, true),
                    None => (buffer.len(), false),
                },
            };
            self.input.consume(used);
            if done {
                return;
            }
        }
    }
}

impl Recorded {
    fn parse(line: &[u8]) -> Result<Recorded, BadLine> {
        let short = |error: &dyn std::error::Error| clip(&error.to_string(), limits::WATCH_LINE);
        let written: Written = serde_json::from_slice(line).map_err(|error| BadLine::Malformed(short(&error)))?;
        let time = written.time.parse().map_err(|error: jiff::Error| BadLine::Time(short(&error)))?;
        let body = match (written.text, written.binary) {
            (Some(text), None) => Body::Text(text),
            (None, Some(binary)) => Body::Binary(STANDARD.decode(binary).map_err(BadLine::Base64)?.into()),
            (None, None) => return Err(BadLine::Nothing),
            (Some(_), Some(_)) => return Err(BadLine::Both),
        };
        Ok(Recorded { time, body })
    }

    /// Bytes of the message.
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len(),
            Body::Binary(bytes) => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a recording reads as: each line's number and message, or the beginning of why not.
    #[track_caller]
    fn check(text: &str, expected: &[(u64, &str)]) {
        let mut recording = Recording::new(text.as_bytes());
        let mut told = Vec::new();
        while let Some((line, read)) = recording.next() {
            told.push(match read {
                Ok(Recorded { time, body: Body::Text(text) }) => (line, format!("{time} {text}")),
                Ok(Recorded { time, body: Body::Binary(bytes) }) => (line, format!("{time} {bytes:?}")),
                Err(bad) => (line, bad.to_string()),
            });
        }
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for ((line, told), (wanted_line, wanted)) in told.iter().zip(expected) {
            assert!(line == wanted_line && told.starts_with(wanted), "{line}: {told}");
        }
    }

    #[test]
    fn a_line_is_a_text_or_binary_message() {
        check(
            "{\"time\":\"2026-01-31T12:00:00.5Z\",\"text\":\"a\\n\\u00e9\"}\r\n\n  \n{\"binary\":\"AP8K\",\"more\":1,\"time\":\"2026-01-31T13:00:00+01:00\"}",
            &[(1, "2026-01-31T12:00:00.5Z a\né"), (4, "2026-01-31T12:00:00Z b\"\\0\\xff\\n\"")],
        );
        check("", &[]);
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_and_the_next_is_read() {
        let good = "{\"time\":\"2026-01-31T12:00:00Z\",\"text\":\"\"}";
        let lines = [
            "nonsense",
            good,
            "{\"text\":\"\"}",
            "{\"time\":\"yesterday\",\"text\":\"\"}",
            "{\"time\":\"2026-01-31T12:00:00\",\"text\":\"\"}",
            "{\"time\":\"2026-01-31T12:00:00Z\"}",
            "{\"time\":\"2026-01-31T12:00:00Z\",\"text\":\"\",\"binary\":\"\"}",
            "{\"time\":\"2026-01-31T12:00:00Z\",\"binary\":\"?\"}",
            "{\"time\":\"2026-01-31T12:00:00Z\",\"text\":\"\\ud800\"}",
            good,
        ];
        check(
            &lines.join("\n"),
            &[
                (1, "this is no recorded message (expected"),
                (2, "2026-01-31T12:00:00Z "),
                (3, "this is no recorded message (missing field `time`"),
                (4, "`time` is no time"),
                (5, "`time` is no time"),
                (6, "it has neither"),
                (7, "it has both"),
                (8, "`binary` is no base64"),
                (9, "this is no recorded message (unexpected end of hex escape"),
                (10, "2026-01-31T12:00:00Z "),
            ],
        );
    }

    #[test]
    fn a_line_over_the_bound_is_passed_over_without_being_held() {
        let long = io::repeat(b'x').take(limits::RECORDED_LINE as u64 + 70_000);
        let rest: &[u8] = b"\n{\"time\":\"2026-01-31T12:00:00Z\",\"text\":\"next\"}\n";
        let mut recording = Recording::new(io::BufReader::new(long.chain(rest)));
        assert!(matches!(recording.next(), Some((1, Err(BadLine::TooLong)))));
        assert!(matches!(recording.next(), Some((2, Ok(recorded))) if recorded.body == Body::Text("next".to_owned())));
        assert!(recording.next().is_none());
    }

    #[test]
    fn the_largest_message_that_is_recorded_can_be_read_whatever_is_in_it() {
        let worst = "\u{1}".repeat(limits::WATCH_MESSAGE);
        let line =
            format!("{{\"time\":\"2026-01-31T12:00:00.000Z\",\"text\":\"{}\"}}\n", worst.replace('\u{1}', "\\u0001"));
        let mut recording = Recording::new(line.as_bytes());
        assert!(matches!(recording.next(), Some((1, Ok(recorded))) if recorded.len() == limits::WATCH_MESSAGE));
    }
}
