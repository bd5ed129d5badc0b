//! Whom a session speaks for, and until when.
//!
//! Owns: the newest credential, and the client's `auth` messages that bring it. Never: shows a token, or takes one of
//! another subject.

use std::borrow::Cow;
use std::rc::Rc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::admission::{Admission, Credential, Inbound};
use crate::feed::command::{self, Command};
use crate::feed::pass::{ANOTHERS_TOKEN, AUTH_FAILED};
use crate::feed::system::{error, renewed, system};

/// What the guards found out of one client, and what it has shown since. The places that it takes are held with it.
#[derive(Debug)]
pub(super) struct Identity {
    admission: Rc<Admission>,
    renewed: Option<Box<Credential>>,
}

/// The one member that says whose a message is.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    type_: Cow<'a, str>,
}

impl Identity {
    #[must_use]
    pub(super) fn new(admission: &Rc<Admission>) -> Identity {
        Identity { admission: Rc::clone(admission), renewed: None }
    }

    #[must_use]
    pub(super) fn inbound(&self) -> Inbound {
        self.admission.inbound
    }

    /// The newest; `None` where the route asks for none.
    #[must_use]
    pub(super) fn credential(&self) -> Option<&Credential> {
        self.renewed.as_deref().or(self.admission.credential.as_ref())
    }

    /// The answer to an `auth` message, where there is something to renew; nothing to all others, which are not for us.
    pub(super) fn hear(&mut self, text: &str, now: Timestamp) -> Option<Vec<u8>> {
        let renewal = self.admission.renewal.as_ref()?;
        if !text.trim_start().starts_with('{')
            || memchr::memmem::find(text.as_bytes(), b"auth").is_none()
            || serde_json::from_str::<Typed<'_>>(text).ok()?.type_ != "auth"
        {
            return None;
        }
        let token = match command::parse(text) {
            Ok(Command::Auth { token }) => token,
            Ok(Command::Subscribe(_) | Command::Ping | Command::History { .. }) => return None,
            Err(wrong) => return Some(error(wrong.code, &wrong.message, now)),
        };
        match renewal.renew(token.reveal(), now) {
            Ok(newer) if self.credential().is_some_and(|known| known.may_be_replaced_by(&newer)) => {
                let expires = newer.expires;
                self.renewed = Some(Box::new(newer));
                Some(system("auth", Some(&renewed(expires)), &[], now))
            }
            // As a feed answers, so that a client need not know which of both it speaks to.
            Ok(_) => Some(error(AUTH_FAILED, ANOTHERS_TOKEN, now)),
            Err(why) => Some(error(AUTH_FAILED, &why, now)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::admission::Renew;
    use crate::secret::Secret;

    /// Takes `SUBJECT@SECONDS`.
    #[derive(Debug)]
    struct Simple;

    impl Renew for Simple {
        fn renew(&self, token: &str, _now: Timestamp) -> Result<Credential, String> {
            let (subject, expires) = token.split_once('@').ok_or("the token is malformed")?;
            Ok(credential(subject, token, expires.parse().map_err(|_| "the token is malformed")?))
        }
    }

    fn credential(subject: &str, token: &str, expires: i64) -> Credential {
        Credential {
            auth: "viewers".into(),
            subject: subject.into(),
            token: Arc::new(Secret::new(token.to_owned())),
            expires: Timestamp::from_second(expires).unwrap(),
        }
    }

    /// Of `ann`, until this second.
    pub(in crate::handler::session) fn admission(expires: i64) -> Admission {
        Admission {
            credential: Some(credential("ann", "old", expires)),
            renewal: Some(Arc::new(Simple)),
            ..Admission::default()
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<&str>, expires: i64) {
        let mut identity = Identity::new(&Rc::new(admission(100)));
        let answer = identity.hear(text, Timestamp::UNIX_EPOCH).map(|answer| String::from_utf8(answer).unwrap());
        let part = expected.unwrap_or_default();
        assert!(answer.is_some() == expected.is_some(), "{text}: {answer:?}");
        assert!(answer.as_deref().unwrap_or_default().contains(part), "{text}: {answer:?}");
        assert_eq!(identity.credential().unwrap().expires.as_second(), expires, "{text}");
    }

    #[test]
    fn a_newer_token_of_the_same_subject_is_taken() {
        check(
            r#"{"type":"auth","data":{"token":"ann@200"}}"#,
            Some(r#"{"type":"auth","data":{"expires":"1970-01-01T00:03:20.000Z"},"#),
            200,
        );
        check(r#"{"type":"auth","data":{"token":"bob@200"}}"#, Some(r#""code":"auth_failed""#), 100);
        check(r#"{"type":"auth","data":{"token":"x"}}"#, Some("the token is malformed"), 100);
        check(r#"{"type":"auth"}"#, Some(r#""code":"bad_value""#), 100);
    }

    #[test]
    fn all_else_is_the_applications() {
        for text in ["auth", "{\"type\":\"authors\"}", "{\"data\":\"auth\"}", "[\"auth\"]", "{\"type\":\"ping\"}"] {
            check(text, None, 100);
        }
        let mut open = Identity::new(&Rc::default());
        assert_eq!(open.hear(r#"{"type":"auth","data":{"token":"ann@1"}}"#, Timestamp::UNIX_EPOCH), None);
    }
}
