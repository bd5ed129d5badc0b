//! Files of certificate authorities: whom servers, or clients, are believed by.
//!
//! Never: believes one that can't be a root, or a part of a file.

use std::io;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::bounded;
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::limits;

/// Those in the PEM file at `path`, one or more; `None`, and a problem, where it can't be read whole.
pub(super) fn read(span: &Span, path: &str, problems: &mut Problems) -> Option<Vec<CertificateDer<'static>>> {
    let read = certificates(path).map_err(|error| {
        let what = format!("the file {} is no list of authorities: {error}", quoted(path));
        let instead = "name a PEM file that this user can read, with one CERTIFICATE or more";
        problems.error(span.clone(), Wrong::new(what, instead));
    });
    read.ok()
}

fn certificates(path: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = bounded::read(Path::new(path), limits::CA_FILE)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|_| io::Error::other("it is no PEM"))?;
    let mut roots = rustls::RootCertStore::empty();
    if all.is_empty() {
        return Err(io::Error::other("it holds no CERTIFICATE"));
    }
    for (index, certificate) in all.iter().enumerate() {
        let wrong = |error| io::Error::other(format!("certificate {} of it can't be one: {error}", index + 1));
        roots.add(certificate.clone()).map_err(wrong)?;
    }
    Ok(all)
}
