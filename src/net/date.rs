//! The `Date` of answers that hyper does not write (RFC 9110, section 6.6.1).
//!
//! Owns: its text, written once a second and thread.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// The second since 1970 that was last written, and how.
type Written = (u64, HeaderValue);

thread_local! {
    static NOW: RefCell<Written> = const { RefCell::new((u64::MAX, HeaderValue::from_static(""))) };
}

/// As in `Date`, written once a second.
pub(super) fn date(now: SystemTime) -> HeaderValue {
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    NOW.with_borrow_mut(|(at, written)| {
        if *at != second {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
            *written = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
            *at = second;
        }
        written.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_second_that_it_is_asked_for() {
        for (second, expected) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(date(UNIX_EPOCH + Duration::from_millis(second * 1000 + 999)), expected);
        }
    }
}
