//! What all workers share of the upstreams: servers, their addresses, health and load.
//!
//! Owns: the look-ups and health checks, which run on the control thread.

use std::rc::Rc;
use std::sync::Arc;

use rustls::RootCertStore;
use tokio::sync::Semaphore;

use super::member::Group;
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

impl Shared {
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
