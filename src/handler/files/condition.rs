//! What a request's conditions and range make of a file (RFC 9110, sections 13 and 14).
//!
//! Owns: their order and their comparisons. Never: reads a file.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::request::Parts;
use http::{HeaderMap, Method};

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Whole,
    /// These bytes of it, never none.
    Part(Range<u64>),
    /// 304.
    NotModified,
    /// 412.
    Failed,
    /// 416.
    Unsatisfiable,
}

/// What there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct State<'a> {
    /// With its quotes, and its `W/` where it is weak.
    pub(super) etag: &'a [u8],
    pub(super) modified: Option<SystemTime>,
    pub(super) length: u64,
    /// Parts of it are given.
    pub(super) ranges: bool,
}

/// Judges a GET or a HEAD. `now` is asked for only where it matters.
#[must_use]
pub(super) fn judge(parts: &Parts, state: &State<'_>, now: impl FnOnce() -> SystemTime) -> Verdict {
    let headers = &parts.headers;
    // RFC 9110, section 13.2.2, in its order.
    if headers.contains_key(IF_MATCH) {
        if !names(headers, IF_MATCH, state.etag, strongly) {
            return Verdict::Failed;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, IF_UNMODIFIED_SINCE), state.modified)
        && seconds(modified) > seconds(since)
    {
        return Verdict::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if names(headers, IF_NONE_MATCH, state.etag, weakly) {
            return Verdict::NotModified;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, IF_MODIFIED_SINCE), state.modified)
        && seconds(modified) <= seconds(since)
    {
        return Verdict::NotModified;
    }
    // Only GET has parts (section 14.2).
    if parts.method == Method::GET && state.ranges && headers.contains_key(RANGE) && same_as_before(headers, state, now)
    {
        return range(headers, state.length);
    }
    Verdict::Whole
}

/// The one range that is asked for; several, or what is none, are as if none were. An empty file has no parts.
fn range(headers: &HeaderMap, length: u64) -> Verdict {
    let Some(spec) = headers.get(RANGE).and_then(|value| value.to_str().ok()).and_then(parse) else {
        return Verdict::Whole;
    };
    let range = match spec {
        Spec::From(first) => first..length,
        Spec::Between(first, last) => first..last.saturating_add(1).min(length),
        Spec::Last(count) => length.saturating_sub(count)..length,
    };
    match (length, range.is_empty()) {
        (0, _) => Verdict::Whole,
        (_, true) => Verdict::Unsatisfiable,
        (_, false) => Verdict::Part(range),
    }
}

/// One range of bytes (section 14.1.2).
enum Spec {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

fn parse(value: &str) -> Option<Spec> {
    let (unit, set) = value.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (number(first)?, number(last)?) {
        (Some(first), Some(last)) if first <= last => Some(Spec::Between(first, last)),
        (Some(first), None) => Some(Spec::From(first)),
        (None, Some(count)) => Some(Spec::Last(count)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// Digits, or nothing; past all files where there are too many.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

/// Whether `If-Range` is absent, or names what there is (section 13.1.5). A date does only where the file has been as it
/// is for a second at least: else it may have had two states in that second.
fn same_as_before(headers: &HeaderMap, state: &State<'_>, now: impl FnOnce() -> SystemTime) -> bool {
    let Some(value) = headers.get(IF_RANGE) else { return true };
    let value = value.as_bytes().trim_ascii();
    if value.ends_with(b"\"") {
        return strongly(value, state.etag);
    }
    let Some(modified) = state.modified else { return false };
    let settled = now().duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1));
    settled && parse_date(value).is_some_and(|date| seconds(date) == seconds(modified))
}

/// Whether the list names `etag`, or says `*`.
fn names(headers: &HeaderMap, name: HeaderName, etag: &[u8], same: fn(&[u8], &[u8]) -> bool) -> bool {
    let tags = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tags.map(<[u8]>::trim_ascii).any(|tag| tag == b"*" || same(tag, etag))
}

/// Section 8.8.3.2: both are strong, and the same.
fn strongly(a: &[u8], b: &[u8]) -> bool {
    a == b && !a.starts_with(b"W/")
}

/// The same but for being weak.
fn weakly(a: &[u8], b: &[u8]) -> bool {
    fn bare(tag: &[u8]) -> &[u8] {
        tag.strip_prefix(b"W/").unwrap_or(tag)
    }
    bare(a) == bare(b)
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    parse_date(headers.get(name)?.as_bytes())
}

fn parse_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(str::from_utf8(value).ok()?.trim()).ok()
}

/// Whole seconds since 1970: all that a date can say. What was before is as if it were then.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    const TAG: &str = "\"abc\"";
    /// When the file was changed: Sun, 06 Nov 1994 08:49:37 GMT, and a half.
    const CHANGED: Duration = Duration::from_millis(784_111_777_500);

    #[track_caller]
    fn judged(method: Method, etag: &str, length: u64, headers: &[(HeaderName, &'static str)], expected: &Verdict) {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = method;
        for (name, value) in headers {
            parts.headers.append(name, HeaderValue::from_static(value));
        }
        let modified = SystemTime::UNIX_EPOCH + CHANGED;
        let state = State { etag: etag.as_bytes(), modified: Some(modified), length, ranges: true };
        let seen = judge(&parts, &state, || modified + Duration::from_secs(60));
        assert_eq!(seen, *expected, "{headers:?}");
    }

    #[track_caller]
    fn check(headers: &[(HeaderName, &'static str)], expected: &Verdict) {
        judged(Method::GET, TAG, 100, headers, expected);
    }

    #[test]
    fn tags_are_asked_before_dates() {
        let (on, before, after) =
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        check(&[], &Verdict::Whole);
        check(&[(IF_NONE_MATCH, "\"abc\"")], &Verdict::NotModified);
        check(&[(IF_NONE_MATCH, "\"x\", W/\"abc\"")], &Verdict::NotModified);
        check(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")], &Verdict::NotModified);
        check(&[(IF_NONE_MATCH, "*")], &Verdict::NotModified);
        check(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, after)], &Verdict::Whole);
        check(&[(IF_MODIFIED_SINCE, on)], &Verdict::NotModified);
        check(&[(IF_MODIFIED_SINCE, after)], &Verdict::NotModified);
        check(&[(IF_MODIFIED_SINCE, before)], &Verdict::Whole);
        check(&[(IF_MODIFIED_SINCE, "yesterday")], &Verdict::Whole);
        check(&[(IF_MATCH, "\"abc\"")], &Verdict::Whole);
        check(&[(IF_MATCH, "*")], &Verdict::Whole);
        check(&[(IF_MATCH, "W/\"abc\"")], &Verdict::Failed);
        check(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")], &Verdict::Failed);
        check(&[(IF_UNMODIFIED_SINCE, before)], &Verdict::Failed);
        check(&[(IF_UNMODIFIED_SINCE, on)], &Verdict::Whole);
        check(&[(IF_MATCH, "\"abc\""), (IF_UNMODIFIED_SINCE, before)], &Verdict::Whole);
    }

    #[test]
    fn a_weak_tag_is_never_strongly_the_same() {
        judged(Method::GET, "W/\"abc\"", 100, &[(IF_MATCH, "W/\"abc\"")], &Verdict::Failed);
        judged(Method::GET, "W/\"abc\"", 100, &[(IF_NONE_MATCH, "\"abc\"")], &Verdict::NotModified);
        judged(Method::GET, "W/\"abc\"", 100, &[(RANGE, "bytes=0-1"), (IF_RANGE, "W/\"abc\"")], &Verdict::Whole);
    }

    #[test]
    fn one_range_is_given_and_several_are_all() {
        check(&[(RANGE, "bytes=0-0")], &Verdict::Part(0..1));
        check(&[(RANGE, "bytes=10-19")], &Verdict::Part(10..20));
        check(&[(RANGE, "Bytes= 90-")], &Verdict::Part(90..100));
        check(&[(RANGE, "bytes=90-1000")], &Verdict::Part(90..100));
        check(&[(RANGE, "bytes=99-99999999999999999999999")], &Verdict::Part(99..100));
        check(&[(RANGE, "bytes=-10")], &Verdict::Part(90..100));
        check(&[(RANGE, "bytes=-1000")], &Verdict::Part(0..100));
        check(&[(RANGE, "bytes=100-")], &Verdict::Unsatisfiable);
        check(&[(RANGE, "bytes=100-200")], &Verdict::Unsatisfiable);
        check(&[(RANGE, "bytes=99999999999999999999999-")], &Verdict::Unsatisfiable);
        check(&[(RANGE, "bytes=-0")], &Verdict::Unsatisfiable);
        for range in
            ["bytes=0-1,5-6", "bytes=2-1", "bytes=-", "bytes=a-b", "bytes=+1-2", "bytes", "lines=0-1", "bytes=1"]
        {
            let (mut parts, ()) = Request::new(()).into_parts();
            parts.headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
            let state = State { etag: b"\"\"", modified: None, length: 100, ranges: true };
            assert_eq!(judge(&parts, &state, SystemTime::now), Verdict::Whole, "{range}");
        }
    }

    #[test]
    fn what_has_no_parts_is_given_whole() {
        judged(Method::HEAD, TAG, 100, &[(RANGE, "bytes=0-1")], &Verdict::Whole);
        judged(Method::GET, TAG, 0, &[(RANGE, "bytes=0-1")], &Verdict::Whole);
        judged(Method::GET, TAG, 0, &[(RANGE, "bytes=-1")], &Verdict::Whole);
    }

    #[test]
    fn a_part_is_given_only_of_what_the_client_has_begun() {
        let part = Verdict::Part(0..2);
        let range = (RANGE, "bytes=0-1");
        check(&[range.clone(), (IF_RANGE, "\"abc\"")], &part);
        check(&[range.clone(), (IF_RANGE, "\"x\"")], &Verdict::Whole);
        check(&[range.clone(), (IF_RANGE, "W/\"abc\"")], &Verdict::Whole);
        check(&[range.clone(), (IF_RANGE, "Sun, 06 Nov 1994 08:49:37 GMT")], &part);
        check(&[range.clone(), (IF_RANGE, "Sun, 06 Nov 1994 08:49:38 GMT")], &Verdict::Whole);
        check(&[range.clone(), (IF_RANGE, "x")], &Verdict::Whole);
        check(&[range, (IF_RANGE, "\"abc\""), (IF_NONE_MATCH, "\"abc\"")], &Verdict::NotModified);
    }

    #[test]
    fn a_date_does_not_tell_two_states_in_one_second_apart() {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
        parts.headers.insert(IF_RANGE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        let modified = SystemTime::UNIX_EPOCH + CHANGED;
        let state = State { etag: TAG.as_bytes(), modified: Some(modified), length: 100, ranges: true };
        assert_eq!(judge(&parts, &state, || modified + Duration::from_millis(999)), Verdict::Whole);
        assert_eq!(judge(&parts, &state, || modified + Duration::from_secs(1)), Verdict::Part(0..2));
    }
}
