//! TLS termination: certificates chosen by SNI, re-read when their files change.
//!
//! Owns: what a listener negotiates, its certificates, and the ticket keys that all listeners share.
//! Never: ends a connection. A change of certificates is for new handshakes; a bad change is none at all.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

pub mod error;
pub mod files;
pub mod issue;
pub mod name;
pub mod pair;
mod resolver;
mod self_signed;
mod sni;
#[cfg(test)]
pub(crate) mod testing;
pub mod watch;

pub use error::TlsError;
use pair::{Age, Pair};
use resolver::{Keyring, Resolver};
use self_signed::SelfSigned;
pub use sni::Sni;

use crate::limits;

/// `[listener.tls]`, checked for shape only; [`Tls::load`] reads the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub identity: Identity,
    pub min_version: MinVersion,
    /// By whom clients must be vouched for (RFC 8446, section 4.3.2), each fit to be a root; `None` asks for no certificate.
    pub clients: Option<Vec<CertificateDer<'static>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Certificate chains and keys in PEM files, chosen by SNI; the first serves clients that name no host.
    Files(Vec<PairFiles>),
    /// A certificate for these names, made on first start and kept in `folder`.
    SelfSigned { names: Vec<String>, folder: PathBuf },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// What all listeners and workers have in common: the cryptography, and the keys that session tickets are sealed with.
/// A viewer that comes back resumes whichever worker it lands on.
#[derive(Clone)]
pub struct Shared {
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn ProducesTickets>,
}

/// One listener's TLS: a configuration for the life of the process, whose certificates can be swapped. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Listener>);

#[derive(Debug)]
struct Listener {
    identity: Identity,
    files: Vec<PathBuf>,
    config: Arc<ServerConfig>,
    resolver: Arc<Resolver>,
    /// Held over a reload: the watcher and the admin may ask for one at once.
    reloading: Mutex<()>,
}

/// What a reload found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The certificates that are served already.
    Same,
    /// Others, which new handshakes get from now on; the first of them ends at `expires`, RFC 3339.
    Replaced { expires: String },
}

impl Shared {
    /// Fresh ticket keys; they rotate by themselves every six hours.
    ///
    /// # Errors
    ///
    /// When the machine gives no randomness.
    pub fn new() -> Result<Shared, TlsError> {
        let tickets = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Shared { provider: provider(), tickets })
    }
}

/// The one provider of cryptography, X25519MLKEM768 first among its key exchanges. Always passed on explicitly.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// This machine's certificate authorities; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace them. None where there are none.
#[must_use]
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A store with one certificate that cannot be read still has the others.
    let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

impl Tls {
    /// Reads and verifies every certificate and key; makes the self-signed one where there is none yet.
    ///
    /// # Errors
    ///
    /// With the first pair that cannot be served. An expired certificate can be, and is a warning in the log.
    pub fn load(options: &Options, shared: &Shared) -> Result<Tls, TlsError> {
        let now = SystemTime::now();
        let keyring = options.identity.read(&shared.provider, now)?;
        warn_of(&keyring, now);
        let resolver = Arc::new(Resolver::new(keyring));
        let config = server_config(options, shared, Arc::clone(&resolver))?;
        Ok(Tls(Arc::new(Listener {
            identity: options.identity.clone(),
            files: options.identity.files(),
            config: Arc::new(config),
            resolver,
            reloading: Mutex::new(()),
        })))
    }

    /// What a handshake needs: HTTP/2 or HTTP/1.1 by ALPN. The same for the life of this listener.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.config)
    }

    /// What a client asked for as `name` (SNI) may be asked for on its connection.
    #[must_use]
    pub fn sni(&self, name: &str) -> Sni {
        Sni::new(name, &self.0.resolver)
    }

    /// Reads the files again. Reads from disk: not for a worker's thread.
    ///
    /// # Errors
    ///
    /// As [`Tls::load`]; every pair served before then still is.
    pub fn reload(&self) -> Result<Changed, TlsError> {
        self.reload_at(SystemTime::now())
    }

    /// The files whose change calls for a [`Tls::reload`].
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.files.iter().map(PathBuf::as_path)
    }

    fn reload_at(&self, now: SystemTime) -> Result<Changed, TlsError> {
        let Listener { identity, config, resolver, reloading, .. } = &*self.0;
        // It guards no data: a reload that panicked left the keyring as it was.
        let _one_at_a_time = reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let current = resolver.keyring();
        let next = identity.read_again(&current, config.crypto_provider(), now)?;
        if current.same(&next) {
            return Ok(Changed::Same);
        }
        warn_of(&next, now);
        let first = next.pairs().iter().min_by_key(|pair| pair.leaf.not_after);
        let expires = first.map_or_else(String::new, |pair| pair.leaf.expires());
        resolver.replace(next);
        Ok(Changed::Replaced { expires })
    }
}

impl Identity {
    fn files(&self) -> Vec<PathBuf> {
        let both = |pair: &PairFiles| [pair.cert.clone(), pair.key.clone()];
        match self {
            Identity::Files(pairs) => pairs.iter().flat_map(both).collect(),
            Identity::SelfSigned { folder, .. } => both(&self_signed::kept_in(folder)).to_vec(),
        }
    }

    fn read(&self, provider: &CryptoProvider, now: SystemTime) -> Result<Keyring, TlsError> {
        let pairs = match self {
            Identity::Files(files) if files.is_empty() => return Err(TlsError::NoPairs),
            Identity::Files(files) => files
                .iter()
                .enumerate()
                .map(|(index, files)| Pair::read(index, files, provider))
                .collect::<Result<_, _>>()?,
            Identity::SelfSigned { names, folder } => vec![SelfSigned::new(names, folder, provider)?.obtain(now)?],
        };
        Ok(Keyring::new(pairs))
    }

    fn read_again(&self, current: &Keyring, provider: &CryptoProvider, now: SystemTime) -> Result<Keyring, TlsError> {
        match (self, current.pairs()) {
            (Identity::SelfSigned { names, folder }, [pair]) => {
                let pair = SelfSigned::new(names, folder, provider)?.renew(pair, now)?;
                Ok(Keyring::new(vec![pair]))
            }
            (Identity::SelfSigned { .. } | Identity::Files(_), _) => self.read(provider, now),
        }
    }
}

fn server_config(options: &Options, shared: &Shared, resolver: Arc<Resolver>) -> Result<ServerConfig, TlsError> {
    let versions: &[_] = match options.min_version {
        MinVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        MinVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&shared.provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::Setup)?;
    let mut config = match &options.clients {
        None => builder.with_no_client_auth(),
        Some(roots) => builder.with_client_cert_verifier(verifier(roots, shared)?),
    }
    .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // The client keeps its own session, sealed: nothing here grows with the viewers that were ever here. Who resumes one is
    // not asked for a certificate again, so that those of a listener that asks are good there alone.
    config.ticketer = match &options.clients {
        None => Arc::clone(&shared.tickets),
        Some(_) => aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?,
    };
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = limits::TLS_TICKETS;
    // Early data can be replayed, and a request that is replayed may open a socket.
    config.max_early_data_size = 0;
    Ok(config)
}

/// Lets in whoever shows a certificate of theirs, and nobody else.
fn verifier(roots: &[CertificateDer<'static>], shared: &Shared) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut store = RootCertStore::empty();
    roots.iter().try_for_each(|root| store.add(root.clone())).map_err(TlsError::Setup)?;
    WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(&shared.provider))
        .build()
        .map_err(|error| TlsError::Setup(rustls::Error::General(error.to_string())))
}

/// What an operator should know of certificates that are served all the same.
fn warn_of(keyring: &Keyring, now: SystemTime) {
    for (index, Pair { leaf, .. }) in keyring.pairs().iter().enumerate() {
        let expires = leaf.expires();
        match leaf.age(now) {
            Age::Expired => {
                tracing::warn!("certificates[{index}] expired at {expires}: clients will refuse it; renew it")
            }
            Age::NotYetValid => {
                tracing::warn!("certificates[{index}] is not valid yet: is this machine's clock right?")
            }
            Age::Valid => {}
        }
        if leaf.names.is_empty() {
            tracing::warn!("certificates[{index}] has no subject alternative name: clients will refuse it");
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Ends, client, issued, load, options, shake, write_pair};
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
    use rustls::client::Resumption;
    use rustls::version::{TLS12, TLS13};
    use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion};
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS13, &TLS12];

    async fn say((client, server): &mut Ends) {
        for _ in 0..2 {
            server.write_all(b"s").await.unwrap();
            server.flush().await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b's');
            client.write_all(b"c").await.unwrap();
            client.flush().await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'c');
        }
    }

    /// What the client was shown.
    fn shown((client, _): &Ends) -> Vec<u8> {
        client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    fn der(pair: &PairFiles) -> Vec<u8> {
        use rustls_pki_types::pem::PemObject;
        rustls_pki_types::CertificateDer::from_pem_file(&pair.cert).unwrap().to_vec()
    }

    fn with_alpn(mut config: ClientConfig, protocols: &[&str]) -> Arc<ClientConfig> {
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    #[tokio::test]
    async fn both_versions_are_spoken_and_the_exchange_is_post_quantum() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), "a", &["a.test"]);
        let tls = load(std::slice::from_ref(&pair));
        for (versions, expected) in [(BOTH, ProtocolVersion::TLSv1_3), (&[&TLS12], ProtocolVersion::TLSv1_2)] {
            let mut ends = shake(&tls, Arc::new(client(&[&pair.cert], versions)), "a.test").await.unwrap();
            say(&mut ends).await;
            let server = ends.1.get_ref().1;
            assert_eq!(server.protocol_version(), Some(expected));
            if expected == ProtocolVersion::TLSv1_3 {
                let group = server.negotiated_key_exchange_group().unwrap();
                assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
            }
        }
    }

    #[tokio::test]
    async fn a_client_older_than_the_minimum_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), "a", &["a.test"]);
        let options = Options { min_version: MinVersion::Tls13, ..options(std::slice::from_ref(&pair)) };
        let tls = Tls::load(&options, &Shared::new().unwrap()).unwrap();
        let error = shake(&tls, Arc::new(client(&[&pair.cert], &[&TLS12])), "a.test").await.unwrap_err();
        assert!(error.to_string().contains("ProtocolVersion"), "{error}");
        shake(&tls, Arc::new(client(&[&pair.cert], BOTH)), "a.test").await.unwrap();
    }

    #[tokio::test]
    async fn the_protocol_is_agreed_by_alpn_and_h2_preferred() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), "a", &["a.test"]);
        let tls = load(std::slice::from_ref(&pair));
        for (offered, expected) in [
            (&["http/1.1", "h2"][..], Some("h2")),
            (&["http/1.1"], Some("http/1.1")),
            (&["spdy/1", "http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let config = with_alpn(client(&[&pair.cert], BOTH), offered);
            let ends = shake(&tls, config, "a.test").await.unwrap();
            assert_eq!(ends.1.get_ref().1.alpn_protocol(), expected.map(str::as_bytes), "{offered:?}");
        }
        let config = with_alpn(client(&[&pair.cert], BOTH), &["spdy/1"]);
        shake(&tls, config, "a.test").await.unwrap_err();
    }

    #[tokio::test]
    async fn the_name_a_client_asks_for_chooses_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let first = write_pair(folder.path(), "first", &["first.test", "127.0.0.1"]);
        let wild = write_pair(folder.path(), "wild", &["*.wild.test"]);
        let exact = write_pair(folder.path(), "exact", &["exact.wild.test"]);
        let tls = load(&[first.clone(), wild.clone(), exact.clone()]);
        for (host, expected) in [
            ("first.test", Some(&first)),
            ("any.wild.test", Some(&wild)),
            ("ANY.Wild.test", Some(&wild)),
            ("exact.wild.test", Some(&exact)),
            ("127.0.0.1", Some(&first)),
            // The client is shown the first pair, which it then refuses for its names.
            ("two.levels.wild.test", None),
            ("wild.test", None),
            ("unknown.test", None),
        ] {
            let config = Arc::new(client(&[&first.cert, &wild.cert, &exact.cert], BOTH));
            let ends = shake(&tls, config, host).await;
            assert_eq!(ends.ok().map(|ends| shown(&ends)), expected.map(der), "{host}");
        }
    }

    #[tokio::test]
    async fn a_session_is_resumed_on_another_listener_of_the_same_process() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), "a", &["a.test"]);
        let shared = Shared::new().unwrap();
        let options = options(std::slice::from_ref(&pair));
        let (one, two) = (Tls::load(&options, &shared).unwrap(), Tls::load(&options, &shared).unwrap());
        let stranger = Tls::load(&options, &Shared::new().unwrap()).unwrap();
        for versions in [&[&TLS13], &[&TLS12]] {
            let mut config = client(&[&pair.cert], versions);
            config.resumption = Resumption::in_memory_sessions(8);
            let config = Arc::new(config);
            for (tls, expected) in [
                (&one, &[HandshakeKind::Full][..]),
                (&two, &[HandshakeKind::Resumed]),
                (&one, &[HandshakeKind::Resumed]),
                (&stranger, &[HandshakeKind::Full, HandshakeKind::FullWithHelloRetryRequest]),
            ] {
                let mut ends = shake(tls, Arc::clone(&config), "a.test").await.unwrap();
                say(&mut ends).await;
                let kind = ends.1.get_ref().1.handshake_kind().unwrap();
                assert!(expected.contains(&kind), "{kind:?} for {versions:?}");
            }
        }
    }

    #[tokio::test]
    async fn one_ticket_is_given_and_nothing_is_kept_here() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), "a", &["a.test"]);
        let tls = load(std::slice::from_ref(&pair));
        let mut ends = shake(&tls, Arc::new(client(&[&pair.cert], BOTH)), "a.test").await.unwrap();
        say(&mut ends).await;
        assert_eq!(ends.0.get_ref().1.tls13_tickets_received(), u32::try_from(limits::TLS_TICKETS).unwrap());
        assert!(!tls.server_config().session_storage.can_cache());
        assert_eq!(tls.server_config().max_early_data_size, 0);
    }

    #[tokio::test]
    async fn a_reload_is_for_new_connections_and_leaves_the_open_ones() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), "a", &["a.test"]);
        let tls = load(std::slice::from_ref(&pair));
        let old = der(&pair);
        let mut open = shake(&tls, Arc::new(client(&[&pair.cert], BOTH)), "a.test").await.unwrap();
        say(&mut open).await;
        assert_eq!(tls.reload().unwrap(), Changed::Same);

        write_pair(folder.path(), "a", &["a.test"]);
        assert!(matches!(tls.reload().unwrap(), Changed::Replaced { .. }));
        let next = shake(&tls, Arc::new(client(&[&pair.cert], BOTH)), "a.test").await.unwrap();
        assert_eq!(shown(&next), der(&pair));
        assert_ne!(shown(&next), old);
        say(&mut open).await;
        assert_eq!(shown(&open), old);
    }

    #[tokio::test]
    async fn a_bad_pair_is_told_and_the_last_good_one_served() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), "a", &["a.test"]);
        let good = folder.path().join("good.pem");
        std::fs::copy(&pair.cert, &good).unwrap();
        let tls = load(std::slice::from_ref(&pair));
        std::fs::write(&pair.cert, issued(&["a.test"]).cert).unwrap();
        let error = tls.reload().unwrap_err();
        assert_eq!(error.place(), Some((0, error::Part::Key)));
        shake(&tls, Arc::new(client(&[&good], BOTH)), "a.test").await.unwrap();
        std::fs::copy(&good, &pair.cert).unwrap();
        assert_eq!(tls.reload().unwrap(), Changed::Same);
    }

    #[tokio::test]
    async fn a_self_signed_listener_serves_what_it_keeps_and_renews_it_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::SelfSigned { names: vec!["localhost".to_owned()], folder: folder.path().to_owned() };
        let options = Options { identity, min_version: MinVersion::Tls12, clients: None };
        let tls = Tls::load(&options, &Shared::new().unwrap()).unwrap();
        let kept: Vec<_> = tls.files().collect();
        assert_eq!(kept, [folder.path().join("self-signed.pem"), folder.path().join("self-signed.key")]);
        shake(&tls, Arc::new(client(&kept[..1], BOTH)), "localhost").await.unwrap();
        assert_eq!(tls.reload().unwrap(), Changed::Same);
        let late = SystemTime::now() + limits::CERT_LIFE - limits::CERT_RENEW;
        assert!(matches!(tls.reload_at(late).unwrap(), Changed::Replaced { .. }));
        assert_eq!(tls.reload_at(late).unwrap(), Changed::Same);
    }

    #[test]
    fn no_pairs_are_an_error() {
        let error = Tls::load(&options(&[]), &Shared::new().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "certificates is empty; list at least one { cert = \"...\", key = \"...\" }");
    }

    #[test]
    fn an_expired_certificate_is_served_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - 2 * limits::CERT_LIFE;
        let made = issue::self_signed(&[name::Name::Dns("a.test".to_owned())], long_ago).unwrap();
        let pair = PairFiles { cert: folder.path().join("a.pem"), key: folder.path().join("a.key") };
        std::fs::write(&pair.cert, made.cert.as_bytes()).unwrap();
        std::fs::write(&pair.key, made.key_pem()).unwrap();
        load(&[pair]);
    }

    /// A certificate authority, and a client's certificate of its making with its key.
    fn client_of_authority() -> (CertificateDer<'static>, CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let mut leaf = CertificateParams::new(vec!["viewer".to_owned()]).unwrap();
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        (authority.der().clone(), leaf.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// Whether this listener lets the client say anything.
    async fn lets_in(tls: &Tls, client: &Arc<ClientConfig>) -> bool {
        let Ok((mut client, mut server)) = shake(tls, Arc::clone(client), "a.test").await else { return false };
        client.write_all(b"c").await.unwrap();
        client.flush().await.unwrap();
        // Tickets come with the first of what the server says.
        server.read_u8().await.is_ok() && server.write_all(b"s").await.is_ok() && client.read_u8().await.is_ok()
    }

    #[tokio::test]
    async fn where_clients_need_certificates_nobody_comes_in_without() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), "a", &["a.test"]);
        let (authority, leaf, key) = client_of_authority();
        let (stranger, _, _) = client_of_authority();
        let shared = Shared::new().unwrap();
        let listener = |clients| {
            let options = Options { clients, ..options(std::slice::from_ref(&pair)) };
            Tls::load(&options, &shared).unwrap()
        };
        let (open, closed) = (listener(None), listener(Some(vec![stranger.clone(), authority])));
        for versions in [&[&TLS13], &[&TLS12]] {
            let roots = || client(&[&pair.cert], versions);
            let nobody = Arc::new(roots());
            let mut known = rustls::ClientConfig::builder_with_provider(provider())
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates({
                    let mut store = RootCertStore::empty();
                    store.add(CertificateDer::from_pem_file(&pair.cert).unwrap()).unwrap();
                    store
                })
                .with_client_auth_cert(vec![leaf.clone()], key.clone_key())
                .unwrap();
            known.resumption = Resumption::in_memory_sessions(8);
            let known = Arc::new(known);
            assert!(lets_in(&open, &nobody).await && lets_in(&open, &known).await);
            assert!(!lets_in(&closed, &nobody).await, "it has a ticket of the other listener, and no certificate");
            assert!(lets_in(&closed, &known).await);
            assert!(lets_in(&closed, &known).await, "again, by its ticket");
            assert!(!lets_in(&listener(Some(vec![stranger.clone()])), &known).await, "another authority is asked for");
        }
    }
}
