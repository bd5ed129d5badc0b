//! A verdict in words for a terminal, or as one line of JSON for a pipe.
//!
//! Owns: both forms. The JSON's members and their order are relied on. Never: changes a byte of what viewers get, but on
//! a terminal, where control characters are made visible.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::judge::{Fate, Kept, Verdict};
use super::pace::Paced;
use super::recording::Recorded;
use crate::cli::watch::message::visible;
use crate::feed::Shape;

/// How a verdict is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Words,
    Json,
}

/// The verdict over `recorded`, with its line's end.
pub(super) fn tell(verdict: &Verdict, recorded: &Recorded, manner: Manner) -> String {
    match manner {
        Manner::Words => words(verdict, recorded.time),
        Manner::Json => json(verdict, recorded.time),
    }
}

/// Writing to a `String` never fails, whence the results thrown away.
fn words(verdict: &Verdict, time: Timestamp) -> String {
    let mut out = format!("{:>4}  {}  ", verdict.line, written(time));
    let Fate::Kept(kept) = &verdict.fate else {
        let _ = writeln!(out, "dropped by {}", verdict.by);
        return out;
    };
    let type_ = visible(kept.envelope.type_());
    let key = kept.envelope.key().map(|key| format!(" of {}", visible(key))).unwrap_or_default();
    match kept.paced {
        Paced::Now => {
            let _ = writeln!(out, "{type_}{key}, by {}", verdict.by);
        }
        Paced::Held { until, instead_of } => {
            let instead = instead_of.map(|line| format!(", in place of line {line}")).unwrap_or_default();
            let _ = writeln!(
                out,
                "{type_}{key}, by {}; held by min_interval until {} unless a newer one comes{instead}",
                verdict.by,
                written(until)
            );
        }
    }
    if kept.envelope.is_binary() {
        let _ = writeln!(out, "      binary    {} bytes", kept.envelope.raw().len());
        return out;
    }
    for shape in &kept.shapes {
        let _ = writeln!(out, "      {:8}  {}", name(*shape), visible(&encoded(kept, *shape)));
    }
    out
}

fn json(verdict: &Verdict, time: Timestamp) -> String {
    let mut out = format!("{{\"line\":{},\"time\":\"{}\",\"outcome\":", verdict.line, written(time));
    let kept = match &verdict.fate {
        Fate::Dropped => {
            let _ = writeln!(out, "\"dropped\",\"by\":{}}}", quoted(&verdict.by));
            return out;
        }
        Fate::Kept(kept) => kept,
    };
    let by = quoted(&verdict.by);
    match kept.paced {
        Paced::Now => {
            let _ = write!(out, "\"sent\",\"by\":{by}");
        }
        Paced::Held { until, instead_of } => {
            let _ = write!(out, "\"held\",\"by\":{by},\"until\":\"{}\"", written(until));
            if let Some(line) = instead_of {
                let _ = write!(out, ",\"instead_of\":{line}");
            }
        }
    }
    let _ = write!(out, ",\"type\":{}", quoted(kept.envelope.type_()));
    if let Some(key) = kept.envelope.key() {
        let _ = write!(out, ",\"key\":{}", quoted(key));
    }
    if kept.envelope.is_binary() {
        let _ = writeln!(out, ",\"binary\":\"{}\"}}", STANDARD.encode(kept.envelope.raw()));
        return out;
    }
    for shape in &kept.shapes {
        let text = encoded(kept, *shape);
        // Raw may be anything, and is a JSON string; JSON with line ends in it is made one line.
        let value = if *shape == Shape::Raw { quoted(&text) } else { on_one_line(text) };
        let _ = write!(out, ",\"{}\":{value}", name(*shape));
    }
    out.push_str("}\n");
    out
}

/// Line ends stand only between the tokens of JSON: spaces say the same.
fn on_one_line(json: String) -> String {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json }
}

fn encoded(kept: &Kept, shape: Shape) -> String {
    let mut out = Vec::new();
    kept.envelope.encode(shape, None, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn name(shape: Shape) -> &'static str {
    match shape {
        Shape::Envelope => "envelope",
        Shape::Mirrored => "mirrored",
        Shape::Raw => "raw",
    }
}

fn written(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// As a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
