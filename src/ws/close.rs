//! How a WebSocket ends: the codes and reasons of RFC 6455 7.4 and its registry, and what breaks the protocol.
//!
//! Owns: [`CloseCode`], [`CloseFrame`], [`Violation`], the reasons that we give.
//! Never: decides whether to close; the socket's handler does.

use std::fmt;

use bytes::Bytes;

use super::frame::CONTROL_MAX;

/// Why a socket was closed: a number, of which some have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

/// What a peer said in its close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    pub code: CloseCode,
    /// At most 123 bytes, often empty.
    pub reason: String,
}

/// A peer broke the protocol or a limit: the socket is to be closed with `code` and `reason`, and read no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({code})")]
pub struct Violation {
    pub code: CloseCode,
    pub reason: &'static str,
}

/// The reason of a 1008 whose token ran out.
pub const TOKEN_EXPIRED: &str = "token expired";
/// The reason of a 1008 over the inbound message rate.
pub const MESSAGE_RATE: &str = "message rate";
/// The reason of a 1008 that an operator asked for.
pub const CLOSED_BY_OPERATOR: &str = "closed by operator";
/// The reason of a 1012.
pub const DRAINING: &str = "draining";
/// The reason of a 1012 for a socket that could not have been opened with the config that is in use now.
pub const CONFIG_CHANGED: &str = "configuration changed";
/// The reason of a 1013 for a viewer that does not keep up.
pub const TOO_SLOW: &str = "too slow";

impl CloseCode {
    /// Asked for, and done.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The peer goes away. Never sent by us: clients take it for navigation.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// Broke RFC 6455.
    pub const PROTOCOL: CloseCode = CloseCode(1002);
    /// A kind of message that is not served.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// A close frame without a code; never on the wire.
    pub const NO_STATUS: CloseCode = CloseCode(1005);
    /// The connection ended without a close frame; never on the wire.
    pub const ABNORMAL: CloseCode = CloseCode(1006);
    /// Text that is no UTF-8, or data that does not inflate.
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// Against our rules: the reason names which.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// A message over the limit.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// The client needed an extension that it was not given.
    pub const MISSING_EXTENSION: CloseCode = CloseCode(1010);
    /// Our own fault.
    pub const INTERNAL: CloseCode = CloseCode(1011);
    /// Restarting: come back, to the same place.
    pub const RESTART: CloseCode = CloseCode(1012);
    /// Overloaded: come back later.
    pub const TRY_AGAIN: CloseCode = CloseCode(1013);
    /// The upstream gave a bad answer.
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);
    /// The TLS handshake failed; never on the wire.
    pub const TLS: CloseCode = CloseCode(1015);

    /// The code, if a close frame may carry it: 1000-1003, 1007-1014 and 3000-4999.
    #[must_use]
    pub const fn try_new(code: u16) -> Option<CloseCode> {
        let code = CloseCode(code);
        if code.may_be_sent() { Some(code) } else { None }
    }

    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a close frame may carry it; of the names above 1005, 1006 and 1015 may not.
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Violation {
    pub(super) const fn protocol(reason: &'static str) -> Violation {
        Violation { code: CloseCode::PROTOCOL, reason }
    }

    pub(super) const fn invalid_data(reason: &'static str) -> Violation {
        Violation { code: CloseCode::INVALID_DATA, reason }
    }

    pub(super) const TOO_BIG: Violation = Violation { code: CloseCode::TOO_BIG, reason: "message too big" };
}

/// Reads the payload of a close frame; `None` for an empty one (RFC 6455, 5.5.1).
///
/// # Errors
/// 1002 for a payload of one byte or a code that must not be sent, 1007 for a reason that is no UTF-8.
pub fn parse(payload: &[u8]) -> Result<Option<CloseFrame>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Err(Violation::protocol("close frame of one byte"));
    };
    let Some(code) = CloseCode::try_new(u16::from_be_bytes(*code)) else {
        return Err(Violation::protocol("close code that must not be sent"));
    };
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some(CloseFrame { code, reason: reason.to_owned() })),
        Err(_) => Err(Violation::invalid_data("close reason is not UTF-8")),
    }
}

/// The payload of a close frame: at most 125 bytes, the reason cut between two characters; empty for a code that must
/// not be sent.
#[must_use]
pub fn payload(code: CloseCode, reason: &str) -> Bytes {
    if !code.may_be_sent() {
        return Bytes::new();
    }
    let code = code.get().to_be_bytes();
    let end = reason.floor_char_boundary(CONTROL_MAX - code.len());
    let reason = reason.get(..end).unwrap_or_default();
    [&code, reason.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(payload: &[u8], expected: Result<Option<(u16, &str)>, u16>) {
        let got = parse(payload).map(|frame| frame.map(|frame| (frame.code.get(), frame.reason)));
        let expected = expected.map(|frame| frame.map(|(code, reason)| (code, reason.to_owned())));
        assert_eq!(got.map_err(|violation| violation.code.get()), expected);
    }

    #[test]
    fn a_close_payload_is_read() {
        check(b"", Ok(None));
        check(b"\x03\xe8", Ok(Some((1000, ""))));
        check(b"\x03\xe8bye", Ok(Some((1000, "bye"))));
        check(b"\x03", Err(1002));
        check(b"\x03\xe8\xff", Err(1007));
        check(b"\x03\xe8\xe2\x82", Err(1007));
    }

    #[test]
    fn only_codes_that_may_be_sent_are_taken() {
        let good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
        for code in good {
            check(&u16::to_be_bytes(code), Ok(Some((code, ""))));
        }
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            check(&u16::to_be_bytes(code), Err(1002));
        }
    }

    #[test]
    fn a_payload_reads_back_as_what_was_said() {
        let said = payload(CloseCode::POLICY, TOKEN_EXPIRED);
        check(&said, Ok(Some((1008, "token expired"))));
        check(&payload(CloseCode::NO_STATUS, "x"), Ok(None));
    }

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let said = payload(CloseCode::INTERNAL, &"€".repeat(100));
        assert_eq!(said.len(), 2 + 123);
        check(&said, Ok(Some((1011, &"€".repeat(41)))));
        let said = payload(CloseCode::INTERNAL, &format!("a{}", "€".repeat(100)));
        assert_eq!(said.len(), 2 + 121);
    }

    #[test]
    fn a_violation_says_what_and_with_which_code() {
        assert_eq!(Violation::TOO_BIG.to_string(), "message too big (1009)");
    }
}
