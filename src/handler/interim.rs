//! Informational answers of a server (RFC 9110, section 15.2; 103: RFC 8297) on their way to the client.
//!
//! Owns: which of their fields are said: none of the server's connection. A route's rules for answers are not for these.
//! Never: says one to HTTP/1.0, which has none.

use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{HeaderMap, Version};

use crate::message::hop;
use crate::net::connection::Asked;
use crate::upstream::Asker;

/// Whom a server's informational answers are told, where the client can be told of them.
#[must_use]
pub(super) fn asker<'a>(asked: &'a Asked<'a>, version: Version) -> Option<&'a dyn Asker> {
    (version >= Version::HTTP_11).then_some(asked)
}

impl Asker for Asked<'_> {
    fn interim(&self, head: Parts) {
        self.interims.say(head.status, passed(head.headers));
    }
}

/// The fields that are the client's.
fn passed(mut headers: HeaderMap) -> HeaderMap {
    hop::response(&mut headers);
    // There is no body whose length it could be (RFC 9110, section 8.6).
    headers.remove(CONTENT_LENGTH);
    headers
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], expected: &[(&str, &str)]) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let headers = passed(headers);
        let seen: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn one_is_passed_without_what_concerns_a_connection_or_a_body() {
        check(&[], &[]);
        let links = [("link", "</a.css>; rel=preload"), ("link", "</b.js>; rel=preload"), ("x-own", "1")];
        check(&links, &links);
        check(
            &[
                ("connection", "close, x-own"),
                ("x-own", "1"),
                ("content-length", "5"),
                ("transfer-encoding", "chunked"),
                ("keep-alive", "timeout=5"),
                ("upgrade", "h2c"),
                ("link", "</a>"),
            ],
            &[("link", "</a>")],
        );
    }
}
