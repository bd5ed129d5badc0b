//! Informational answers of a server (RFC 9110, section 15.2; 103: RFC 8297) on their way to the client.
//!
//! Owns: how one is written to an HTTP/1.1 client: our own status line, and no field of the server's connection. A route's
//! rules for answers are not for these. Never: says one where it could not be told apart from what else is said: to HTTP/1.0,
//! which has none, and over HTTP/2, where hyper has no way to say them, they are dropped, as hints may be.

use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{HeaderMap, StatusCode, Version};

use crate::message::hop;
use crate::net::connection::Asked;
use crate::upstream::Asker;

/// Whom a server's informational answers are told, where the client can be told of them.
#[must_use]
pub(super) fn asker<'a>(asked: &'a Asked<'a>, version: Version) -> Option<&'a dyn Asker> {
    (version == Version::HTTP_11).then_some(asked)
}

impl Asker for Asked<'_> {
    fn interim(&self, head: Parts) {
        self.in_flight.interject(&written(head.status, head.headers));
    }
}

/// The head as it is written.
fn written(status: StatusCode, mut headers: HeaderMap) -> Vec<u8> {
    hop::response(&mut headers);
    // There is no body whose length it could be (RFC 9110, section 8.6).
    headers.remove(CONTENT_LENGTH);
    let mut head =
        format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default()).into_bytes();
    for (name, value) in &headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(status: u16, fields: &[(&'static str, &'static str)], expected: &str) {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        let head = written(StatusCode::from_u16(status).unwrap(), headers);
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }

    #[test]
    fn one_is_written_anew_without_what_concerns_a_connection_or_a_body() {
        check(102, &[], "HTTP/1.1 102 Processing\r\n\r\n");
        check(104, &[], "HTTP/1.1 104 \r\n\r\n");
        check(
            103,
            &[("link", "</a.css>; rel=preload"), ("link", "</b.js>; rel=preload"), ("x-own", "1")],
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\nx-own: 1\r\n\r\n",
        );
        check(
            103,
            &[
                ("connection", "close, x-own"),
                ("x-own", "1"),
                ("content-length", "5"),
                ("transfer-encoding", "chunked"),
                ("keep-alive", "timeout=5"),
                ("upgrade", "h2c"),
                ("link", "</a>"),
            ],
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
        );
    }
}
