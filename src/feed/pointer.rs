//! JSON Pointer (RFC 6901) over raw JSON text.
//!
//! Owns: [`Pointer`], checked when it is made. What it finds is the value as it was written. Of duplicate members the
//! last one is found, as in every browser. Never: builds a value tree.

use std::fmt;
use std::str::FromStr;

use super::{json, skim};

/// A checked JSON Pointer: empty for the whole, else `/`-led names or array indices.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// The names, `~0` and `~1` undone.
    tokens: Box<[Box<str>]>,
}

/// Why a text is no JSON Pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    #[error("a JSON Pointer starts with \"/\", like \"/data/host\"")]
    NoSlash,
    #[error("in a JSON Pointer \"~\" is written \"~0\", and \"/\" in a name \"~1\"")]
    BadEscape,
}

impl Pointer {
    /// What the pointer finds in `json`, a raw JSON text.
    #[must_use]
    pub fn find<'a>(&self, json: &'a str) -> Option<&'a str> {
        descend(json::value(json)?, &self.tokens)
    }

    /// As [`Pointer::find`], for a caller who has already taken the top level apart: `top` gives a member's value.
    pub(super) fn find_below<'a>(&self, whole: &'a str, top: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
        match self.tokens.split_first() {
            Some((first, rest)) => descend(top(first)?, rest),
            None => Some(whole),
        }
    }

    /// As [`Pointer::find`], in a text that a parser has accepted, without white space around it.
    pub(super) fn find_within<'a>(&self, json: &'a str) -> Option<&'a str> {
        descend(json, &self.tokens)
    }
}

/// `value` is JSON: whoever calls has seen it read.
fn descend<'a>(value: &'a str, tokens: &[Box<str>]) -> Option<&'a str> {
    tokens.iter().try_fold(value, |value, token| match value.as_bytes().first() {
        Some(b'{') => skim::member(value, token),
        Some(b'[') => json::element(value, index(token)?),
        Some(_) | None => None,
    })
}

/// An array index (RFC 6901 section 4): digits, no leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    plain.then(|| token.parse().ok()).flatten()
}

/// Undoes `~0` and `~1`.
fn token(text: &str) -> Result<Box<str>, PointerError> {
    let mut parts = text.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (tail, character) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(tail), _) => (tail, '~'),
            (None, Some(tail)) => (tail, '/'),
            (None, None) => return Err(PointerError::BadEscape),
        };
        plain.push(character);
        plain.push_str(tail);
    }
    Ok(plain.into())
}

impl FromStr for Pointer {
    type Err = PointerError;

    /// # Errors
    /// If the text is not empty and does not start with `/`, or a `~` is not followed by `0` or `1`.
    fn from_str(text: &str) -> Result<Pointer, PointerError> {
        let tokens = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(token).collect::<Result<_, _>>()?,
            None if text.is_empty() => Box::default(),
            None => return Err(PointerError::NoSlash),
        };
        Ok(Pointer { tokens })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Pointer, PointerError};

    /// The document of RFC 6901 section 5.
    const RFC: &str = r##"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}"##;

    #[track_caller]
    fn check(pointer: &str, json: &str, expected: Option<&str>) {
        let parsed: Pointer = pointer.parse().unwrap();
        assert_eq!(parsed.find(json), expected, "{pointer} in {json}");
        assert_eq!(parsed.to_string(), pointer);
        let top = |name: &str| crate::feed::json::member(json, name);
        if crate::feed::json::members(json).is_some() {
            assert_eq!(parsed.find_below(json.trim(), top), expected, "{pointer} below {json}");
        }
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        for (pointer, expected) in [
            ("", RFC),
            ("/foo", "[\"bar\", \"baz\"]"),
            ("/foo/0", "\"bar\""),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            check(pointer, RFC, Some(expected));
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for (pointer, json) in [
            ("/x", RFC),
            ("/foo/2", RFC),
            ("/foo/-", RFC),
            ("/foo/00", RFC),
            ("/foo/01", RFC),
            ("/foo/+1", RFC),
            ("/foo/", RFC),
            ("/foo/99999999999999999999999", RFC),
            ("/foo/0/0", RFC),
            ("/a", "1"),
            ("/a", ""),
            ("", "{"),
            ("/0", "\"a\""),
        ] {
            check(pointer, json, None);
        }
    }

    #[test]
    fn the_last_duplicate_counts_and_values_are_as_written() {
        check("/a/b", "{\"a\":{\"b\":1},\"a\":{\"b\":1.00,\"\\u0062\":2.50}}", Some("2.50"));
        check("/0/a", " [ { \"a\" : [ 1 ] } ] ", Some("[ 1 ]"));
        check("/~01", "{\"~1\":true}", Some("true"));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for (text, error) in [
            ("a", PointerError::NoSlash),
            ("#/a", PointerError::NoSlash),
            (" ", PointerError::NoSlash),
            ("/~", PointerError::BadEscape),
            ("/~2", PointerError::BadEscape),
            ("/a~/b", PointerError::BadEscape),
        ] {
            assert_eq!(text.parse::<Pointer>(), Err(error), "{text}");
        }
    }

    #[test]
    fn deep_documents_cost_no_stack() {
        let depth = 2_000;
        let json = format!("{}7{}", "[".repeat(depth), "]".repeat(depth));
        check(&"/0".repeat(depth), &json, Some("7"));
    }
}
