//! The checks on a request, in the order in which [`Guards::admit`] makes them. Cheap ones come first, and what is told by the
//! address alone before what the client wrote; what costs something to be refused comes last:
//!
//! 1. **Draining**: a flag. (The cap of the process is held before: such a connection is told so, and no more.)
//! 2. **Address** (`allow`, `deny`): who may not ask at all spends nothing, neither of ours nor of others behind its /64.
//! 3. **Origin** (upgrades and event streams): a few comparisons of text, and before the rate on purpose. A browser asks for
//!    whatever page it shows: counted first, any page in the world could spend its visitor's rate (and that of the office
//!    behind the same address) on sockets that are refused. Guessing at origins gains nothing, so it needs no rate.
//! 4. **Rate** (`requests`, then `upgrades`): one look-up. Before the token, which it guards from being guessed, and
//!    whose signature is the dearest thing that a stranger can have us compute.
//! 5. **Token** (`auth`).
//! 6. **Places** (`connections_per_client`, `connections_per_subject`, `connections`): taken last, so that a request that is
//!    refused takes none. Who it is must be known by then.
//! 7. **`auth_request`** asks a server, and is the route's last word; it holds the places meanwhile, which bounds how many
//!    such questions one client can have us ask.
//!
//! Never: answers; a check gives `Result<_, Denied>`, and one place turns that into a response.

pub mod algorithm;
pub mod auth;
pub mod auth_request;
pub mod carrier;
pub mod connections;
pub mod denied;
pub mod fault;
mod fetch;
mod jwks;
mod jwt;
pub mod key;
mod key_set;
pub mod limit;
pub mod network;
pub mod options;
pub mod origin;
pub mod rate;
pub mod sign;
mod store;
#[cfg(test)]
mod testing;
mod ticket;
pub mod token;
pub mod wardens;

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::admission::Admission;

pub use auth::{Auth, AuthError, Auths};
pub use auth_request::{Check, Grant};
pub use carrier::{Found, forward};
use connections::{Permits, RouteCount};
pub use denied::{Cap, Denied};
pub use fault::{Flaw, TokenFault};
pub use key::KeyError;
pub use limit::Limit;
pub use network::Network;
pub use options::{Algorithm, AuthOptions, Carrier, ForwardToken, JwksUrl, KeyOptions, LimitOptions};
pub use origin::{OriginHost, OriginPort, OriginRule};
pub use sign::{SignError, Signer};
use token::Bearer;
pub use token::TokenRule;
pub use wardens::Wardens;

/// What a request is checked for.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    pub request: &'a Parts,
    /// Whom it is for, after trusted proxies.
    pub client: IpAddr,
    /// The host that the client asked for, with its port: what a trusted proxy says, else `Host`.
    pub authority: &'a str,
    /// The client asked over TLS; `None` where that is not known, since TLS may have ended before us.
    pub https: Option<bool>,
    /// It would open a socket or an event stream.
    pub lasting: bool,
    pub draining: bool,
}

/// What a route asks of a request. Its parts that count are shared by all workers.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    pub network: Network,
    /// For upgrades and event streams.
    pub origins: Arc<[OriginRule]>,
    pub limit: Option<Arc<Limit>>,
    pub token: TokenRule,
    pub open: RouteCount,
}

/// A request that was let in.
#[derive(Debug, Default)]
pub struct Admitted {
    /// `None` where there is nothing to be known of it.
    pub admission: Option<Admission>,
    found: Option<Found>,
}

impl Guards {
    /// Makes every check that the route asks for but the last (`auth_request`), for which the token must be out of the
    /// request.
    ///
    /// # Errors
    /// The first that fails.
    pub async fn admit(&self, visit: &Visit<'_>) -> Result<Admitted, Denied> {
        check_stage(visit)?;
        self.network.check(visit.client)?;
        self.check_origin(visit)?;
        self.check_rate(visit)?;
        let bearer = self.token.check(visit).await?;
        let permits = self.take_places(visit, bearer.as_ref())?;
        Ok(self.admitted(bearer, permits))
    }

    fn check_origin(&self, visit: &Visit<'_>) -> Result<(), Denied> {
        if visit.lasting { origin::check(&self.origins, visit) } else { Ok(()) }
    }

    fn check_rate(&self, visit: &Visit<'_>) -> Result<(), Denied> {
        self.limit.as_ref().map_or(Ok(()), |limit| limit.count(visit))
    }

    /// Only what lasts takes a place.
    fn take_places(&self, visit: &Visit<'_>, bearer: Option<&Bearer>) -> Result<Option<Permits>, Denied> {
        let Some(limit) = self.limit.as_ref().filter(|_| visit.lasting) else { return Ok(None) };
        limit.take(visit, bearer.map(|bearer| &bearer.credential), &self.open).map(Some)
    }

    fn admitted(&self, bearer: Option<Bearer>, permits: Option<Permits>) -> Admitted {
        if bearer.is_none() && permits.is_none() {
            return Admitted::default();
        }
        let mut admission = Admission::default();
        if let Some(limit) = &self.limit {
            admission.inbound = limit.inbound();
        }
        if let Some(permits) = permits {
            admission.places.push(Box::new(permits));
        }
        let found = bearer.map(|Bearer { auth, found, credential }| {
            admission.credential = Some(credential);
            admission.renewal = Some(auth);
            admission.echo_bearer = found.echo_bearer();
            found
        });
        Admitted { admission: Some(admission), found }
    }
}

impl Admitted {
    /// Takes its token out of the request, wherever else it goes.
    pub fn cut_token(&self, request: &mut Parts) {
        if let Some(found) = &self.found {
            found.cut(request);
        }
    }
}

/// A plain request is answered to the last; what would last is not begun.
fn check_stage(visit: &Visit<'_>) -> Result<(), Denied> {
    if visit.lasting && visit.draining { Err(Denied::Draining) } else { Ok(()) }
}
