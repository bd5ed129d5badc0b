//! The messages that steadfeed says for itself: `connected`, `keepalive`, `error`, `pong`, `subscribed`, `auth`.
//!
//! Owns: how they are written. `data` is present in all.

use jiff::Timestamp;

use super::{json, timestamp};

/// A message of our own. `data` is JSON text, `null` where `None`; `extra` are members beside it, whose values are
/// plain texts.
#[must_use]
pub fn system(type_: &str, data: Option<&str>, extra: &[(&str, &str)], at: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.extend_from_slice(b"{\"type\":");
    json::push_string(&mut out, type_);
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data.unwrap_or("null").as_bytes());
    for (name, value) in extra {
        out.push(b',');
        json::push_string(&mut out, name);
        out.push(b':');
        json::push_string(&mut out, value);
    }
    out.extend_from_slice(b",\"timestamp\":\"");
    timestamp::write(at, &mut out);
    out.extend_from_slice(b"\"}");
    out
}

/// The `data` of an `auth` message: when the newer token runs out.
#[must_use]
pub fn renewed(expires: Timestamp) -> String {
    let mut data = b"{\"expires\":\"".to_vec();
    timestamp::write(expires, &mut data);
    data.extend_from_slice(b"\"}");
    String::from_utf8(data).unwrap_or_default()
}

/// `{"type":"error","data":{"code":...,"message":...},"timestamp":...}`, both texts plain.
#[must_use]
pub fn error(code: &str, message: &str, at: Timestamp) -> Vec<u8> {
    let mut data = b"{\"code\":".to_vec();
    json::push_string(&mut data, code);
    data.extend_from_slice(b",\"message\":");
    json::push_string(&mut data, message);
    data.push(b'}');
    system("error", std::str::from_utf8(&data).ok(), &[], at)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{error, system};

    #[track_caller]
    fn check(message: Vec<u8>, expected: &str) {
        assert_eq!(String::from_utf8(message).unwrap(), expected);
    }

    #[test]
    fn data_is_always_there() {
        let at = Timestamp::UNIX_EPOCH;
        check(
            system("keepalive", None, &[], at),
            r#"{"type":"keepalive","data":null,"timestamp":"1970-01-01T00:00:00.000Z"}"#,
        );
        check(
            system("keepalive", None, &[("upstream", "st\"ale")], at),
            r#"{"type":"keepalive","data":null,"upstream":"st\"ale","timestamp":"1970-01-01T00:00:00.000Z"}"#,
        );
        check(
            system("subscribed", Some("{\"a\":1}"), &[], at),
            r#"{"type":"subscribed","data":{"a":1},"timestamp":"1970-01-01T00:00:00.000Z"}"#,
        );
    }

    #[test]
    fn an_errors_texts_are_escaped() {
        check(
            error("not_json", "a \"\\\n\u{e9}", Timestamp::UNIX_EPOCH),
            concat!(
                r#"{"type":"error","data":{"code":"not_json","message":"a \"\\\n"#,
                "\u{e9}",
                r#""},"timestamp":"1970-01-01T00:00:00.000Z"}"#
            ),
        );
    }
}
