//! Answers of HTTP/1.1 that are written at once, whole: those that open a socket, informational ones, and those that end a
//! connection.
//!
//! Never: writes a final one after which the connection goes on.

use std::time::SystemTime;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};
use hyper::ext::ReasonPhrase;

use super::date;
use crate::message::Body;

/// What most heads fit in, in bytes: one small allocation.
const USUAL: usize = 500;

/// The head of an answer without a body: one that opens a socket, or an informational one (RFC 9110, section 15.2).
pub(super) fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut head = Vec::with_capacity(USUAL);
    begin(&mut head, status, headers);
    head.extend_from_slice(b"\r\n");
    head
}

/// All of an answer that is at hand and says that it is the connection's last (RFC 9112, section 9.6), to any request but
/// HEAD; `None` for others.
pub(super) fn last(response: &Response<Body>) -> Option<Vec<u8>> {
    let (headers, status) = (response.headers(), response.status());
    let body = match response.body() {
        Body::Empty => &[],
        Body::Whole(bytes) => bytes.as_ref(),
        Body::Stream(_) | Body::Passing(_) => return None,
    };
    let framed = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    let bodiless = status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    let ends = headers.get(CONNECTION).is_some_and(|said| said == "close");
    if !ends || framed || bodiless || response.extensions().get::<ReasonPhrase>().is_some() {
        return None;
    }
    let mut all = Vec::with_capacity(USUAL + body.len());
    begin(&mut all, status, headers);
    all.extend_from_slice(format!("{CONTENT_LENGTH}: {}\r\n", body.len()).as_bytes());
    if !headers.contains_key(DATE) {
        all.extend_from_slice(b"date: ");
        all.extend_from_slice(date::date(SystemTime::now()).as_bytes());
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"\r\n");
    all.extend_from_slice(body);
    Some(all)
}

/// The status line and the fields.
fn begin(head: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    let mut push = |part: &[u8]| head.extend_from_slice(part);
    push(b"HTTP/1.1 ");
    push(status.as_str().as_bytes());
    push(b" ");
    push(status.canonical_reason().unwrap_or_default().as_bytes());
    push(b"\r\n");
    for (name, value) in headers {
        push(name.as_str().as_bytes());
        push(b": ");
        push(value.as_bytes());
        push(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Response, StatusCode};

    use super::{head, last};
    use crate::message::Body;

    #[test]
    fn an_answer_that_opens_a_socket_is_its_head() {
        let response = Response::builder().status(101).header("upgrade", "a").header("connection", "upgrade");
        let response = response.body(()).unwrap();
        let expected = "HTTP/1.1 101 Switching Protocols\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n";
        assert_eq!(head(response.status(), response.headers()), expected.as_bytes());
    }

    #[track_caller]
    fn check(status: u16, fields: &[(&'static str, &'static str)], body: Body, expected: Option<&str>) {
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let said = last(&response.body(body).unwrap()).map(|said| String::from_utf8(said).unwrap());
        assert_eq!(said.as_deref(), expected);
    }

    #[test]
    fn only_what_is_at_hand_and_the_connections_last_is_written_whole() {
        let (close, date) = (("connection", "close"), ("date", "x"));
        let body = || Body::Whole(Bytes::from_static(b"no"));
        let said = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ndate: x\r\ncontent-length: 2\r\n\r\nno";
        check(403, &[close, date], body(), Some(said));
        let said = "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ndate: x\r\ncontent-length: 0\r\n\r\n";
        check(429, &[close, date], Body::Empty, Some(said));
        check(403, &[date], body(), None);
        check(204, &[close, date], Body::Empty, None);
        check(403, &[close, date, ("content-length", "2")], body(), None);
        check(403, &[close, date], Body::stream(futures_util::stream::empty()), None);
    }

    #[test]
    fn a_head_is_written_with_our_own_status_line() {
        let mut headers = HeaderMap::new();
        assert_eq!(head(StatusCode::PROCESSING, &headers), b"HTTP/1.1 102 Processing\r\n\r\n");
        assert_eq!(head(StatusCode::from_u16(104).unwrap(), &headers), b"HTTP/1.1 104 \r\n\r\n");
        for link in ["</a.css>; rel=preload", "</b.js>"] {
            headers.append("link", link.parse().unwrap());
        }
        let expected = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>\r\n\r\n";
        assert_eq!(head(StatusCode::EARLY_HINTS, &headers), expected);
    }
}
