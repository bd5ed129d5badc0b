//! `steadfeed record URL`: what a source says, as it says it, with the time at which each message came.
//!
//! Owns: the line of a message, which `explain` reads. Never: changes a message; whatever `watch` would do to show it.

use std::io;
use std::num::NonZeroU64;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::watch::message::{Body, Message};
use super::watch::{Dial, End, keep_while, lines, link};
use super::{complain, runtime};

pub(super) const EXAMPLES: &str = "\
A line is {\"time\": RFC 3339, \"text\": \"...\"}, or with \"binary\" and base64 in place of \"text\".

Examples:
  steadfeed record ws://localhost:8000/ws > frames.jsonl       until Ctrl-C
  steadfeed record http://localhost:8000/events --count 20 > frames.jsonl
  steadfeed explain --feed dashboard < frames.jsonl            what viewers would get of it

Exits with 0 on Ctrl-C or after --count messages, and with 1 when the server refuses before it ever accepted; a \
connection that is lost is dialled again.";

/// The arguments of `record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub dial: Dial,
}

/// One line of a recording; exactly one of `text` and `binary`.
#[derive(Serialize)]
struct Recorded<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary: Option<String>,
}

/// Records until it is told to end.
pub fn run(args: Args) -> ExitCode {
    let (count, request) = (args.dial.count, args.dial.request());
    match runtime().and_then(|runtime| runtime.block_on(record(&request, count))) {
        Ok(end) => end.into(),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn record(request: &link::Request, count: Option<NonZeroU64>) -> io::Result<End> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let title = request.target.to_string();
    let end = keep_while(request, async |events, _redial| {
        let (mut out, mut complaints) = (io::stdout().lock(), io::stderr());
        let lines = lines::Lines { out: &mut out, complaints: &mut complaints, title, count, line: now };
        // Told to end, it ends between two lines: each is written whole, and flushed.
        tokio::select! {
            end = lines.run(events) => end,
            _ = interrupt.recv() => End::Done,
            _ = terminate.recv() => End::Done,
        }
    });
    Ok(end.await.unwrap_or(End::Done))
}

fn now(message: &Message) -> String {
    line(message, Timestamp::now())
}

/// The line of a message that came at `time`, without its end.
fn line(message: &Message, time: Timestamp) -> String {
    let (text, binary) = match &message.body {
        Body::Text(text) => (Some(text.as_str()), None),
        Body::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
    };
    // Strings alone: there is nothing that JSON could not say.
    serde_json::to_string(&Recorded { time: format!("{time:.3}"), text, binary }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[track_caller]
    fn check(body: Body, expected: &str) {
        let time = "2026-02-15T09:30:00.1239Z".parse().unwrap();
        assert_eq!(line(&Message { body, event: "stats".to_owned() }, time), expected);
    }

    #[test]
    fn a_text_stays_exactly_what_it_was() {
        let came = "{\"a\": 1.50,\n \"b\":\"\\u00e9 é \u{1b}\u{2028}\"}\r\n";
        let written = "{\"time\":\"2026-02-15T09:30:00.123Z\",\"text\":\"{\\\"a\\\": 1.50,\\n \\\"b\\\":\\\"\\\\u00e9 é \\u001b\u{2028}\\\"}\\r\\n\"}";
        check(Body::Text(came.to_owned()), written);
        let read: serde_json::Value = serde_json::from_str(written).unwrap();
        assert_eq!(read["text"], came);
        check(Body::Text(String::new()), r#"{"time":"2026-02-15T09:30:00.123Z","text":""}"#);
    }

    #[test]
    fn binary_is_base64() {
        let bytes = Body::Binary(Bytes::from_static(&[0, 255, b'\n']));
        check(bytes, r#"{"time":"2026-02-15T09:30:00.123Z","binary":"AP8K"}"#);
    }
}
