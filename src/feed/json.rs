//! Raw JSON text, looked at without a value tree: every slice found is the text as its author wrote it.
//!
//! Owns: the walk over an object's members or an array's elements, and JSON strings in and out. Nesting costs no
//! stack, so any depth passes. Never: re-formats a value; duplicates and order stay as they came.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object: the name with its quotes, and the value, both as written and without white space around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

impl Member<'_> {
    /// Whether the name, escapes undone, is `wanted`.
    pub(crate) fn is_named(&self, wanted: &str) -> bool {
        string(self.name).is_some_and(|name| name == wanted)
    }
}

/// The one JSON value that `text` is, without the white space around it; `None` if it is no JSON.
pub(crate) fn value(text: &str) -> Option<&str> {
    serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get)
}

/// The members of an object in their order, duplicates included; `None` if `json` is no object.
pub(crate) fn members(json: &str) -> Option<Vec<Member<'_>>> {
    let mut found = Vec::new();
    each_member(json, |member| found.push(member)).then_some(found)
}

/// Shows `visit` each member of an object in order. False if `json` is no object: some may have been shown by then.
pub(crate) fn each_member<'a>(json: &'a str, visit: impl FnMut(Member<'a>)) -> bool {
    let mut parser = serde_json::Deserializer::from_str(json);
    parser.deserialize_map(Members(visit)).is_ok() && parser.end().is_ok()
}

/// The value of the last member called `name`: the one that counts in every browser. What `skim` is measured by.
#[cfg(test)]
pub(crate) fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    let whole = each_member(json, |member| {
        if member.is_named(name) {
            found = Some(member.value);
        }
    });
    found.filter(|_| whole)
}

/// The elements of an array; `None` if `json` is no array.
pub(crate) fn elements(json: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    each_element(json, |value| found.push(value)).then_some(found)
}

/// An array's element by its index from 0.
pub(crate) fn element(json: &str, index: usize) -> Option<&str> {
    let (mut found, mut place) = (None, 0usize);
    let whole = each_element(json, |value| {
        if place == index {
            found = Some(value);
        }
        place = place.saturating_add(1);
    });
    found.filter(|_| whole)
}

fn each_element<'a>(json: &'a str, visit: impl FnMut(&'a str)) -> bool {
    let mut parser = serde_json::Deserializer::from_str(json);
    parser.deserialize_seq(Elements(visit)).is_ok() && parser.end().is_ok()
}

/// The text of a JSON string, escapes undone; `None` if `json` is no string, or holds half a surrogate pair, which no
/// Rust string can.
pub(crate) fn string(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Writes `text` as a JSON string, quotes included.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    // A Vec takes every write, and every &str can be a JSON string: this cannot fail.
    let _ = serde_json::to_writer(out, text);
}

struct Members<F>(F);

impl<'de, F: FnMut(Member<'de>)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Raw)? {
            let value = map.next_value_seed(Raw)?;
            (self.0)(Member { name, value });
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element_seed(Raw)? {
            (self.0)(value);
        }
        Ok(())
    }
}

/// Takes a value, or a member's name, as the text it is written in.
struct Raw;

impl<'de> DeserializeSeed<'de> for Raw {
    type Value = &'de str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'de str, D::Error> {
        <&RawValue as serde::Deserialize>::deserialize(deserializer).map(RawValue::get)
    }
}

#[cfg(test)]
mod tests {
    use super::{element, elements, member, members, push_string, string, value};

    #[track_caller]
    fn check_members(json: &str, expected: Option<&[(&str, &str)]>) {
        let found = members(json).map(|all| all.iter().map(|m| (m.name, m.value)).collect::<Vec<_>>());
        assert_eq!(found.as_deref(), expected, "{json}");
    }

    #[test]
    fn members_keep_order_duplicates_and_spelling() {
        check_members("{}", Some(&[]));
        check_members(
            " { \"b\" : 1.50 ,\"a\":[ 1 ],\"b\":\"\\u0041\" } ",
            Some(&[("\"b\"", "1.50"), ("\"a\"", "[ 1 ]"), ("\"b\"", "\"\\u0041\"")]),
        );
        check_members("{\"\\ud800\":\"\\udfff\"}", Some(&[("\"\\ud800\"", "\"\\udfff\"")]));
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for json in [
            "",
            " ",
            "[]",
            "1",
            "\"{}\"",
            "{",
            "{}x",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":\"\n\"}",
            "{\"\\q\":1}",
        ] {
            check_members(json, None);
        }
    }

    #[test]
    fn the_last_member_of_a_name_counts_however_it_is_escaped() {
        assert_eq!(member("{\"a\":1,\"\\u0061\":2}", "a"), Some("2"));
        assert_eq!(member("{\"a\\n\":1}", "a\\n"), None);
        assert_eq!(member("{\"a\":1", "a"), None);
    }

    #[test]
    fn elements_are_found_by_index() {
        assert_eq!(elements("[1, [2], {}]"), Some(vec!["1", "[2]", "{}"]));
        assert_eq!(element("[1, [2] ]", 1), Some("[2]"));
        assert_eq!(element("[1]", 1), None);
        assert_eq!(element("[1", 0), None);
        assert_eq!(elements("{}"), None);
    }

    #[test]
    fn strings_are_undone_and_written() {
        assert_eq!(string("\"a\"").as_deref(), Some("a"));
        assert_eq!(string("\"\\u0041\\n\"").as_deref(), Some("A\n"));
        assert_eq!(string("\"\\ud83d\\ude00\"").as_deref(), Some("\u{1f600}"));
        assert_eq!(string("\"\\ud83d\""), None);
        assert_eq!(string("1"), None);
        assert_eq!(string("\""), None);
        let mut out = Vec::new();
        push_string(&mut out, "a\"\\\n\u{1}\u{e9}");
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001\u{e9}\"".as_bytes());
    }

    #[test]
    fn any_depth_is_walked() {
        for depth in [127, 128, 129, 1_000, 100_000] {
            let nest = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let text = format!(" {{\"a\":{nest}}} ");
            assert_eq!(value(&nest).map(str::len), Some(2 * depth));
            assert_eq!(member(&text, "a"), Some(nest.as_str()));
        }
    }
}
