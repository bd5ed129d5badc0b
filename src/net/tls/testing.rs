//! What tests of TLS share: certificates made on the spot, and handshakes over memory.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::DuplexStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::files::{self, CERT_MODE, KEY_MODE};
use super::issue::{self, Issued};
use super::name::Name;
use super::{Identity, MinVersion, Options, PairFiles, Shared, Tls, provider};

pub(crate) type Ends = (client::TlsStream<DuplexStream>, server::TlsStream<DuplexStream>);

pub(crate) fn issued(names: &[&str]) -> Issued {
    let names: Vec<_> = names.iter().map(|name| Name::parse(name).unwrap()).collect();
    issue::self_signed(&names, SystemTime::now()).unwrap()
}

/// Puts a new pair for `names` in `folder`, key first.
pub(crate) fn write_pair(folder: &Path, stem: &str, names: &[&str]) -> PairFiles {
    let made = issued(names);
    let pair = PairFiles { cert: folder.join(format!("{stem}.pem")), key: folder.join(format!("{stem}.key")) };
    files::write(&pair.key, &made.key_pem(), KEY_MODE).unwrap();
    files::write(&pair.cert, &made.cert, CERT_MODE).unwrap();
    pair
}

pub(crate) fn options(pairs: &[PairFiles]) -> Options {
    Options { identity: Identity::Files(pairs.to_vec()), min_version: MinVersion::Tls12, clients: None }
}

pub(crate) fn load(pairs: &[PairFiles]) -> Tls {
    Tls::load(&options(pairs), &Shared::new().unwrap()).unwrap()
}

/// Whether the first pair now served carries `name`.
pub(crate) fn expect_name(tls: &Tls, name: &str) -> bool {
    tls.0.resolver.keyring().pairs()[0].leaf.names.contains(&Name::parse(name).unwrap())
}

/// A client that trusts the certificates in these PEM files and no other.
pub(crate) fn client(trusted: &[&Path], versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for path in trusted {
        roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
    }
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A handshake over memory; both ends, or the client's error.
pub(crate) async fn shake(tls: &Tls, client: Arc<ClientConfig>, host: &str) -> Result<Ends, std::io::Error> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let host = ServerName::try_from(host.to_owned()).unwrap();
    let (client, server) = tokio::join!(
        TlsConnector::from(client).connect(host, near),
        TlsAcceptor::from(tls.server_config()).accept(far)
    );
    Ok((client?, server?))
}
