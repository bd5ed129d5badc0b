//! What was found out of a request that was let in, for whoever serves it.
//!
//! Owns: whose token it came with, what it may say, and the places it takes, which Drop gives back. A socket keeps it
//! for as long as it lives. Never: judges a request; `guard` does.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::limits;
use crate::networks::Client;
use crate::rate::Rate;
use crate::secret::Secret;

/// Of one admitted request.
#[derive(Debug, Default)]
pub struct Admission {
    /// `None` on a route that asks for no token.
    pub credential: Option<Credential>,
    /// What takes a newer token in place of the credential's; `None` where there is no credential.
    pub renewal: Option<Arc<dyn Renew>>,
    pub inbound: Inbound,
    /// The token came as `Sec-WebSocket-Protocol: bearer, <token>`, and was taken out: an answer that opens a WebSocket and
    /// names no other protocol must name `bearer`, or browsers drop the socket.
    pub echo_bearer: bool,
    /// Given back when the request, or the socket that it became, has ended.
    pub places: Vec<Box<dyn Place>>,
}

/// A verified token, and whom it speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The name of the `[auth.NAME]` that verified it.
    pub auth: Arc<str>,
    /// The claim `sub`; empty where the token has none.
    pub subject: Arc<str>,
    /// Shared: never copied, never shown.
    pub token: Arc<Secret>,
    /// The claim `exp`.
    pub expires: Timestamp,
}

/// Whose something is that is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    Client(Client),
    /// The same `sub` of another `[auth.NAME]` is another's.
    Subject {
        auth: Arc<str>,
        subject: Arc<str>,
    },
}

/// What a socket's client may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inbound {
    /// Messages; `None` is as many as it likes. Over it: close 1008 `message rate`.
    pub messages: Option<Rate>,
    /// Bytes of one message, after inflating. Over it: close 1009.
    pub message_size: usize,
}

impl Admission {
    /// Whom its token speaks for; `None` without a token, or where that names nobody.
    #[must_use]
    pub fn subject(&self) -> Option<&Arc<str>> {
        self.credential.as_ref().map(|credential| &credential.subject).filter(|subject| !subject.is_empty())
    }
}

impl Whose {
    /// Whom the token speaks for, if it names somebody; else the client at this address.
    #[must_use]
    pub fn of(credential: Option<&Credential>, address: IpAddr) -> Whose {
        match credential.filter(|credential| !credential.subject.is_empty()) {
            Some(Credential { auth, subject, .. }) => {
                Whose::Subject { auth: Arc::clone(auth), subject: Arc::clone(subject) }
            }
            None => Whose::Client(Client::of(address)),
        }
    }
}

impl Credential {
    /// Whether a socket that was opened with this one may go on with `newer`: only the same subject's, found good by the
    /// same auth.
    #[must_use]
    pub fn may_be_replaced_by(&self, newer: &Credential) -> bool {
        self.auth == newer.auth && self.subject == newer.subject
    }
}

/// Verifies a token that comes after the request's own.
pub trait Renew: fmt::Debug + Send + Sync {
    /// The credential of `token`, or what to tell the client.
    ///
    /// # Errors
    /// A sentence for the client; it never holds the token.
    fn renew(&self, token: &str, now: Timestamp) -> Result<Credential, String>;

    /// A one-time ticket that stands for `credential` for [`limits::TICKET_LIFE`]; `None` where no more are to be had at
    /// the moment.
    fn ticket(&self, credential: &Credential, now: Timestamp) -> Option<Secret> {
        let _ = (credential, now);
        None
    }
}

/// A place that was counted; dropping it gives it back.
pub trait Place: fmt::Debug {}

impl Default for Inbound {
    fn default() -> Inbound {
        Inbound { messages: None, message_size: limits::MESSAGE_SIZE }
    }
}
