//! Which request this is: `traceparent` (W3C Trace Context, section 3.2) and `X-Request-Id`.
//!
//! Owns: the random numbers behind them, one source a thread, seeded once: a request costs no system call. Never: makes a
//! secret; these are numbers to find lines by.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::only;
use super::trail::{Field, Trail};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All that a request is called by.
pub const FIELDS: [HeaderName; 3] = [TRACEPARENT, TRACESTATE, X_REQUEST_ID];

/// Passes on what names the request already, and names it on `trail` where nothing does. An id longer than `longest` names
/// nothing.
pub fn mark(headers: &mut HeaderMap, longest: usize, trail: &mut Trail) {
    let kept = only(headers, &TRACEPARENT).is_some_and(|parent| is_traceparent(parent.as_bytes()));
    if !kept {
        headers.remove(TRACEPARENT);
        // The state belongs to the parent that was dropped.
        headers.remove(TRACESTATE);
    }
    let is_id =
        |id: &HeaderValue| id.len() <= longest && !id.is_empty() && id.as_bytes().iter().all(u8::is_ascii_graphic);
    let named = only(headers, &X_REQUEST_ID).is_some_and(is_id);
    if !named {
        headers.remove(X_REQUEST_ID);
    }
    name(!kept, !named, trail);
}

/// Names a request that nobody has named yet: by a `trace`, an `id`, or both.
pub fn name(trace: bool, id: bool, trail: &mut Trail) {
    if trace {
        // The version, the trace, our own part in it, and that nobody has recorded it.
        let mut line = trail.line(Field::Traceparent);
        line.push("00-");
        line.push_hex(random());
        line.push_hex(random() | 1);
        line.push("-");
        line.push_hex(random() | 1);
        line.push("-00");
        line.end();
    }
    if id {
        let mut line = trail.line(Field::RequestId);
        line.push_hex(random());
        line.push_hex(random());
        line.end();
    }
}

/// 64 bits that nobody has seen before, as far as chance goes.
#[must_use]
pub fn random() -> u64 {
    thread_local! {
        /// The standard library's keys come from the system once a thread.
        static STATE: Cell<(u64, u64)> = Cell::new({
            let random = RandomState::new();
            (random.hash_one(1u8), random.hash_one(2u8) | 1)
        });
    }
    // SplitMix64, each thread with a step of its own, so that two that start alike part ways.
    let (state, step) = STATE.get();
    let state = state.wrapping_add(step);
    STATE.set((state, step));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn is_traceparent(text: &[u8]) -> bool {
    let lower = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let some = |part: &[u8]| lower(part) && part.iter().any(|byte| *byte != b'0');
    let Some((known, rest)) = text.split_at_checked(55) else { return false };
    let [version @ .., _] = &known[..3] else { return false };
    let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    // Later versions may have more to say, after another dash.
    let ends = rest.is_empty() || (version != b"00" && rest[0] == b'-');
    dashes
        && ends
        && lower(version)
        && version != b"ff"
        && some(&known[3..35])
        && some(&known[36..52])
        && lower(&known[53..])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn marked(told: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in told {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let mut trail = Trail::new();
        mark(&mut headers, 16, &mut trail);
        trail.set(&mut headers);
        headers
    }

    #[track_caller]
    fn check_parent(told: &str, kept: bool) {
        let headers = marked(&[("traceparent", told), ("tracestate", "a=b")]);
        let parent = &headers[TRACEPARENT];
        assert_eq!(parent == told, kept, "{told}");
        assert_eq!(headers.contains_key(TRACESTATE), kept, "{told}");
        assert!(is_traceparent(parent.as_bytes()), "{parent:?}");
    }

    #[test]
    fn a_trace_is_passed_on_where_it_is_well_formed() {
        check_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check_parent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what", true);
        check_parent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what", false);
        check_parent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what", false);
        check_parent("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check_parent("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false);
        check_parent("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
        check_parent("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check_parent("", false);
    }

    #[test]
    fn a_request_id_is_passed_on_where_it_is_short_and_visible() {
        assert_eq!(marked(&[("x-request-id", "0123456789abcdef")])[X_REQUEST_ID], "0123456789abcdef");
        for odd in ["0123456789abcdef0", "a b", "", "a\u{e4}"] {
            assert_eq!(marked(&[("x-request-id", odd)])[X_REQUEST_ID].len(), 32, "{odd}");
        }
        let two = marked(&[("x-request-id", "a"), ("x-request-id", "b")]);
        assert_eq!((two[X_REQUEST_ID].len(), two.get_all(X_REQUEST_ID).iter().count()), (32, 1));
    }

    #[test]
    fn no_two_requests_are_called_the_same() {
        let here: HashSet<u64> = (0..10_000).map(|_| random()).collect();
        let there: HashSet<u64> = std::thread::spawn(|| (0..10_000).map(|_| random()).collect()).join().unwrap();
        assert_eq!(here.union(&there).count(), 20_000);
    }
}
