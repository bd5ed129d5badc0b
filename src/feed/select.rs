//! What a viewer asks for: fields, types, keys, a pace, and how much of the past.
//!
//! Owns: [`Selection`], the URL's query that says one, and their bounds, which hold for the `subscribe` command too.
//! An empty value or list is one not given: it chooses everything. Never: what the selection is applied to.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::json;
use crate::limits;

pub use super::fields::{FieldSet, FieldSets, TooManyFieldSets};

/// What a viewer wants of a feed; the default is everything, at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selection {
    /// Members of `data`.
    pub fields: Option<Arc<FieldSet>>,
    /// Sorted, each once.
    pub types: Option<Box<[Box<str>]>>,
    /// Sorted, each once.
    pub keys: Option<Box<[Box<str>]>>,
    /// The newest at each tick of this, in place of every message.
    pub every: Option<Duration>,
}

/// What the URL asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub selection: Selection,
    /// Messages of the past wanted first.
    pub last: Option<usize>,
}

/// Why a selection is refused. The text is for the viewer and repeats nothing of what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("{0} takes at most {max} names", max = limits::SELECT_NAMES)]
    TooMany(&'static str),
    #[error("a name in {0} has at most {max} bytes", max = limits::SELECT_NAME)]
    TooLong(&'static str),
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    #[error("every is a time from {min:?} to {max:?}, like 10s or 500ms", min = limits::EVERY_MIN, max = limits::EVERY_MAX)]
    BadEvery,
    #[error("last is a whole number, like 30")]
    BadLast,
}

impl Selection {
    /// Whether a message of this type and key is wanted.
    #[must_use]
    pub fn matches(&self, type_: &str, key: Option<&str>) -> bool {
        let among = |names: &[Box<str>], name: &str| names.binary_search_by(|own| (**own).cmp(name)).is_ok();
        self.types.as_deref().is_none_or(|types| among(types, type_))
            && self.keys.as_deref().is_none_or(|keys| key.is_some_and(|key| among(keys, key)))
    }

    /// The same with its field set shared with the feed's other viewers.
    ///
    /// # Errors
    /// If the feed has no room for another field set.
    pub fn interned(self, sets: &FieldSets) -> Result<Selection, TooManyFieldSets> {
        self.interned_for(None, sets)
    }

    /// As [`interned`](Selection::interned), for a viewer that gives up the field set `given_up` for it.
    ///
    /// # Errors
    /// If the feed has no room for another field set.
    pub fn interned_for(
        mut self,
        given_up: Option<&Arc<FieldSet>>,
        sets: &FieldSets,
    ) -> Result<Selection, TooManyFieldSets> {
        self.fields = self.fields.map(|set| sets.intern(set, given_up)).transpose()?;
        Ok(self)
    }

    /// The selection as the `data` of `subscribed` says it back, `null` where everything is wanted.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = b"{\"fields\":".to_vec();
        push_names(&mut out, self.fields.as_ref().map(|set| set.names()));
        out.extend_from_slice(b",\"types\":");
        push_names(&mut out, self.types.as_ref().map(|names| names.iter().map(|name| &**name)));
        out.extend_from_slice(b",\"keys\":");
        push_names(&mut out, self.keys.as_ref().map(|names| names.iter().map(|name| &**name)));
        out.extend_from_slice(b",\"every\":");
        match self.every {
            Some(every) if every.subsec_millis() == 0 => json::push_string(&mut out, &format!("{}s", every.as_secs())),
            Some(every) => json::push_string(&mut out, &format!("{}ms", every.as_millis())),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
        String::from_utf8(out).unwrap_or_default()
    }
}

fn push_names<'a>(out: &mut Vec<u8>, names: Option<impl Iterator<Item = &'a str>>) {
    let Some(names) = names else {
        out.extend_from_slice(b"null");
        return;
    };
    out.push(b'[');
    for (place, name) in names.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        json::push_string(out, name);
    }
    out.push(b']');
}

/// Reads `fields`, `types`, `keys` (comma-separated; a name given again adds to its list, and a `keys` that is given
/// more than once is taken whole each time, commas and all), `every` and `last` out of a URL's query, without its
/// `?`. Other names are left alone, a token's among them.
///
/// # Errors
/// If a bound of [`limits`] is passed, or `every` or `last` cannot be read.
pub fn from_query(query: &str) -> Result<Query, SelectError> {
    let mut found = Query::default();
    let (mut fields, mut types, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let list = match decode(name).as_deref() {
            Some("fields") => ("fields", &mut fields),
            Some("types") => ("types", &mut types),
            Some("keys") => ("keys", &mut keys),
            Some("every") if !value.is_empty() => {
                found.selection.every = Some(every(&decode(value).ok_or(SelectError::BadEvery)?)?);
                continue;
            }
            Some("last") if !value.is_empty() => {
                found.last = Some(last(&decode(value).ok_or(SelectError::BadLast)?)?);
                continue;
            }
            Some(_) | None => continue,
        };
        if !value.is_empty() {
            list.1.push(decode(value).ok_or(SelectError::NotUtf8(list.0))?);
        }
    }
    let split = |values: &[Cow<'_, str>]| -> Vec<Box<str>> {
        values.iter().flat_map(|value| value.split(',')).map(Box::from).collect()
    };
    let keys = if keys.len() > 1 { keys.iter().map(|key| Box::from(&**key)).collect() } else { split(&keys) };
    found.selection.fields = field_set(split(&fields))?;
    found.selection.types = names("types", split(&types))?;
    found.selection.keys = names("keys", keys)?;
    Ok(found)
}

/// A checked set of fields; `None` if there is none.
pub(super) fn field_set(given: Vec<Box<str>>) -> Result<Option<Arc<FieldSet>>, SelectError> {
    Ok(names("fields", given)?.map(|names| Arc::new(FieldSet::new(names))))
}

/// A checked list of names, sorted, each once, empty ones left out; `None` if there is none.
pub(super) fn names(what: &'static str, mut given: Vec<Box<str>>) -> Result<Option<Box<[Box<str>]>>, SelectError> {
    given.retain(|name| !name.is_empty());
    if given.len() > limits::SELECT_NAMES {
        return Err(SelectError::TooMany(what));
    }
    if given.iter().any(|name| name.len() > limits::SELECT_NAME) {
        return Err(SelectError::TooLong(what));
    }
    given.sort_unstable();
    given.dedup();
    Ok((!given.is_empty()).then(|| given.into()))
}

/// A pace: a whole number and `ms`, `s`, `m` or `h`, within the bounds.
pub(super) fn every(text: &str) -> Result<Duration, SelectError> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(SelectError::BadEvery),
    };
    let number: u64 = number.parse().map_err(|_| SelectError::BadEvery)?;
    let every = number.checked_mul(milliseconds).map(Duration::from_millis);
    every.filter(|every| (limits::EVERY_MIN..=limits::EVERY_MAX).contains(every)).ok_or(SelectError::BadEvery)
}

/// A count; one too large for any history is the largest.
pub(super) fn last(text: &str) -> Result<usize, SelectError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SelectError::BadLast);
    }
    Ok(text.parse().unwrap_or(usize::MAX))
}

/// Undoes `application/x-www-form-urlencoded`: `+` is a space, a `%` without two hex digits is itself. `None` if it
/// is not UTF-8 then.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let (plain, tail) = match (byte, hex(tail)) {
            (b'%', Some(decoded)) => decoded,
            (b'+', _) => (b' ', tail),
            (other, _) => (*other, tail),
        };
        out.push(plain);
        rest = tail;
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// The byte that two hex digits say, and what follows them.
fn hex(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.split_at_checked(2)?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u8::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FieldSets, SelectError, Selection, decode, every, from_query, last};
    use crate::limits;

    #[track_caller]
    fn check(query: &str, expected: &str, expected_last: Option<usize>) {
        let found = from_query(query).unwrap();
        assert_eq!(found.selection.to_json(), expected, "{query}");
        assert_eq!(found.last, expected_last, "{query}");
    }

    #[test]
    fn a_query_says_what_is_wanted() {
        let all = r#"{"fields":null,"types":null,"keys":null,"every":null}"#;
        check("", all, None);
        check("fields=&types=&keys=&every=&last=", all, None);
        check("fields&types&last", all, None);
        check("token=%FF&x=1&=&&%", all, None);
        check("fields=,&types=,,", all, None);
        check(
            "fields=memory,cpu,cpu&types=system_stats&keys=web-1,web-2&every=10s&last=30",
            r#"{"fields":["cpu","memory"],"types":["system_stats"],"keys":["web-1","web-2"],"every":"10s"}"#,
            Some(30),
        );
        check("every=1500ms", r#"{"fields":null,"types":null,"keys":null,"every":"1500ms"}"#, None);
        check("fields=a&fields=b", r#"{"fields":["a","b"],"types":null,"keys":null,"every":null}"#, None);
    }

    #[test]
    fn a_query_is_form_encoded() {
        check("%66ields=a+b%2cc%22", r#"{"fields":["a b","c\""],"types":null,"keys":null,"every":null}"#, None);
        check(
            "keys=%EC%84%9C%EC%9A%B8",
            "{\"fields\":null,\"types\":null,\"keys\":[\"\u{c11c}\u{c6b8}\"],\"every\":null}",
            None,
        );
        assert_eq!(decode("%zz%4%%41").as_deref(), Some("%zz%4%A"));
        assert_eq!(decode("%+1%-1").as_deref(), Some("% 1%-1"));
        assert_eq!(decode("%FF"), None);
    }

    #[test]
    fn keys_with_commas_are_given_by_repeating() {
        check("keys=a,b&keys=c", r#"{"fields":null,"types":null,"keys":["a,b","c"],"every":null}"#, None);
        check("keys=a,b&keys=a,b", r#"{"fields":null,"types":null,"keys":["a,b"],"every":null}"#, None);
    }

    #[track_caller]
    fn check_refused(query: &str, error: SelectError) {
        assert_eq!(from_query(query), Err(error), "{query}");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        check_refused("fields=%FF", SelectError::NotUtf8("fields"));
        check_refused("every=%FF", SelectError::BadEvery);
        for query in ["last=-1", "last=1.5", "last=x", "last=%FF", "last=+1"] {
            check_refused(query, SelectError::BadLast);
        }
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        for what in ["fields", "types", "keys"] {
            assert!(from_query(&format!("{what}={}", names(limits::SELECT_NAMES))).is_ok());
            check_refused(&format!("{what}={}", names(limits::SELECT_NAMES + 1)), SelectError::TooMany(what));
        }
    }

    #[test]
    fn the_length_of_a_name_is_bounded() {
        for what in ["fields", "types", "keys"] {
            assert!(from_query(&format!("{what}={}", "a".repeat(limits::SELECT_NAME))).is_ok());
            check_refused(&format!("{what}={}", "a".repeat(limits::SELECT_NAME + 1)), SelectError::TooLong(what));
        }
    }

    #[test]
    fn a_pace_is_within_its_bounds() {
        for (text, expected) in [("100ms", 100), ("500ms", 500), ("10s", 10_000), ("1m", 60_000), ("1h", 3_600_000)] {
            assert_eq!(every(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        assert_eq!(every("3600s"), Ok(limits::EVERY_MAX));
        for text in [
            "",
            "10",
            "s",
            "99ms",
            "0s",
            "3601s",
            "2h",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1d",
            "99999999999999999999h",
            "9999999999999999h",
        ] {
            assert_eq!(every(text), Err(SelectError::BadEvery), "{text}");
        }
        assert_eq!(SelectError::BadEvery.to_string(), "every is a time from 100ms to 3600s, like 10s or 500ms");
    }

    #[test]
    fn a_count_past_all_bounds_is_the_largest() {
        assert_eq!(last("0"), Ok(0));
        assert_eq!(last("99999999999999999999999"), Ok(usize::MAX));
    }

    #[test]
    fn only_what_is_chosen_matches() {
        let matches = |query: &str, type_, key| from_query(query).unwrap().selection.matches(type_, key);
        assert!(Selection::default().matches("a", None));
        assert!(matches("types=a,b", "b", None));
        assert!(!matches("types=a,b", "c", None));
        assert!(matches("keys=k", "a", Some("k")));
        assert!(!matches("keys=k", "a", Some("j")));
        assert!(!matches("keys=k", "a", None));
        assert!(!matches("types=a&keys=k", "b", Some("k")));
    }

    #[test]
    fn a_field_set_is_shared_through_the_feeds_registry() {
        let sets = FieldSets::default();
        let one = from_query("fields=a").unwrap().selection.interned(&sets).unwrap();
        let two = from_query("fields=a").unwrap().selection.interned(&sets).unwrap();
        assert!(std::sync::Arc::ptr_eq(&one.fields.unwrap(), &two.fields.unwrap()));
    }

    proptest::proptest! {
        #[test]
        fn no_query_panics(query in "(fields|types|keys|every|last|[%&=+,a-f0-9\u{e9}]){0,40}") {
            let _ = from_query(&query);
        }
    }
}
