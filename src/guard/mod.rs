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

pub mod auth_request;
pub mod client;
pub mod connections;
pub mod denied;
pub mod limit;
pub mod network;
pub mod options;
pub mod origin;
pub mod rate;
mod store;

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::admission::Admission;
use crate::limits;
use crate::shutdown::Tasks;

pub use auth_request::{Check, Grant};
use connections::RouteCount;
pub use denied::{Cap, Denied};
pub use limit::Limit;
pub use network::Network;
pub use options::{Algorithm, AuthOptions, Carrier, ForwardToken, JwksUrl, KeyOptions, LimitOptions};
pub use origin::{OriginHost, OriginPort, OriginRule};

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
    pub open: RouteCount,
}

/// What routes share by name: every `[limit.NAME]`.
#[derive(Debug, Default)]
pub struct Wardens {
    limits: Vec<Arc<Limit>>,
}

impl Guards {
    /// Makes every check that the route asks for but the last (`auth_request`), which needs to ask a server. `None` where
    /// there is nothing to be known of the request.
    ///
    /// # Errors
    /// The first that fails.
    pub fn admit(&self, visit: &Visit<'_>) -> Result<Option<Admission>, Denied> {
        check_stage(visit)?;
        self.network.check(visit.client)?;
        self.check_origin(visit)?;
        self.check_rate(visit)?;
        self.take_places(visit)
    }

    fn check_origin(&self, visit: &Visit<'_>) -> Result<(), Denied> {
        if visit.lasting { origin::check(&self.origins, visit) } else { Ok(()) }
    }

    fn check_rate(&self, visit: &Visit<'_>) -> Result<(), Denied> {
        self.limit.as_ref().map_or(Ok(()), |limit| limit.count(visit))
    }

    /// Only what lasts takes a place.
    fn take_places(&self, visit: &Visit<'_>) -> Result<Option<Admission>, Denied> {
        let Some(limit) = self.limit.as_ref().filter(|_| visit.lasting) else { return Ok(None) };
        let permits = limit.take(visit, None, &self.open)?;
        Ok(Some(Admission { inbound: limit.inbound(), places: vec![Box::new(permits)], ..Admission::default() }))
    }
}

/// A plain request is answered to the last; what would last is not begun.
fn check_stage(visit: &Visit<'_>) -> Result<(), Denied> {
    if visit.lasting && visit.draining { Err(Denied::Draining) } else { Ok(()) }
}

impl Wardens {
    #[must_use]
    pub fn new(limits: &[LimitOptions]) -> Wardens {
        Wardens { limits: limits.iter().map(|options| Arc::new(Limit::new(options))).collect() }
    }

    /// The `[limit.NAME]` of this name.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<&Arc<Limit>> {
        self.limits.iter().find(|limit| limit.name() == name)
    }

    /// Forgets, from time to time, the clients that have their whole rate again.
    pub fn run(self: Arc<Self>, tasks: &Tasks) {
        if self.limits.is_empty() {
            return;
        }
        tasks.spawn_background(async move {
            loop {
                tokio::time::sleep(limits::CLIENT_TRIM).await;
                for limit in &self.limits {
                    limit.trim();
                }
            }
        });
    }
}
