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
use crate::shutdown::{Running, Tasks};
use crate::telemetry::Metrics;

/// The upstreams of the process.
#[derive(Debug)]
pub struct Shared {
    pub(super) groups: Vec<Arc<Group>>,
}

/// What is done for them in the background of one thread, for as long as this is kept.
#[derive(Debug)]
pub struct Upkeep {
    groups: Vec<(Arc<Group>, Vec<Running>)>,
    slots: Rc<Semaphore>,
    tasks: Rc<Tasks>,
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

    /// As another config has them: upstreams and servers that are still the same stay, with all that is known of them. Nothing
    /// of `self` changes.
    ///
    /// # Errors
    /// As [`Shared::new`].
    pub fn after<'a>(
        &self,
        upstreams: impl IntoIterator<Item = &'a Options>,
        metrics: &Metrics,
    ) -> Result<Arc<Shared>, SetupError> {
        let mut tls = Lazy::new(None);
        let group = |options: &Options| {
            let before = self.groups.iter().find(|group| group.options.name == options.name);
            match before.filter(|group| group.options == *options) {
                Some(same) => Ok(Arc::clone(same)),
                None => Group::after(before.map(|group| &**group), options, &mut tls, metrics).map(Arc::new),
            }
        };
        Ok(Arc::new(Shared { groups: upstreams.into_iter().map(group).collect::<Result<_, _>>()? }))
    }
}

impl Upkeep {
    #[must_use]
    pub fn new(tasks: &Tasks) -> Upkeep {
        let slots = Rc::new(Semaphore::new(limits::LOOKUPS));
        Upkeep { groups: Vec::new(), slots, tasks: Rc::new(tasks.clone()) }
    }

    /// Looks the names of these up and checks their health from now on, in the background of this thread, and no longer those
    /// of others, whose figures go from the metrics.
    pub fn turn_to(&mut self, shared: &Shared, metrics: &Metrics) {
        let is_in = |group: &Arc<Group>| shared.groups.iter().any(|now| Arc::ptr_eq(now, group));
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.groups).into_iter().partition(|(group, _)| is_in(group));
        self.groups = kept;
        for (group, running) in gone {
            drop(running);
            let name = &group.options.name;
            let now = shared.groups.iter().find(|now| now.options.name == *name);
            for member in &group.members {
                if !now.is_some_and(|now| now.members.iter().any(|other| other.name == member.name)) {
                    metrics.forget_server(name, &member.name);
                }
            }
        }
        for group in &shared.groups {
            if !self.groups.iter().any(|(known, _)| Arc::ptr_eq(known, group)) {
                let running = group.members.iter().flat_map(|member| self.keep(group, member)).collect();
                self.groups.push((Arc::clone(group), running));
            }
        }
    }

    fn keep(&self, group: &Arc<Group>, member: &Arc<Member>) -> [Running; 2] {
        member.standing.set_alone(group.members.len() == 1);
        let (owner, looked_up, slots) = (Arc::clone(group), Arc::clone(member), Rc::clone(&self.slots));
        let looking = self.tasks.spawn_running(async move {
            let lookup = async |name: &str, port| resolve::system(&slots, name, port).await;
            let Options { name, resolve, .. } = &owner.options;
            resolve::keep(&looked_up.addresses, name, *resolve, lookup).await;
        });
        if group.options.health.is_none() {
            // Nobody finds it well again.
            member.standing.found(true, "");
        }
        let (owner, checked, checking) = (Arc::clone(group), Arc::clone(member), Rc::clone(&self.tasks));
        let checking = self.tasks.spawn_running(async move {
            if let Some(health) = &owner.options.health {
                health::keep(&owner, &checked, health, checking).await;
            }
        });
        [looking, checking]
    }
}
