//! TLS to servers.
//!
//! Owns: whose certificates are believed (those an upstream names, or this machine's authorities, which `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` replace) and what is offered by ALPN.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};

use super::options::{Options, Scheme, Server};
use crate::net::tls::{provider, system_roots};

/// What handshakes are made with. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ClientTls {
    /// HTTP/2 or HTTP/1.1, as the server likes.
    pub(super) any: Arc<ClientConfig>,
    /// HTTP/1.1 alone: for upgrades.
    pub(super) http1: Arc<ClientConfig>,
}

/// The one configuration of all upstreams that name no authorities, made when the first server needs it.
#[derive(Debug)]
pub(super) struct Lazy {
    roots: Option<RootCertStore>,
    made: Option<ClientTls>,
}

/// The configuration of one upstream.
#[derive(Debug)]
pub(super) enum Trust<'a> {
    Machine(&'a mut Lazy),
    Named(ClientTls),
}

/// Why upstreams cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(
        "{server} needs TLS, and this machine trusts no certificate authority; install ca-certificates or set \
         SSL_CERT_FILE"
    )]
    NoRoots { server: Server },
    #[error("{server} has no host that a certificate could name; write a DNS name or an IP address")]
    Name { server: Server },
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Lazy {
    /// Believes `roots`, or this machine's authorities where there are none given.
    pub(super) fn new(roots: Option<RootCertStore>) -> Lazy {
        Lazy { roots, made: None }
    }

    fn get(&mut self, server: &Server) -> Result<ClientTls, SetupError> {
        if let Some(made) = &self.made {
            return Ok(made.clone());
        }
        let roots = self.roots.take().unwrap_or_else(system_roots);
        if roots.is_empty() {
            return Err(SetupError::NoRoots { server: server.clone() });
        }
        Ok(self.made.insert(ClientTls::new(roots)?).clone())
    }
}

impl<'a> Trust<'a> {
    /// Of the servers of an upstream.
    pub(super) fn of(options: &Options, machine: &'a mut Lazy) -> Result<Trust<'a>, SetupError> {
        Ok(match &options.authorities {
            Some(named) => Trust::Named(ClientTls::new(named_roots(named)?)?),
            None => Trust::Machine(machine),
        })
    }

    /// What `server` needs, if it is spoken to over TLS.
    pub(super) fn for_server(
        &mut self,
        server: &Server,
    ) -> Result<Option<(ServerName<'static>, ClientTls)>, SetupError> {
        let Server::Tcp { scheme: Scheme::Https, host, .. } = server else { return Ok(None) };
        let no_name = |_| SetupError::Name { server: server.clone() };
        let name = ServerName::try_from(host.clone()).map_err(no_name)?;
        let tls = match self {
            Trust::Machine(lazy) => lazy.get(server)?,
            Trust::Named(tls) => tls.clone(),
        };
        Ok(Some((name, tls)))
    }
}

impl ClientTls {
    fn new(roots: RootCertStore) -> Result<ClientTls, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut http1 = builder.with_root_certificates(roots).with_no_client_auth();
        let mut any = http1.clone();
        any.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(ClientTls { any: Arc::new(any), http1: Arc::new(http1) })
    }
}

fn named_roots(named: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    named.iter().try_for_each(|root| roots.add(root.clone()))?;
    Ok(roots)
}
