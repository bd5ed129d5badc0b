//! Where in the text the parts of a [`Config`](super::Config) stand that can only fail later: when a port is bound,
//! when a certificate is read.

use std::path::PathBuf;

use super::problem::{Problem, Span, Wrong};

/// The places of what is opened after the config was checked.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `admin.listen`, or the start of the file where it is the default.
    pub admin: Span,
    /// One for each of the config's listeners, in their order.
    pub listeners: Vec<ListenerPlaces>,
    /// The folders that routes serve.
    pub folders: Vec<(PathBuf, Span)>,
    /// Where the key is named of each of the config's auths, in their order.
    pub auths: Vec<Span>,
}

#[derive(Debug, Clone)]
pub struct ListenerPlaces {
    pub address: Span,
    pub identity: IdentityPlaces,
}

/// Where a listener's certificates are named.
#[derive(Debug, Clone)]
pub enum IdentityPlaces {
    /// It serves no TLS.
    Plain,
    /// In the order of `certificates`.
    Files(Vec<PairPlaces>),
    SelfSigned(Span),
}

#[derive(Debug, Clone)]
pub struct PairPlaces {
    pub cert: Span,
    pub key: Span,
}

/// Which part of a listener's TLS something is wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsPart {
    /// The certificate of the pair with this index.
    Cert(usize),
    /// The key of the pair with this index.
    Key(usize),
    /// The certificate of our own making, or whatever no pair can be blamed for.
    Whole,
}

impl Places {
    /// A problem with binding the listener with this index.
    #[must_use]
    pub fn at_address(&self, listener: usize, wrong: Wrong) -> Problem {
        Problem::error(self.listeners.get(listener).map(|places| places.address.clone()).unwrap_or_default(), wrong)
    }

    /// A problem with binding the admin listener.
    #[must_use]
    pub fn at_admin(&self, wrong: Wrong) -> Problem {
        Problem::error(self.admin.clone(), wrong)
    }

    /// A problem with the key of the auth with this index.
    #[must_use]
    pub fn at_key(&self, auth: usize, wrong: Wrong) -> Problem {
        Problem::error(self.auths.get(auth).cloned().unwrap_or_default(), wrong)
    }

    /// A problem with a certificate of the listener with this index.
    #[must_use]
    pub fn at_tls(&self, listener: usize, part: TlsPart, wrong: Wrong) -> Problem {
        let span = self.listeners.get(listener).map(|places| places.tls(part)).unwrap_or_default();
        Problem::error(span, wrong)
    }
}

impl ListenerPlaces {
    fn tls(&self, part: TlsPart) -> Span {
        let named = match (&self.identity, part) {
            (IdentityPlaces::Files(pairs), TlsPart::Cert(index)) => pairs.get(index).map(|pair| pair.cert.clone()),
            (IdentityPlaces::Files(pairs), TlsPart::Key(index)) => pairs.get(index).map(|pair| pair.key.clone()),
            (IdentityPlaces::Files(pairs), TlsPart::Whole) => pairs.first().map(|pair| pair.cert.clone()),
            (IdentityPlaces::SelfSigned(span), _) => Some(span.clone()),
            (IdentityPlaces::Plain, _) => None,
        };
        named.unwrap_or_else(|| self.address.clone())
    }
}
