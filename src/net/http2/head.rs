//! The head of an answer as HTTP/2 has it.
//!
//! Owns: what hyper does for HTTP/1: the date, the length of a body that is known, and no field of a connection (RFC 9113,
//! section 8.2.2).

use std::time::SystemTime;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName};

use crate::net::date::date;

/// Fields that would make the message malformed.
static BARRED: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Makes `headers` those of an answer whose body, if there is one that is not empty, has `length` bytes, where that is known.
pub(super) fn finish(headers: &mut HeaderMap, length: Option<u64>) {
    // One look at the few there are, since there is nearly never any.
    if headers.keys().any(|name| BARRED.contains(name)) {
        for name in &BARRED {
            headers.remove(name);
        }
    }
    headers.entry(DATE).or_insert_with(|| date(SystemTime::now()));
    if let Some(length) = length {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], length: Option<u64>, expected: &[(&str, &str)]) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        finish(&mut headers, length);
        let mut seen: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        seen.sort_unstable();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_head_has_a_date_and_a_length_and_nothing_of_a_connection() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        check(&[date], None, &[date]);
        check(&[date], Some(5), &[("content-length", "5"), date]);
        check(&[date, ("content-length", "7")], Some(5), &[("content-length", "7"), date]);
        check(
            &[
                ("connection", "close"),
                date,
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "close"),
                ("te", "trailers"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("x-own", "1"),
            ],
            None,
            &[date, ("x-own", "1")],
        );
    }
}
