//! A quick look for one member of an object that a parser has accepted before, so that nothing is checked twice.
//!
//! Owns: skipping over JSON that is known to be JSON; nesting costs no stack. Never: tells whether a text is JSON: of one
//! that is none it finds nothing, or something that stands there.

use super::json::Member;

/// The value of the last member called `name` of the object `json`, which has no white space around it.
pub(super) fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let bytes = json.as_bytes();
    let mut at = blank_end(bytes, 1);
    let mut found = None;
    while *bytes.get(at)? != b'}' {
        let name_end = string_end(bytes, at)?;
        let colon = blank_end(bytes, name_end);
        let start = blank_end(bytes, colon + 1);
        let end = value_end(bytes, start)?;
        let member = Member { name: json.get(at..name_end)?, value: json.get(start..end)? };
        if member.is_named(name) {
            found = Some(member.value);
        }
        at = blank_end(bytes, end);
        if *bytes.get(at)? == b',' {
            at = blank_end(bytes, at + 1);
        }
    }
    found
}

/// Where white space from `at` on ends.
fn blank_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Past the string that begins at `at`; `None` if none does.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    if *bytes.get(at)? != b'"' {
        return None;
    }
    let mut next = at + 1;
    loop {
        match *bytes.get(next)? {
            b'"' => return Some(next + 1),
            b'\\' => next += 2,
            _ => next += 1,
        }
    }
}

/// Past the value that begins at `at`, which is at least a byte.
fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    match *bytes.get(at)? {
        b'"' => string_end(bytes, at),
        b'{' | b'[' => nest_end(bytes, at),
        _ => {
            let rest = bytes.get(at + 1..)?;
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            Some(at + 1 + rest.iter().position(ends).unwrap_or(rest.len()))
        }
    }
}

/// Past the object or array that begins at `at`.
fn nest_end(bytes: &[u8], at: usize) -> Option<usize> {
    let (mut next, mut depth) = (at, 0usize);
    loop {
        match *bytes.get(next)? {
            b'"' => {
                next = string_end(bytes, next)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        next += 1;
        if depth == 0 {
            return Some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::json;
    use super::member;

    #[track_caller]
    fn check(text: &str, name: &str) {
        assert_eq!(member(text, name), json::member(text, name), "{name} in {text}");
    }

    #[test]
    fn it_finds_what_a_parser_finds() {
        for text in [
            "{}",
            "{ }",
            "{\"a\":1}",
            "{\"a\":1,\"\\u0061\":2}",
            " {\"a\":1}".trim(),
            "{ \"b\" : [ {\"a\":3}, \"]}\" ] ,\n\"a\"\t:\r{ \"a\" : \"\\\"}\" } }",
            "{\"\":null,\"a\\n\":true,\"b\":\"\\\\\",\"a\":-1.5e3}",
            "{\"b\":[],\"a\":{}}",
            "{\"a\":\"caf\u{e9} \\ud800\",\"b\":0}",
        ] {
            for name in ["a", "b", "", "a\n", "c"] {
                check(text, name);
            }
        }
    }

    #[test]
    fn any_depth_is_passed_over() {
        let nest = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        check(&format!("{{\"b\":{nest},\"a\":1}}"), "a");
    }

    proptest! {
        #[test]
        fn a_text_that_is_no_json_does_no_harm(text in "[{}\\[\\]\",:\\\\ a1\u{e9}]{0,24}") {
            let _ = member(&text, "a");
            let _ = member(&format!("{{{text}"), "a");
            let whole = format!("{{{text}}}");
            if json::value(&whole).is_some() {
                prop_assert_eq!(member(&whole, "a"), json::member(&whole, "a"));
            }
        }
    }
}
