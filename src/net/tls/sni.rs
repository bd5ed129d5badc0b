//! The name that a client asked a certificate for (SNI), against the host that a request then names.
//!
//! A client may send a request for another host over a connection it has, where the certificate it was shown is for that
//! host too (RFC 9113, section 9.1.1: browsers do, above all with a wildcard certificate). Where it is not, the request
//! is *misdirected* (RFC 9110, section 15.5.20), and 421 has the client come back on a connection of that host's own:
//!
//! | certificate shown | another certificate of the listener | answer |
//! |---|---|---|
//! | the client named no host | | served |
//! | is for the request's host | | served |
//! | is not for it | is for it | 421 |
//! | is not for it | neither | served: no other connection would do better |
//!
//! So a listener with one certificate never answers 421, whatever `Host` says; nor does a name of the operator's own that
//! no certificate bears (`localhost`, an address, the inner name that a balancer dials).

use std::fmt;
use std::sync::Arc;

use super::resolver::Resolver;

/// A connection's name, and the certificates it was chosen among.
pub struct Sni {
    name: Box<str>,
    resolver: Arc<Resolver>,
}

impl Sni {
    pub(super) fn new(name: &str, resolver: &Arc<Resolver>) -> Sni {
        Sni { name: name.into(), resolver: Arc::clone(resolver) }
    }

    /// Whether a request for `host` (without a port) belongs on another connection, by the certificates of the moment.
    #[must_use]
    pub fn misdirects(&self, host: &str) -> bool {
        !self.name.eq_ignore_ascii_case(host) && self.resolver.keyring().misdirects(&self.name, host)
    }
}

impl fmt::Debug for Sni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sni").field(&self.name).finish()
    }
}
