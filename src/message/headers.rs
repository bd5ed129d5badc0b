//! Reading and writing HTTP headers: the only file that edits them.
//!
//! Owns: the rules of RFC 9110 on lists, conditions and negotiation that handlers need. Never: decides a status.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use http::header::{ACCEPT, AsHeaderName, CONTENT_TYPE, IF_NONE_MATCH, SERVER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What we call ourselves where we ask (RFC 9110, section 10.1.5).
pub const AGENT: &str = concat!("steadfeed/", env!("CARGO_PKG_VERSION"));

/// Several headers' values, written one after the other into one piece of memory, which they share: an allocation for all,
/// and a clone of one is a reference.
#[derive(Debug)]
pub struct Sheet {
    text: String,
    /// Whose value ends where.
    ends: Vec<(HeaderName, usize)>,
}

impl Default for Sheet {
    /// Room for what a request is given on its way.
    fn default() -> Sheet {
        Sheet { text: String::with_capacity(256), ends: Vec::with_capacity(8) }
    }
}

impl Sheet {
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// 16 digits.
    pub fn push_hex(&mut self, number: u64) {
        let digit = |place: u32| char::from_digit((number >> (4 * place)) as u32 & 0xf, 16);
        self.text.extend((0..16).rev().filter_map(digit));
    }

    /// What stands there already, once more.
    pub fn push_again(&mut self, place: Range<usize>) {
        self.text.extend_from_within(place);
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What was pushed since the last end is the value of `name`.
    pub fn end(&mut self, name: HeaderName) {
        self.ends.push((name, self.text.len()));
    }

    /// Sets them; a text that may not be a value is left out.
    pub fn set(self, headers: &mut HeaderMap) {
        let (text, mut from) = (Bytes::from(self.text), 0);
        for (name, end) in self.ends {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(from..end)) {
                headers.insert(name, value);
            }
            from = end;
        }
    }
}

impl fmt::Write for Sheet {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// A host without its port. An IPv6 address keeps its brackets.
#[must_use]
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !host.is_empty() => host,
        Some(_) | None => authority,
    }
}

/// Whether one of the media ranges in `Accept` is exactly `type_`, and not refused by `q=0` (RFC 9110, section 12.5.1).
#[must_use]
pub fn accepts(headers: &HeaderMap, type_: &str) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
        |range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(type_));
            named && !parts.any(refuses)
        },
    )
}

/// Whether an `Accept` names HTML before JSON: a person reads the answer, in a browser.
#[must_use]
pub fn prefers_html(accept: &HeaderValue) -> bool {
    let weight = |types: &[&str]| {
        let ranges = accept.to_str().unwrap_or_default().split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next()?;
            let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            types
                .iter()
                .any(|type_| name.eq_ignore_ascii_case(type_))
                .then(|| weight.map_or(Ok(1.0), str::parse::<f32>))
        });
        ranges.filter_map(Result::ok).fold(0.0, f32::max)
    };
    weight(&["text/html"]) > weight(&["application/json", "application/problem+json"])
}

/// `q=0`, `q=0.0`, ...
fn refuses(parameter: &str) -> bool {
    parameter
        .split_once('=')
        .is_some_and(|(name, q)| name.trim().eq_ignore_ascii_case("q") && q.trim().parse() == Ok(0.0f32))
}

/// Whether `If-None-Match` names `etag`, compared weakly (RFC 9110, section 13.1.2).
#[must_use]
pub fn none_match_names(headers: &HeaderMap, etag: &str) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || weak(tag) == weak(etag))
}

/// The value of a header that is there exactly once.
#[must_use]
pub fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// Sets a header from text that may not be one; it is then left out.
pub fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The value of `Authorization` that says a token (RFC 6750, section 2.1), marked so that `Debug` does not show it; `None`
/// where the token could not stand in a header.
#[must_use]
pub fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from(format!("Bearer {token}"))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Sets a header to these values, if there are any, in place of those it has.
pub fn replace(headers: &mut HeaderMap, name: &HeaderName, values: &[HeaderValue]) {
    if !values.is_empty() {
        headers.remove(name);
    }
    for value in values {
        headers.append(name, value.clone());
    }
}

/// Says that the response depends on this request header.
pub fn vary(headers: &mut HeaderMap, name: HeaderName) {
    headers.append(VARY, name.into());
}

/// Says who answers, and that the type is not to be guessed.
pub fn finish(headers: &mut HeaderMap) {
    headers.entry(SERVER).or_insert(HeaderValue::from_static("steadfeed"));
    if headers.contains_key(CONTENT_TYPE) {
        headers.entry(http::header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::{Sheet, accepts, none_match_names, prefers_html, without_port};

    #[track_caller]
    fn check_accept(value: &'static str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        assert_eq!(accepts(&headers, "text/event-stream"), expected, "{value}");
    }

    #[test]
    fn an_event_stream_is_asked_for_by_name() {
        check_accept("text/event-stream", true);
        check_accept("text/html, Text/Event-Stream;q=0.5", true);
        check_accept("text/event-stream;q=0", false);
        check_accept("text/event-stream; q=0.000", false);
        check_accept("*/*", false);
        check_accept("", false);
    }

    #[test]
    fn a_browser_is_known_by_what_it_prefers() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("Text/HTML;q=0.2", true),
            ("application/json, text/html;q=0.9", false),
            ("text/html, application/problem+json", false),
            ("text/html;q=0", false),
            ("text/html;q=x", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(prefers_html(&HeaderValue::from_static(accept)), expected, "{accept}");
        }
    }

    #[track_caller]
    fn check_none_match(value: &'static str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
        assert_eq!(none_match_names(&headers, "\"a-1\""), expected, "{value}");
    }

    #[test]
    fn if_none_match_is_a_list_compared_weakly() {
        check_none_match("\"a-1\"", true);
        check_none_match("\"b\", W/\"a-1\"", true);
        check_none_match("*", true);
        check_none_match("\"a-2\"", false);
    }

    #[test]
    fn values_are_written_on_one_sheet() {
        let mut sheet = Sheet::default();
        sheet.push("one");
        sheet.end(header::VIA);
        sheet.push("no\nvalue");
        sheet.end(header::RANGE);
        sheet.push_again(1..3);
        sheet.push_hex(0x0123_4567_89ab_cdef);
        sheet.end(header::COOKIE);
        let mut headers = HeaderMap::new();
        headers.insert(header::VIA, HeaderValue::from_static("other"));
        sheet.set(&mut headers);
        assert_eq!(
            (&headers[header::VIA], &headers[header::COOKIE]),
            (&"one".parse().unwrap(), &"ne0123456789abcdef".parse().unwrap())
        );
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_port_is_cut_and_an_address_is_not() {
        assert_eq!(without_port("a.example:80"), "a.example");
        assert_eq!(without_port("a.example"), "a.example");
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
    }
}
