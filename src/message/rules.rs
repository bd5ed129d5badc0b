//! A route's own rules on headers (`headers`): set, or removed.
//!
//! Owns: what they may not touch: a header that frames the message or upgrades the connection is HTTP's own, and stays.

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

const OURS: [HeaderName; 13] = [
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
];

/// Whether a header says how a message is framed, is of one connection alone (RFC 9110, section 7.6.1), or makes a
/// WebSocket's handshake (RFC 6455, section 11.3): we write it ourselves, and no rule may name it.
#[must_use]
pub fn is_ours(name: &HeaderName) -> bool {
    OURS.contains(name)
}

/// Sets each header to its value, in place of all it had, or removes it where there is none.
pub fn apply(headers: &mut HeaderMap, rules: &[(HeaderName, Option<HeaderValue>)]) {
    for (name, value) in rules.iter().filter(|(name, _)| !is_ours(name)) {
        remove(headers, name);
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
}

/// Removes a header, also as `X_Tenant`, which is the same as `X-Tenant` to CGI and its heirs.
pub fn remove(headers: &mut HeaderMap, name: &HeaderName) {
    headers.remove(name);
    let same = |(a, b): (u8, u8)| a == b || (matches!(a, b'_' | b'-') && matches!(b, b'_' | b'-'));
    let alike = |other: &&HeaderName| {
        let (name, other) = (name.as_str(), other.as_str());
        name.len() == other.len() && name.bytes().zip(other.bytes()).all(same)
    };
    while let Some(other) = headers.keys().find(alike).cloned() {
        headers.remove(other);
    }
}

#[cfg(test)]
mod tests {
    use http::header::{self, CONTENT_LENGTH, SERVER, SET_COOKIE};
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{OURS, apply};

    #[track_caller]
    fn check(rules: &[(HeaderName, Option<&'static str>)], expected: &[(HeaderName, &str)]) {
        let mut headers = HeaderMap::new();
        headers.insert(SERVER, HeaderValue::from_static("app"));
        headers.append(SET_COOKIE, HeaderValue::from_static("a"));
        headers.append(SET_COOKIE, HeaderValue::from_static("b"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        let rules: Vec<_> =
            rules.iter().map(|(name, value)| (name.clone(), value.map(HeaderValue::from_static))).collect();
        apply(&mut headers, &rules);
        let found: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), value.to_str().unwrap())).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(expected.iter().all(|header| found.contains(header)), "{found:?}");
    }

    #[test]
    fn a_header_is_set_in_place_of_all_it_was_or_removed() {
        let rest = [(SET_COOKIE, "a"), (SET_COOKIE, "b"), (CONTENT_LENGTH, "5")];
        check(&[(SERVER, Some("x"))], &[&[(SERVER, "x")], &rest[..]].concat());
        check(&[(SERVER, None)], &rest);
        check(&[(SET_COOKIE, Some("c"))], &[(SERVER, "app"), (SET_COOKIE, "c"), (CONTENT_LENGTH, "5")]);
        check(&[(SET_COOKIE, None)], &[(SERVER, "app"), (CONTENT_LENGTH, "5")]);
        check(&[(header::VIA, None)], &[&[(SERVER, "app")], &rest[..]].concat());
        // The later rule has the last word.
        check(&[(SERVER, None), (SERVER, Some("y"))], &[&[(SERVER, "y")], &rest[..]].concat());
    }

    #[test]
    fn a_name_in_disguise_is_the_same_name() {
        let mut headers = HeaderMap::new();
        for name in ["x_tenant-id", "x-tenant_id", "x_tenant_id", "x-tenant-id", "x-tenant-ids"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("client's"));
        }
        apply(&mut headers, &[(HeaderName::from_static("x-tenant-id"), Some(HeaderValue::from_static("ours")))]);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers["x-tenant-id"], "ours");
    }

    #[test]
    fn what_frames_the_message_stays_as_it_is() {
        let rest = [(SERVER, "app"), (SET_COOKIE, "a"), (SET_COOKIE, "b"), (CONTENT_LENGTH, "5")];
        check(&[(CONTENT_LENGTH, None)], &rest);
        check(&[(CONTENT_LENGTH, Some("7"))], &rest);
        for name in OURS {
            check(&[(name, Some("x"))], &rest);
        }
    }
}
