//! What is wrong with a request's token: a status and a short sentence for the client (RFC 6750, section 3), and for the
//! log what helps whoever must find out why.
//!
//! Never: holds the token, or more of a client's own words than [`limits::ECHO`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use jiff::SignedDuration;

use crate::limits;

/// Why nobody is let in on what a request brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// Nothing at all, where this auth looks.
    Missing {
        auth: Arc<str>,
    },
    Bad {
        auth: Arc<str>,
        flaw: Flaw,
    },
    /// A good token, that is not let in: a claim that `require` names.
    Claim {
        auth: Arc<str>,
        name: String,
        has: Option<String>,
    },
    /// There is no key yet, so that no token can be judged.
    NoKeys {
        auth: Arc<str>,
        reason: String,
    },
}

/// What is wrong with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Bytes.
    TooLong(usize),
    NotThreeParts,
    /// Of the part that is named.
    NotBase64(&'static str),
    NotJson(&'static str),
    /// As the token names it; the auth does not take it.
    Algorithm(Echo),
    /// `crit` names extensions, none of which we know (RFC 7515, section 4.1.11).
    Critical,
    UnknownKey(Echo),
    /// The token names no key, and so many fit.
    WhichKey(usize),
    NoKey,
    Signature,
    /// A claim is missing, or is of the wrong kind.
    Malformed(&'static str),
    Expired {
        ago: Duration,
    },
    NotYet {
        left: Duration,
    },
    /// What the token has.
    Issuer(Option<Echo>),
    Audience(Option<Echo>),
    /// It is spent, of old, of another auth, or was never given.
    Ticket,
}

/// A client's own words, cut short.
#[derive(Clone, PartialEq, Eq)]
pub struct Echo(Box<str>);

impl TokenFault {
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            TokenFault::Missing { .. } | TokenFault::Bad { .. } => StatusCode::UNAUTHORIZED,
            TokenFault::Claim { .. } => StatusCode::FORBIDDEN,
            TokenFault::NoKeys { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The `reason` of `steadfeed_denied_total`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            TokenFault::Missing { .. } => "no_token",
            TokenFault::Bad { .. } => "bad_token",
            TokenFault::Claim { .. } => "claim",
            TokenFault::NoKeys { .. } => "no_keys",
        }
    }

    /// `WWW-Authenticate` (RFC 6750, section 3): no error is named where there is no token.
    #[must_use]
    pub fn challenge(&self) -> Option<HeaderValue> {
        let text = match self {
            TokenFault::Missing { .. } => "Bearer",
            TokenFault::Bad { flaw: Flaw::Expired { .. }, .. } => {
                "Bearer error=\"invalid_token\", error_description=\"the token has expired\""
            }
            TokenFault::Bad { .. } => "Bearer error=\"invalid_token\"",
            TokenFault::Claim { .. } => "Bearer error=\"insufficient_scope\"",
            TokenFault::NoKeys { .. } => return None,
        };
        Some(HeaderValue::from_static(text))
    }

    /// The name of the `[auth.NAME]`.
    #[must_use]
    pub fn auth(&self) -> &str {
        match self {
            TokenFault::Missing { auth }
            | TokenFault::Bad { auth, .. }
            | TokenFault::Claim { auth, .. }
            | TokenFault::NoKeys { auth, .. } => auth,
        }
    }

    /// For the log.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            TokenFault::Missing { .. } => "no token came with the request, in any place that `from` names".to_owned(),
            TokenFault::Bad { flaw, .. } => flaw.to_string(),
            TokenFault::Claim { name, has: None, .. } => {
                format!("the token has no claim `{name}`, which `require` names")
            }
            TokenFault::Claim { name, has: Some(has), .. } => {
                format!("the claim `{name}` is {has}, which is not what `require` names")
            }
            TokenFault::NoKeys { reason, .. } => {
                format!("tokens cannot be judged, since there is no key: {reason}")
            }
        }
    }
}

/// For the client.
impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenFault::Missing { .. } => "this needs a token",
            TokenFault::Bad { flaw: Flaw::Expired { .. }, .. } => "the token has expired",
            TokenFault::Bad { flaw: Flaw::Ticket, .. } => "the ticket is not good, or not any more",
            TokenFault::Bad { .. } => "the token is not good here",
            TokenFault::Claim { .. } => "the token does not allow this",
            TokenFault::NoKeys { .. } => "tokens cannot be checked at the moment; try again soon",
        })
    }
}

impl std::error::Error for TokenFault {}

/// For the log.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let for_long = |time: &Duration| SignedDuration::try_from(*time).unwrap_or(SignedDuration::MAX);
        match self {
            Flaw::TooLong(bytes) => write!(f, "it is {bytes} bytes long, of {} that it may be", limits::TOKEN_SIZE),
            Flaw::NotThreeParts => f.write_str("it is no JWT: it has not three parts with dots between them"),
            Flaw::NotBase64(part) => write!(f, "its {part} is not base64url"),
            Flaw::NotJson(part) => write!(f, "its {part} is no JSON object of the right kind"),
            Flaw::Algorithm(name) => write!(f, "it is signed with {name}, which `algorithms` does not name"),
            Flaw::Critical => f.write_str("its header asks for an extension (`crit`), and none is known here"),
            Flaw::UnknownKey(kid) => write!(f, "the key set has no key {kid} (`kid`) for its algorithm"),
            Flaw::WhichKey(fit) => write!(f, "it names no key (`kid`), and {fit} of the key set fit"),
            Flaw::NoKey => f.write_str("it names no key (`kid`), and the key set has none for its algorithm"),
            Flaw::Signature => f.write_str("its signature is not of this auth's key"),
            Flaw::Malformed(claim) => write!(f, "the claim `{claim}` is missing or malformed"),
            Flaw::Expired { ago } => write!(f, "it expired {:#} ago", for_long(ago)),
            Flaw::NotYet { left } => write!(f, "it is good only in {:#} (`nbf`)", for_long(left)),
            Flaw::Issuer(None) => f.write_str("it has no issuer (`iss`)"),
            Flaw::Issuer(Some(has)) => write!(f, "its issuer is {has}, which is not the auth's `issuer`"),
            Flaw::Audience(None) => f.write_str("it has no audience (`aud`)"),
            Flaw::Audience(Some(has)) => write!(f, "its audience is {has}, which is not the auth's `audience`"),
            Flaw::Ticket => {
                f.write_str("the ticket was used already, is too old, is of another auth, or was never given")
            }
        }
    }
}

impl Echo {
    #[must_use]
    pub fn new(text: &str) -> Echo {
        let end = (0..=limits::ECHO.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        Echo(text.get(..end.unwrap_or(0)).unwrap_or_default().into())
    }
}

/// In quotes, with what could break a line escaped.
impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_own_words_are_cut_short_and_cannot_break_a_line() {
        assert_eq!(Echo::new("a\nb").to_string(), r#""a\nb""#);
        assert_eq!(Echo::new(&"é".repeat(100)).0.len(), limits::ECHO);
        assert_eq!(Echo::new(&format!("x{}", "é".repeat(100))).0.len(), limits::ECHO - 1);
    }

    #[test]
    fn each_fault_has_its_status_its_reason_and_its_challenge() {
        let auth: Arc<str> = "viewers".into();
        let bad = |flaw| TokenFault::Bad { auth: Arc::clone(&auth), flaw };
        let cases = [
            (TokenFault::Missing { auth: Arc::clone(&auth) }, 401, "no_token", Some("Bearer")),
            (bad(Flaw::Signature), 401, "bad_token", Some("Bearer error=\"invalid_token\"")),
            (
                TokenFault::Claim { auth: Arc::clone(&auth), name: "role".to_owned(), has: None },
                403,
                "claim",
                Some("Bearer error=\"insufficient_scope\""),
            ),
            (TokenFault::NoKeys { auth: Arc::clone(&auth), reason: "refused".to_owned() }, 503, "no_keys", None),
        ];
        for (fault, status, reason, challenge) in cases {
            assert_eq!((fault.status().as_u16(), fault.reason()), (status, reason));
            assert_eq!(fault.challenge().as_ref().map(|value| value.to_str().unwrap()), challenge);
            assert_eq!(fault.auth(), "viewers");
        }
    }

    #[test]
    fn how_long_ago_is_said_as_people_say_it() {
        assert_eq!(Flaw::Expired { ago: Duration::from_secs(192) }.to_string(), "it expired 3m 12s ago");
        assert_eq!(Flaw::NotYet { left: Duration::from_secs(5) }.to_string(), "it is good only in 5s (`nbf`)");
    }
}
