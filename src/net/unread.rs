//! What hyper answers by itself, before anybody has seen a request: it is given the body that every refusal has.
//!
//! Owns: knowing such an answer by its bytes. hyper's server writes it with these fields, in this order, and no others; what
//! a handler answers begins with fields of its own. Never: touches an answer to a request that could be read.

use std::io::IoSlice;

/// A status that hyper answers with by itself, and what that means.
const REFUSALS: [(&str, &str); 3] = [
    ("400 Bad Request", "this is no HTTP request that can be read"),
    ("414 URI Too Long", "the request's target is longer than it may be"),
    ("431 Request Header Fields Too Large", "the request's head is larger than it may be, or has too many fields"),
];
/// How hyper goes on behind the status.
const BARE: &str = "\r\nconnection: close\r\ncontent-length: 0\r\ndate: ";

/// The answer with a body (`application/problem+json`, RFC 9457), where what is to be written is one of hyper's own.
#[must_use]
pub(super) fn told(parts: &[IoSlice<'_>]) -> Option<String> {
    let mut filled = parts.iter().filter(|part| !part.is_empty());
    let (Some(bytes), None) = (filled.next(), filled.next()) else { return None };
    // Nearly all that is written is none: a look at the status's first digit tells.
    let head = bytes.strip_prefix(b"HTTP/1.1 ").filter(|head| head.first() == Some(&b'4'))?;
    let head = std::str::from_utf8(head).ok().filter(|head| head.ends_with("\r\n\r\n"))?;
    REFUSALS.iter().find_map(|(status, detail)| {
        let date = head.strip_prefix(status)?.strip_prefix(BARE)?.trim_end();
        let (code, title) = status.split_once(' ')?;
        let body = format!(r#"{{"type":"about:blank","title":"{title}","status":{code},"detail":"{detail}"}}"#);
        let length = body.len();
        Some(format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nserver: steadfeed\r\nconnection: close\r\n\
             content-length: {length}\r\ndate: {date}\r\n\r\n{body}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: bool) {
        assert_eq!(told(&[IoSlice::new(b""), IoSlice::new(answer.as_bytes())]).is_some(), expected, "{answer}");
    }

    #[test]
    fn only_what_hyper_answers_by_itself_is_given_a_body() {
        const DATE: &str = "date: Sun, 22 Nov 2026 05:54:24 GMT\r\n\r\n";
        for (status, _) in REFUSALS {
            check(&format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n{DATE}"), true);
            check(&format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n{DATE}"), false);
            check(&format!("HTTP/1.1 {status}\r\nx: y\r\nconnection: close\r\ncontent-length: 0\r\n{DATE}"), false);
            check(&format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 1\r\n{DATE}x"), false);
        }
        check(&format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n{DATE}"), false);
        check("", false);
    }
}
