//! What can be wrong with a listener's certificates.
//!
//! Owns: which pair, which of its two files, what is wrong and what to do about it. Never: a byte of a key.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustls_pki_types::pem;

use super::name::BadName;

/// Why a listener's TLS cannot be set up. Written as `what is wrong; what to do`.
#[derive(Debug)]
pub enum TlsError {
    /// `certificates` is empty.
    NoPairs,
    /// The pair at `index` of `certificates`, in the file's order.
    Pair { index: usize, part: Part, path: PathBuf, fault: Fault },
    /// A name of `self_signed` that no certificate can carry.
    Name(BadName),
    /// A self-signed certificate could not be made.
    Issue(rcgen::Error),
    /// rustls refused what we built: no randomness, or no cipher suite.
    Setup(rustls::Error),
}

/// One of the two files of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Cert,
    Key,
}

/// What is wrong with one file of a pair.
#[derive(Debug)]
pub enum Fault {
    Unreadable(io::Error),
    /// More than [`limits::PEM_SIZE`](crate::limits::PEM_SIZE) bytes.
    TooLarge,
    /// A PEM section that does not end, or is not Base64.
    Malformed(pem::Error),
    NoCertificate,
    /// The first certificate is no X.509.
    BadCertificate(String),
    NoKey,
    /// The key needs a passphrase.
    EncryptedKey,
    /// A key of a kind or size that the TLS library does not take.
    BadKey(rustls::Error),
    /// The key belongs to another certificate.
    Mismatch,
}

impl TlsError {
    /// What is wrong, naming pair and file.
    #[must_use]
    pub fn wrong(&self) -> String {
        match self {
            TlsError::NoPairs => "certificates is empty".to_owned(),
            TlsError::Pair { index, part, path, fault } => {
                format!("certificates[{index}].{part}: {}: {fault}", path.display())
            }
            TlsError::Name(error) => format!("self_signed: {error}"),
            TlsError::Issue(error) => format!("a self-signed certificate could not be made: {error}"),
            TlsError::Setup(error) => format!("TLS cannot be set up: {error}"),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            TlsError::NoPairs => "list at least one { cert = \"...\", key = \"...\" }",
            TlsError::Pair { fault, .. } => fault.remedy(),
            TlsError::Name(_) => "write DNS names, *.wildcards or IP addresses",
            TlsError::Issue(_) => "use certificates instead",
            TlsError::Setup(_) => "this is a fault of steadfeed or of this machine: please report it",
        }
    }

    /// The pair and the file at fault, where it is one.
    #[must_use]
    pub fn place(&self) -> Option<(usize, Part)> {
        match self {
            TlsError::Pair { index, part, .. } => Some((*index, *part)),
            TlsError::NoPairs | TlsError::Name(_) | TlsError::Issue(_) | TlsError::Setup(_) => None,
        }
    }
}

impl Fault {
    fn remedy(&self) -> &'static str {
        match self {
            Fault::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "let the user that steadfeed runs as read it"
            }
            Fault::Unreadable(_) => "write the path of a PEM file; `steadfeed cert` makes a pair for development",
            Fault::TooLarge => "give a file with this chain or key alone",
            Fault::Malformed(_) => "copy the file again, with its BEGIN and END lines",
            Fault::NoCertificate => "give a PEM file with BEGIN CERTIFICATE, the site's own first, then its chain",
            Fault::BadCertificate(_) => "copy the certificate again from where it was issued",
            Fault::NoKey => {
                "give a PEM file with BEGIN PRIVATE KEY (PKCS#8), BEGIN RSA PRIVATE KEY or BEGIN EC PRIVATE KEY"
            }
            Fault::EncryptedKey => "decrypt it first: openssl pkey -in encrypted.key -out plain.key",
            Fault::BadKey(_) => "use an ECDSA P-256 or P-384, Ed25519, or RSA key of 2048 to 8192 bits",
            Fault::Mismatch => {
                "give the key the certificate was issued for; the site's own certificate comes first in its file"
            }
        }
    }
}

/// The library's own words print lines of the file as numbers.
fn in_words(error: &pem::Error) -> &'static str {
    if matches!(error, pem::Error::MissingSectionEnd { .. }) {
        "a section has no END line"
    } else if matches!(error, pem::Error::IllegalSectionStart { .. }) {
        "a BEGIN line is not whole"
    } else {
        "a section is not Base64"
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.wrong(), self.remedy())
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TlsError::Pair { fault, .. } => match fault {
                Fault::Unreadable(error) => Some(error),
                Fault::Malformed(error) => Some(error),
                Fault::BadKey(error) => Some(error),
                Fault::TooLarge
                | Fault::NoCertificate
                | Fault::BadCertificate(_)
                | Fault::NoKey
                | Fault::EncryptedKey
                | Fault::Mismatch => None,
            },
            TlsError::Name(error) => Some(error),
            TlsError::Issue(error) => Some(error),
            TlsError::Setup(error) => Some(error),
            TlsError::NoPairs => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Fault::TooLarge => f.write_str("it is too large for a PEM file"),
            Fault::Malformed(error) => write!(f, "it is broken PEM: {}", in_words(error)),
            Fault::NoCertificate => f.write_str("there is no certificate in it"),
            Fault::BadCertificate(error) => write!(f, "its first certificate is no X.509: {error}"),
            Fault::NoKey => f.write_str("there is no private key in it"),
            Fault::EncryptedKey => f.write_str("its key is encrypted"),
            Fault::BadKey(error) => write!(f, "its key is not usable: {error}"),
            Fault::Mismatch => f.write_str("the key does not match the certificate"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Cert => "cert",
            Part::Key => "key",
        })
    }
}
