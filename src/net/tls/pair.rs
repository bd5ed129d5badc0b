//! A certificate chain with its key, read from PEM and verified to belong together.
//!
//! Owns: what the chain's first certificate says of itself: names, life, whether it is a CA.
//! Never: judges whether a client will trust it, or prints a key.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::InconsistentKeys;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::{Fault, Part, TlsError};
use super::name::Name;
use super::{PairFiles, files};

/// A chain and its key.
#[derive(Clone)]
pub struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    pub leaf: Leaf,
}

/// What the first certificate of a chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    pub names: Vec<Name>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    pub is_ca: bool,
}

/// Where a certificate stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    NotYetValid,
    Valid,
    Expired,
}

impl Pair {
    /// Reads and verifies both files of the pair at `index`.
    ///
    /// # Errors
    ///
    /// With the first file that is not what it should be.
    pub(super) fn read(index: usize, files: &PairFiles, provider: &CryptoProvider) -> Result<Pair, TlsError> {
        let blame = |part: Part, fault: Fault| {
            let path = match part {
                Part::Cert => files.cert.clone(),
                Part::Key => files.key.clone(),
            };
            TlsError::Pair { index, part, path, fault }
        };
        let cert = files::read(&files.cert).map_err(|fault| blame(Part::Cert, fault))?;
        let key = files::read(&files.key).map_err(|fault| blame(Part::Key, fault))?;
        Pair::parse(&cert, &key, provider).map_err(|(part, fault)| blame(part, fault))
    }

    /// Verifies the two PEM texts.
    ///
    /// # Errors
    ///
    /// With the text that is not what it should be; a key of another certificate is the key's fault.
    pub fn parse(cert: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<Pair, (Part, Fault)> {
        let chain = CertificateDer::pem_slice_iter(cert)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| (Part::Cert, Fault::Malformed(error)))?;
        let first = chain.first().ok_or((Part::Cert, Fault::NoCertificate))?;
        let leaf = Leaf::read(first).map_err(|fault| (Part::Cert, fault))?;
        let key = private_key(key).map_err(|fault| (Part::Key, fault))?;
        match CertifiedKey::from_der(chain, key, provider) {
            Ok(certified) => Ok(Pair { certified: Arc::new(certified), leaf }),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err((Part::Key, Fault::Mismatch)),
            Err(rustls::Error::InvalidCertificate(error)) => {
                Err((Part::Cert, Fault::BadCertificate(format!("{error:?}"))))
            }
            Err(error) => Err((Part::Key, Fault::BadKey(error))),
        }
    }

    /// Whether both are the same chain; a key cannot differ then, for it was verified to match.
    pub(super) fn same_chain(&self, other: &Pair) -> bool {
        self.certified.cert == other.certified.cert
    }
}

/// The first private key of a PEM text.
fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    if is_encrypted(pem) {
        return Err(Fault::EncryptedKey);
    }
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(Fault::NoKey),
        Err(error) => Err(Fault::Malformed(error)),
    }
}

/// PKCS#8 says so in the BEGIN line, the older form (RFC 1421) in a header.
fn is_encrypted(pem: &[u8]) -> bool {
    let begins = |line: &[u8]| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    };
    pem.split(|byte| *byte == b'\n').any(begins)
}

impl Leaf {
    fn read(der: &CertificateDer<'_>) -> Result<Leaf, Fault> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| Fault::BadCertificate(error.to_string()))?;
        let alternative =
            certificate.subject_alternative_name().map_err(|error| Fault::BadCertificate(error.to_string()))?;
        let names = alternative.map_or_else(Vec::new, |extension| {
            extension.value.general_names.iter().filter_map(alternative_name).collect()
        });
        Ok(Leaf {
            names,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            is_ca: certificate.is_ca(),
        })
    }

    /// Whether the certificate bears the DNS name `host`, itself or by a wildcard one level up (RFC 9525 section 6.3).
    pub(super) fn is_for(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name {
            Name::Dns(name) => *name == host || (parent.is_some() && name.strip_prefix("*.") == parent),
            Name::Ip(_) => false,
        })
    }

    /// Where `now` falls in the certificate's life.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Age {
        let now = unix(now);
        if now < self.not_before {
            Age::NotYetValid
        } else if now > self.not_after {
            Age::Expired
        } else {
            Age::Valid
        }
    }

    /// When the certificate ends, RFC 3339.
    #[must_use]
    pub fn expires(&self) -> String {
        jiff::Timestamp::from_second(self.not_after)
            .map_or_else(|_| self.not_after.to_string(), |time| time.to_string())
    }
}

/// A name we can match; mail addresses and the like are none.
fn alternative_name(name: &GeneralName<'_>) -> Option<Name> {
    if let GeneralName::DNSName(text) = name {
        return Name::parse(text).ok();
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    <[u8; 4]>::try_from(*bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
        .map(Name::Ip)
        .ok()
}

/// Seconds since 1970; a clock before that counts as 1970.
pub(super) fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("leaf", &self.leaf).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::testing::issued;
    use crate::net::tls::{issue, provider};

    #[track_caller]
    fn check(cert: &str, key: &str, expected: &str) {
        let found = Pair::parse(cert.as_bytes(), key.as_bytes(), &provider());
        let said = found
            .map_err(|(part, fault)| TlsError::Pair { index: 1, part, path: "some.pem".into(), fault }.to_string());
        assert_eq!(said.map(|_| ()), Err(expected.to_owned()));
    }

    #[test]
    fn each_fault_names_the_pair_and_the_file_and_says_what_to_do() {
        let (a, b) = (issued(&["a.test"]), issued(&["b.test"]));
        let (cert, key) = (a.cert.as_str(), a.key_pem());
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let chain = "certificates[1].cert: some.pem: there is no certificate in it; give a PEM file with BEGIN CERTIFICATE, the site's own first, then its chain";
        check("", &key, chain);
        check(&key, &key, chain);
        check(
            cert,
            cert,
            "certificates[1].key: some.pem: there is no private key in it; give a PEM file with BEGIN PRIVATE KEY (PKCS#8), BEGIN RSA PRIVATE KEY or BEGIN EC PRIVATE KEY",
        );
        check(
            cert,
            &b.key_pem(),
            "certificates[1].key: some.pem: the key does not match the certificate; give the key the certificate was issued for; the site's own certificate comes first in its file",
        );
        check(
            &cert[..100],
            &key,
            "certificates[1].cert: some.pem: it is broken PEM: a section has no END line; copy the file again, with its BEGIN and END lines",
        );
        let found = Pair::parse(garbage.as_bytes(), key.as_bytes(), &provider());
        assert!(matches!(found, Err((Part::Cert, Fault::BadCertificate(_)))), "{found:?}");
        for encrypted in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        ] {
            check(
                cert,
                encrypted,
                "certificates[1].key: some.pem: its key is encrypted; decrypt it first: openssl pkey -in encrypted.key -out plain.key",
            );
        }
        let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let found = Pair::parse(cert.as_bytes(), nonsense.as_bytes(), &provider());
        assert!(matches!(found, Err((Part::Key, Fault::BadKey(_)))), "{found:?}");
    }

    #[test]
    fn an_unreadable_file_is_told_with_the_systems_own_words() {
        let files = PairFiles { cert: "/nowhere/a.pem".into(), key: "/nowhere/a.key".into() };
        let error = Pair::read(0, &files, &provider()).unwrap_err();
        assert_eq!(error.place(), Some((0, Part::Cert)));
        assert_eq!(
            error.to_string(),
            "certificates[0].cert: /nowhere/a.pem: it cannot be read: No such file or directory (os error 2); write the path of a PEM file; `steadfeed cert` makes a pair for development"
        );
    }

    #[test]
    fn a_leaf_tells_its_names_and_its_life() {
        let now = UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        let names = ["a.test", "*.b.test", "127.0.0.1", "::1"].map(|name| Name::parse(name).unwrap());
        let made = issue::self_signed(&names, now).unwrap();
        let leaf = Pair::parse(made.cert.as_bytes(), made.key_pem().as_bytes(), &provider()).unwrap().leaf;
        assert_eq!(leaf.names, names);
        assert!(!leaf.is_ca);
        assert_eq!(leaf.not_after - leaf.not_before, 397 * 86_400);
        assert_eq!(leaf.expires(), "2024-12-14T22:13:20Z");
        let day = std::time::Duration::from_secs(86_400);
        assert_eq!(leaf.age(now - 2 * day), Age::NotYetValid);
        assert_eq!(leaf.age(now), Age::Valid);
        assert_eq!(leaf.age(now + 395 * day), Age::Valid);
        assert_eq!(leaf.age(now + 397 * day), Age::Expired);
    }
}
