//! Certificates made on the spot, and a client that believes their authority alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use steadfeed::cli::cert::{self, CertArgs};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::within;

/// Both versions.
pub const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Makes a certificate for `name` in `folder`, signed by the authority there, which is made with the first.
pub fn make(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    cert::run(&CertArgs { names: vec![name.to_owned()], out: folder.to_owned() }).expect("a certificate can be made");
    (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")))
}

/// A client that believes the authority of [`make`] in `folder`.
pub fn client(folder: &Path, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).expect("an authority")).expect("it can be a root");
    ClientConfig::builder_with_provider(steadfeed::net::tls::provider())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

pub async fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    name: &str,
) -> Result<TlsStream<TcpStream>, std::io::Error> {
    let stream = TcpStream::connect(address).await.expect("the listener accepts");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    within("TLS", TlsConnector::from(Arc::clone(config)).connect(name, stream)).await
}

/// The certificate that the server showed.
pub fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
}

/// The first certificate in a file.
pub fn first(file: &Path) -> Vec<u8> {
    CertificateDer::from_pem_file(file).expect("a certificate").to_vec()
}
