//! One message as it came, and the one line it is printed as.
//!
//! Never: changes what a JSON text says; only whitespace between its tokens may go.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;

/// A message of a WebSocket or of an event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub body: Body,
    /// The `event` field of an event stream; empty where there is none.
    pub event: String,
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Text(String),
    Binary(Bytes),
}

impl Message {
    /// A text without an event name.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Message {
        Message { body: Body::Text(text.into()), event: String::new() }
    }

    /// The message on one line, without its end: text as it came, binary as base64. Where the text has line ends, JSON
    /// loses the whitespace between its tokens, and any other text has them as `\n` and `\r`.
    ///
    /// With `terminal`, other control characters are written as `\u{1b}`: a server must not drive a terminal.
    #[must_use]
    pub fn line(&self, terminal: bool) -> String {
        let line = match &self.body {
            Body::Binary(bytes) => STANDARD.encode(bytes),
            Body::Text(text) if !text.contains(['\n', '\r']) => text.clone(),
            Body::Text(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => compact(text),
            Body::Text(text) => text.replace('\n', "\\n").replace('\r', "\\r"),
        };
        if terminal { visible(&line) } else { line }
    }
}

/// Valid JSON without the whitespace between its tokens, everything else byte for byte.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let mut kept = String::with_capacity(json.len());
    for character in json.chars() {
        if !in_string && matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        if character == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && character == '\\' && !escaped;
        kept.push(character);
    }
    kept
}

/// `text` with its control characters (tabs aside) made harmless to a terminal.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\t' {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The first `max` characters of `text`, made [`visible`]; what is left out is an ellipsis.
#[must_use]
pub fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => visible(text),
        Some((end, _)) => visible(text.get(..end).unwrap_or_default()) + "…",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Message::text(text).line(false), expected);
    }

    #[test]
    fn a_text_on_one_line_is_printed_as_it_came() {
        check("{\"a\": 1.50,  \"b\":\"x\\n\"}", "{\"a\": 1.50,  \"b\":\"x\\n\"}");
        check("not json \u{1b}[31m", "not json \u{1b}[31m");
        check("", "");
    }

    #[test]
    fn json_with_line_ends_loses_only_whitespace_between_tokens() {
        check("{\n  \"a b\": [1.50,\r\n\t2e3],\n \"c\": \"x \\\" y \\\\\"\n}", r#"{"a b":[1.50,2e3],"c":"x \" y \\"}"#);
        check("\n1\n", "1");
    }

    #[test]
    fn other_text_has_its_line_ends_escaped() {
        check("one\ntwo\r\nthree  four", "one\\ntwo\\r\\nthree  four");
        check("{\"a\":\n", "{\"a\":\\n");
    }

    #[test]
    fn binary_is_base64() {
        let message = Message { body: Body::Binary(Bytes::from_static(&[0, 255, b'\n'])), event: String::new() };
        assert_eq!(message.line(false), "AP8K");
    }

    #[test]
    fn a_terminal_is_not_driven_by_what_comes() {
        let message = Message::text("a\u{1b}]0;title\u{7}\t\u{9b}b\n");
        assert_eq!(message.line(true), "a\\u{1b}]0;title\\u{7}\t\\u{9b}b\\n");
    }

    #[test]
    fn a_clipped_text_says_so() {
        assert_eq!(clip("ééé", 3), "ééé");
        assert_eq!(clip("éééé", 3), "ééé…");
        assert_eq!(clip("", 0), "");
    }
}
