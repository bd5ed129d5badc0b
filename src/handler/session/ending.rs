//! How an upstream socket ended, and what that means for its client.
//!
//! Owns: which close codes are a restart, which pass, which are translated. Never: tells a client 1001, which it would
//! take for navigation.

use std::fmt;

use crate::ws::{CloseCode, CloseFrame, Violation};

/// How an upstream socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// With this close frame; `None` is one without a code.
    Closed(Option<CloseFrame>),
    /// The connection ended or was reset.
    Lost(String),
    /// It broke the protocol.
    Broke(Violation),
    /// It answered no ping.
    Silent,
}

/// What becomes of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays, and another upstream socket is opened.
    Hold,
    Close(CloseCode, String),
}

/// The reason of a 1013 where no upstream socket could be had in time.
pub(super) const HOLD_RAN_OUT: &str = "upstream did not come back";
/// The reason of a 1013 where none is waited for.
const UPSTREAM_LOST: &str = "upstream connection lost";

impl Ending {
    /// What becomes of the client, where one is held through a restart (`holds`) or not.
    #[must_use]
    pub(super) fn verdict(&self, holds: bool) -> Verdict {
        let Ending::Closed(Some(CloseFrame { code, reason })) = self else { return restart(holds, None) };
        match code.get() {
            // 1014 is what a proxy in between says whose own server is gone.
            1001 | 1005 | 1006 | 1011..=1014 => restart(holds, Some((*code, reason))),
            1000 | 1008 | 3000..=4999 => Verdict::Close(*code, reason.clone()),
            // What it says of itself or of us is nothing that the client did.
            other => Verdict::Close(CloseCode::INTERNAL, format!("upstream closed with {other}")),
        }
    }
}

fn restart(holds: bool, said: Option<(CloseCode, &String)>) -> Verdict {
    match said {
        _ if holds => Verdict::Hold,
        Some((code, reason)) if code != CloseCode::GOING_AWAY && code.may_be_sent() => {
            Verdict::Close(code, reason.clone())
        }
        Some(_) | None => Verdict::Close(CloseCode::TRY_AGAIN, UPSTREAM_LOST.to_owned()),
    }
}

/// For the log.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Closed(None) => f.write_str("it closed without a code"),
            Ending::Closed(Some(frame)) => write!(f, "it closed with {} {:?}", frame.code, frame.reason),
            Ending::Lost(reason) => f.write_str(reason),
            Ending::Broke(violation) => write!(f, "it broke the protocol: {violation}"),
            Ending::Silent => f.write_str("it answered no ping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(code: u16) -> Ending {
        let frame = |code| CloseFrame { code, reason: "why".to_owned() };
        Ending::Closed(CloseCode::try_new(code).map(frame))
    }

    #[track_caller]
    fn check(ending: &Ending, holds: bool, expected: Option<(u16, &str)>) {
        let got = match ending.verdict(holds) {
            Verdict::Hold => None,
            Verdict::Close(code, reason) => Some((code.get(), reason)),
        };
        assert_eq!(got, expected.map(|(code, reason)| (code, reason.to_owned())), "{ending}, holding: {holds}");
    }

    #[test]
    fn a_restart_holds_the_client() {
        for code in [1001, 1011, 1012, 1013, 1014] {
            check(&closed(code), true, None);
        }
        let broke = Violation { code: CloseCode::PROTOCOL, reason: "reserved bit set" };
        for ending in [Ending::Closed(None), Ending::Lost("reset".to_owned()), Ending::Broke(broke), Ending::Silent] {
            check(&ending, true, None);
            check(&ending, false, Some((1013, UPSTREAM_LOST)));
        }
    }

    #[test]
    fn without_a_hold_a_restarts_code_passes_where_it_may_be_said() {
        for code in [1011, 1012, 1013, 1014] {
            check(&closed(code), false, Some((code, "why")));
        }
        check(&closed(1001), false, Some((1013, UPSTREAM_LOST)));
    }

    #[test]
    fn what_the_application_meant_for_the_client_passes() {
        for code in [1000, 1008, 3000, 3999, 4000, 4401, 4999] {
            check(&closed(code), true, Some((code, "why")));
            check(&closed(code), false, Some((code, "why")));
        }
    }

    #[test]
    fn what_is_between_us_and_the_upstream_is_an_error_of_ours() {
        for code in [1002, 1003, 1007, 1009, 1010] {
            let reason = format!("upstream closed with {code}");
            check(&closed(code), true, Some((1011, &reason)));
            check(&closed(code), false, Some((1011, &reason)));
        }
    }

    #[test]
    fn no_code_that_there_is_becomes_1001() {
        for code in 0..=u16::MAX {
            for holds in [true, false] {
                if let Verdict::Close(code, _) = closed(code).verdict(holds) {
                    assert!(code != CloseCode::GOING_AWAY && code.may_be_sent(), "{code}");
                }
            }
        }
    }
}
