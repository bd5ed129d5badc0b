//! TLS to servers.
//!
//! Owns: whose certificates are believed (this machine's authorities, if no others are given), and what is offered by ALPN.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;

use super::options::{Scheme, Server};
use crate::net::tls::{provider, system_roots};

/// What handshakes are made with. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ClientTls {
    /// HTTP/2 or HTTP/1.1, as the server likes.
    pub(super) any: Arc<ClientConfig>,
    /// HTTP/1.1 alone: for upgrades.
    pub(super) http1: Arc<ClientConfig>,
}

/// The one configuration of all upstreams, made when the first server needs it.
#[derive(Debug)]
pub(super) struct Lazy {
    roots: Option<RootCertStore>,
    made: Option<ClientTls>,
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

    /// What `server` needs, if it is spoken to over TLS.
    pub(super) fn of(&mut self, server: &Server) -> Result<Option<(ServerName<'static>, ClientTls)>, SetupError> {
        let Server::Tcp { scheme: Scheme::Https, host, .. } = server else { return Ok(None) };
        let no_name = |_| SetupError::Name { server: server.clone() };
        let name = ServerName::try_from(host.clone()).map_err(no_name)?;
        if let Some(made) = &self.made {
            return Ok(Some((name, made.clone())));
        }
        let roots = self.roots.take().unwrap_or_else(system_roots);
        if roots.is_empty() {
            return Err(SetupError::NoRoots { server: server.clone() });
        }
        let made = self.made.insert(ClientTls::new(roots)?);
        Ok(Some((name, made.clone())))
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
