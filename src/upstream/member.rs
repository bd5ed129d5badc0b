//! One server of an upstream, and all servers of one, as every thread sees them.
//!
//! Owns: a server's name, address, load and standing. Never: a connection; those are each worker's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustls_pki_types::ServerName;

use super::balance::Balancer;
use super::options::{Options, Server};
use super::resolve::Addresses;
use super::standing::Standing;
use super::tls::{ClientTls, Lazy, SetupError, Trust};
use crate::telemetry::Metrics;

/// One server.
#[derive(Debug)]
pub(super) struct Member {
    /// As the config writes it.
    pub(super) name: Arc<str>,
    pub(super) server: Server,
    /// Where the name leads; nowhere for a unix socket.
    pub(super) addresses: Addresses,
    /// Whom its certificate must name, and how that is checked.
    pub(super) tls: Option<(ServerName<'static>, ClientTls)>,
    /// Requests in flight and sockets open, of all workers.
    pub(super) load: AtomicUsize,
    pub(super) standing: Standing,
}

/// The servers of one upstream.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) options: Options,
    /// At least one, in the config's order.
    pub(super) members: Vec<Arc<Member>>,
    pub(super) balancer: Balancer,
}

impl Group {
    /// # Errors
    /// If a server's host is no name that a certificate could have.
    pub(super) fn new(options: &Options, tls: &mut Lazy, metrics: &Metrics) -> Result<Group, SetupError> {
        Group::after(None, options, tls, metrics)
    }

    /// The same with those servers of `before` that it still has, where they are believed by the same authorities: what is
    /// known of them stays known.
    ///
    /// # Errors
    /// As [`Group::new`].
    pub(super) fn after(
        before: Option<&Group>,
        options: &Options,
        tls: &mut Lazy,
        metrics: &Metrics,
    ) -> Result<Group, SetupError> {
        let mut trust = Trust::of(options, tls)?;
        let before = before.filter(|before| before.options.authorities == options.authorities);
        let known = |server: &Server| before?.members.iter().find(|member| member.server == *server).map(Arc::clone);
        let member = |server: &Server| match known(server) {
            Some(member) => Ok(member),
            None => Member::new(server, options, &mut trust, metrics).map(Arc::new),
        };
        Ok(Group {
            members: options.servers.iter().map(member).collect::<Result<_, _>>()?,
            balancer: Balancer::new(options.balance),
            options: options.clone(),
        })
    }
}

impl Member {
    fn new(server: &Server, options: &Options, trust: &mut Trust<'_>, metrics: &Metrics) -> Result<Member, SetupError> {
        let name: Arc<str> = Arc::from(server.to_string());
        Ok(Member {
            addresses: Addresses::new(server),
            tls: trust.for_server(server)?,
            load: AtomicUsize::new(0),
            standing: Standing::new(
                &options.name,
                &name,
                options.servers.len() == 1,
                metrics.server(&options.name, &name),
            ),
            server: server.clone(),
            name,
        })
    }

    pub(super) fn load(&self) -> usize {
        self.load.load(Relaxed)
    }
}
