//! What all workers share of the upstreams: servers, their addresses, health and load.
//!
//! Owns: the look-ups and health checks, which run on the control thread.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rustls::RootCertStore;
use tokio::sync::Semaphore;

use super::member::{Group, Member};
use super::options::Options;
use super::tls::{Lazy, SetupError};
use super::{health, resolve};
use crate::limits;
use crate::shutdown::Tasks;
use crate::telemetry::Metrics;

/// The upstreams of the process.
#[derive(Debug)]
pub struct Shared {
    pub(super) groups: Vec<Arc<Group>>,
}

/// How one server stands, as operators are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    pub upstream: String,
    /// As the config writes it.
    pub server: Arc<str>,
    /// `up`; `down` where health checks say so; `avoided` for a while since it failed; `retried` by the next request.
    pub state: &'static str,
    /// Requests in flight and sockets open, of all workers.
    pub load: usize,
}

impl Shared {
    /// How all servers stand, in the config's order.
    #[must_use]
    pub fn report(&self) -> Vec<ServerReport> {
        let group = |group: &Arc<Group>| {
            let upstream = group.options.name.clone();
            let report = move |member: &Arc<Member>| ServerReport {
                upstream: upstream.clone(),
                server: Arc::clone(&member.name),
                state: member.standing.state().name(),
                load: member.load.load(Relaxed),
            };
            group.members.iter().map(report).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(group).collect()
    }

    /// Servers that are up as far as is known; nothing is looked up yet.
    ///
    /// # Errors
    /// If TLS to a server can never work: it has no host to name, or this machine trusts nobody.
    pub fn new<'a>(
        upstreams: impl IntoIterator<Item = &'a Options>,
        metrics: &Metrics,
    ) -> Result<Arc<Shared>, SetupError> {
        Shared::with_roots(upstreams, metrics, None)
    }

    pub(super) fn with_roots<'a>(
        upstreams: impl IntoIterator<Item = &'a Options>,
        metrics: &Metrics,
        roots: Option<RootCertStore>,
    ) -> Result<Arc<Shared>, SetupError> {
        let mut tls = Lazy::new(roots);
        let group = |options| Group::new(options, &mut tls, metrics).map(Arc::new);
        Ok(Arc::new(Shared { groups: upstreams.into_iter().map(group).collect::<Result<_, _>>()? }))
    }

    /// Looks names up and checks health from now on, in the background of this thread.
    pub fn run(&self, tasks: &Tasks) {
        let slots = Rc::new(Semaphore::new(limits::LOOKUPS));
        let checking = Rc::new(tasks.clone());
        for group in &self.groups {
            for member in &group.members {
                let (owner, looked_up, slots) = (Arc::clone(group), Arc::clone(member), Rc::clone(&slots));
                drop(tasks.spawn_background(async move {
                    let lookup = async |name: &str, port| resolve::system(&slots, name, port).await;
                    let Options { name, resolve, .. } = &owner.options;
                    resolve::keep(&looked_up.addresses, name, *resolve, lookup).await;
                }));
                let (owner, checked, checking) = (Arc::clone(group), Arc::clone(member), Rc::clone(&checking));
                drop(tasks.spawn_background(async move {
                    if let Some(health) = &owner.options.health {
                        health::keep(&owner, &checked, health, checking).await;
                    }
                }));
            }
        }
    }
}
