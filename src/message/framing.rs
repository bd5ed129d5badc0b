//! Which messages have more than one reading: where a body ends, and whom it is for.
//!
//! Owns: every rule on ambiguous framing, each with its section of the RFC. A request that breaks one is answered 400 and
//! its connection closed; a response that does becomes 502. Never: repairs a message; what is forwarded is framed anew.
//!
//! Two more never reach these rules. hyper answers 400 itself, and closes, for a bare CR, a folded line, white space before
//! a colon and a chunked body in HTTP/1.0 (RFC 9112, sections 2.2, 5.1, 5.2 and 6.1). Pseudo-headers in the trailers of an
//! HTTP/2 message (RFC 9113, section 8.1) are gone before a [`HeaderMap`] is made, so that none is ever passed on.

use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

/// A rule that a message breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Rule {
    /// RFC 9112, section 6.1: it "ought to be handled as an error"; section 6.3, item 3.
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// RFC 9112, section 6.3, item 5: a list of equal lengths may be refused, and is.
    #[error("more than one Content-Length")]
    Lengths,
    /// RFC 9110, section 8.6: digits alone, of a size that every reader holds.
    #[error("a Content-Length that is no number below 2^63")]
    Length,
    /// RFC 9112, section 6.1: we know `chunked` and nothing else, and it is said once.
    #[error("a Transfer-Encoding other than chunked")]
    Encoding,
    /// RFC 9112, section 3.2.
    #[error("no Host header, where exactly one Host header is needed")]
    NoHost,
    /// RFC 9112, section 3.2.
    #[error("more than one Host header, where exactly one Host header is needed")]
    Hosts,
    /// RFC 9110, section 7.2 with RFC 3986, section 3.2.2: a host and a port.
    #[error("a Host that is no host and port")]
    Host,
    /// RFC 9113, section 8.3.1.
    #[error("a Host that differs from :authority")]
    HostDiffers,
    /// RFC 9113, section 8.2.2.
    #[error("a header of an HTTP/1.1 connection in an HTTP/2 message")]
    ConnectionHeader,
    /// RFC 3986, section 6.2.2: what is served there depends on who resolves it.
    #[error("a path that can be read in two ways, or in none")]
    Path,
    /// RFC 9110, section 15.2.2.
    #[error("an answer 101 to a request for no upgrade, or for another one")]
    Unasked,
}

/// The first head of a connection that breaks a rule which can only be seen in its bytes. What reads the connection writes
/// it, before hyper has seen those bytes; what answers its requests reads it.
#[derive(Debug, Default)]
pub struct Verdict(AtomicU64);

impl Verdict {
    /// The head number `index`, from 0, breaks `rule`.
    pub fn condemn(&self, index: u64, rule: Rule) {
        self.0.store((index << 8) | (rule as u64 + 1), Relaxed);
    }

    /// What is wrong with the head number `index`: nothing after a bad one is trusted.
    #[must_use]
    pub fn of(&self, index: u64) -> Option<Rule> {
        let verdict = self.0.load(Relaxed);
        let rule = match u8::try_from(verdict & 0xff).unwrap_or_default().checked_sub(1)? {
            rule if rule == Rule::Lengths as u8 => Rule::Lengths,
            rule if rule == Rule::Encoding as u8 => Rule::Encoding,
            _ => Rule::LengthAndEncoding,
        };
        (verdict >> 8 <= index).then_some(rule)
    }
}

/// What an HTTP/1 head says of its body, by how often its fields stand in it: hyper drops a `Content-Length` beside a
/// `Transfer-Encoding`, and one that repeats another, so that they must be counted in the bytes.
#[must_use]
pub fn counted(lengths: u8, encodings: u8) -> Option<Rule> {
    match (lengths, encodings) {
        (0 | 1, 0) | (0, 1) => None,
        (_, 0) => Some(Rule::Lengths),
        (0, _) => Some(Rule::Encoding),
        (_, _) => Some(Rule::LengthAndEncoding),
    }
}

/// Checks what can be seen of a request's framing in its headers.
///
/// # Errors
/// The rule that it breaks.
pub fn request(parts: &Parts) -> Result<(), Rule> {
    body(&parts.headers)?;
    if parts.version == Version::HTTP_2 {
        return stream(parts);
    }
    Ok(())
}

/// Checks a backend's answer; `asked` is the `Upgrade` that it was sent.
///
/// # Errors
/// The rule that it breaks.
pub fn response(status: StatusCode, headers: &HeaderMap, asked: Option<&HeaderValue>) -> Result<(), Rule> {
    body(headers)?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let agreed = headers.get(UPGRADE).zip(asked).is_some_and(|(given, asked)| offers(asked, given));
        return if agreed { Ok(()) } else { Err(Rule::Unasked) };
    }
    Ok(())
}

/// The host that a request is for, with its port; before HTTP/1.1 it may name none.
///
/// # Errors
/// If it names none, two, or what is no host.
pub fn authority(parts: &Parts) -> Result<String, Rule> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let named = hosts.next();
    if hosts.next().is_some() {
        return Err(Rule::Hosts);
    }
    if named.is_some_and(|named| !is_authority(named.as_bytes())) {
        return Err(Rule::Host);
    }
    match (parts.uri.authority(), named) {
        (Some(authority), _) if is_authority(authority.as_str().as_bytes()) => Ok(authority.as_str().to_owned()),
        (Some(_), _) => Err(Rule::Host),
        (None, Some(named)) => named.to_str().map(str::to_owned).map_err(|_| Rule::Host),
        (None, None) if parts.version < Version::HTTP_11 => Ok(String::new()),
        (None, None) => Err(Rule::NoHost),
    }
}

fn body(headers: &HeaderMap) -> Result<(), Rule> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(Rule::Lengths);
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let encoding = encodings.next();
    if encodings.next().is_some() || encoding.is_some_and(|one| !one.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Rule::Encoding);
    }
    match (length, encoding) {
        (Some(_), Some(_)) => Err(Rule::LengthAndEncoding),
        (Some(length), None) if !is_length(length.as_bytes()) => Err(Rule::Length),
        (Some(_) | None, None) | (None, Some(_)) => Ok(()),
    }
}

/// What only a message over HTTP/2 may break.
fn stream(parts: &Parts) -> Result<(), Rule> {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    let headers = &parts.headers;
    let foreign = [CONNECTION, TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE, PROXY_CONNECTION];
    if foreign.iter().any(|name| headers.contains_key(name))
        || headers.get_all(TE).iter().any(|te| !te.as_bytes().eq_ignore_ascii_case(b"trailers"))
    {
        return Err(Rule::ConnectionHeader);
    }
    let same = |named: &HeaderValue, authority: &str| named.as_bytes().eq_ignore_ascii_case(authority.as_bytes());
    match (headers.get(HOST), parts.uri.authority()) {
        (Some(named), Some(authority)) if !same(named, authority.as_str()) => Err(Rule::HostDiffers),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

fn is_length(value: &[u8]) -> bool {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits && std::str::from_utf8(value).is_ok_and(|text| text.parse::<i64>().is_ok())
}

/// A name, an address or an IPv6 address in brackets, and perhaps a port.
fn is_authority(value: &[u8]) -> bool {
    let (host, rest) = match value.iter().position(|byte| *byte == b']') {
        Some(end) if value.first() == Some(&b'[') => value.split_at(end + 1),
        Some(_) => return false,
        None => value.split_at(value.iter().position(|byte| *byte == b':').unwrap_or(value.len())),
    };
    let port = match rest {
        [] => true,
        // A colon alone is a port too, the default one (RFC 3986, section 3.2.3).
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit) && (port.is_empty() || is::<u16>(port)),
        [_, ..] => false,
    };
    port && match host {
        [] => false,
        [b'[', address @ .., b']'] => is::<Ipv6Addr>(address),
        // Encoded octets (`%`) are no part of any name that is looked up, and each server decodes them or not.
        name => name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(byte)),
    }
}

fn is<T: FromStr>(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<T>().is_ok())
}

/// Whether the protocol that was `given` is one of those that were asked for (RFC 9110, section 7.8).
fn offers(asked: &HeaderValue, given: &HeaderValue) -> bool {
    let given = given.as_bytes().trim_ascii();
    asked.as_bytes().split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(given))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version};

    use super::*;

    fn parts(version: Version, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().version(version).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    /// What a request with these headers breaks, if anything.
    #[track_caller]
    fn check(version: Version, uri: &str, headers: &[(&str, &str)], expected: Option<Rule>) {
        let parts = parts(version, uri, headers);
        let outcome = request(&parts).and_then(|()| authority(&parts).map(drop)).err();
        assert_eq!(outcome, expected, "{uri} {headers:?}");
    }

    #[test]
    fn a_body_has_one_length_or_is_chunked() {
        let check = |headers: &[(&str, &str)], expected| {
            check(Version::HTTP_11, "/", &[&[("host", "a")], headers].concat(), expected);
        };
        check(&[], None);
        check(&[("content-length", "0")], None);
        check(&[("content-length", "9223372036854775807")], None);
        check(&[("transfer-encoding", "Chunked")], None);
        check(&[("content-length", "9223372036854775808")], Some(Rule::Length));
        check(&[("content-length", "+5")], Some(Rule::Length));
        check(&[("content-length", "5, 5")], Some(Rule::Length));
        check(&[("content-length", "")], Some(Rule::Length));
        check(&[("content-length", "0x5")], Some(Rule::Length));
        check(&[("content-length", "5"), ("content-length", "5")], Some(Rule::Lengths));
        check(&[("content-length", "5"), ("transfer-encoding", "chunked")], Some(Rule::LengthAndEncoding));
        for odd in ["identity, chunked", "gzip, chunked", ",chunked", "chunked, chunked", "chunked;a=b", "xchunked", ""]
        {
            check(&[("transfer-encoding", odd)], Some(Rule::Encoding));
        }
        check(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Some(Rule::Encoding));
        check(&[("transfer-encoding", "chunked"), ("transfer-encoding", "identity")], Some(Rule::Encoding));
    }

    #[test]
    fn a_request_is_for_one_host() {
        let check = |uri: &str, headers: &[(&str, &str)], expected| check(Version::HTTP_11, uri, headers, expected);
        for good in ["a", "a.example:80", "127.0.0.1:1", "[::1]", "[::1]:8080", "a_b", "xn--a"] {
            check("/", &[("host", good)], None);
        }
        check("/", &[], Some(Rule::NoHost));
        check("/", &[("host", "a"), ("host", "a")], Some(Rule::Hosts));
        for odd in [
            "", "a/b", "u@a", "a,b", "a b", "a?b", "a#b", "a:b", "a:1:2", "a:123456", "a:99999", "a%00", "[::1", "::1",
            "[1.2.3]", "[a]b", "a\\b",
        ] {
            check("/", &[("host", odd)], Some(Rule::Host));
        }
        // What an absolute target names counts, and what stands beside it must still be a host (RFC 9112, section 3.2.2).
        check("http://a/", &[("host", "b")], None);
        check("http://a/", &[("host", "b/")], Some(Rule::Host));
        check("http://u@a/", &[], Some(Rule::Host));
    }

    #[test]
    fn a_message_over_http2_has_no_connection_of_its_own() {
        let check =
            |headers: &[(&str, &str)], expected| check(Version::HTTP_2, "https://a.example/", headers, expected);
        check(&[], None);
        check(&[("host", "A.example"), ("te", "trailers")], None);
        check(&[("host", "b.example")], Some(Rule::HostDiffers));
        check(&[("te", "gzip")], Some(Rule::ConnectionHeader));
        for name in ["connection", "upgrade", "keep-alive", "proxy-connection"] {
            check(&[(name, "a")], Some(Rule::ConnectionHeader));
        }
        check(&[("transfer-encoding", "chunked")], Some(Rule::ConnectionHeader));
    }

    #[test]
    fn a_request_before_http_1_1_may_name_no_host() {
        check(Version::HTTP_10, "/", &[], None);
        assert_eq!(authority(&parts(Version::HTTP_10, "/", &[])).as_deref(), Ok(""));
    }

    #[track_caller]
    fn check_response(status: u16, headers: &[(&str, &str)], asked: Option<&'static str>, expected: Option<Rule>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let asked = asked.map(HeaderValue::from_static);
        let outcome = response(StatusCode::from_u16(status).unwrap(), &map, asked.as_ref()).err();
        assert_eq!(outcome, expected, "{status} {headers:?}");
    }

    #[test]
    fn a_backend_frames_its_answers_well_too() {
        check_response(200, &[("content-length", "15")], None, None);
        check_response(200, &[("content-length", "15, 15")], None, Some(Rule::Length));
        check_response(200, &[("content-length", "15"), ("content-length", "15")], None, Some(Rule::Lengths));
        check_response(200, &[("transfer-encoding", "gzip, chunked")], None, Some(Rule::Encoding));
        check_response(
            200,
            &[("content-length", "1"), ("transfer-encoding", "chunked")],
            None,
            Some(Rule::LengthAndEncoding),
        );
        check_response(101, &[("upgrade", "websocket")], None, Some(Rule::Unasked));
        check_response(101, &[], Some("websocket"), Some(Rule::Unasked));
        check_response(101, &[("upgrade", "h2c")], Some("websocket"), Some(Rule::Unasked));
        check_response(101, &[("upgrade", "WebSocket")], Some("websocket"), None);
        check_response(101, &[("upgrade", "b")], Some("a, b"), None);
    }

    #[test]
    fn fields_are_counted_as_they_came() {
        assert_eq!([counted(0, 0), counted(1, 0), counted(0, 1)], [None; 3]);
        assert_eq!(counted(2, 0), Some(Rule::Lengths));
        assert_eq!(counted(0, 2), Some(Rule::Encoding));
        assert_eq!(counted(1, 1), Some(Rule::LengthAndEncoding));
    }

    #[test]
    fn nothing_after_a_bad_head_is_trusted() {
        let verdict = Verdict::default();
        assert_eq!(verdict.of(0), None);
        for rule in [Rule::Lengths, Rule::Encoding, Rule::LengthAndEncoding] {
            verdict.condemn(2, rule);
            assert_eq!([verdict.of(1), verdict.of(2), verdict.of(3)], [None, Some(rule), Some(rule)]);
        }
    }
}
