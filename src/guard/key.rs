//! Keys in PEM files (RFC 7468): public ones to verify with, private ones to sign with.
//!
//! Owns: which algorithms a key is for. Never: takes a private key where a public one is asked for; it has no business
//! on the machine.

use std::io;
use std::path::Path;

use jsonwebtoken::{DecodingKey, EncodingKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::algorithm::Kind;
use super::options::Algorithm;
use crate::bounded;
use crate::limits;

/// Why a key is none.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("it cannot be read: {0}")]
    File(#[from] io::Error),
    #[error("it is larger than {} KiB", limits::PEM_SIZE / 1024)]
    TooLarge,
    #[error("it holds a private key; write the public key, which alone belongs here")]
    Private,
    #[error("it holds no public key or certificate in PEM that fits the algorithms")]
    NotPublic,
    #[error("it holds no private key in PEM (PKCS#8, or PKCS#1 for RSA) that fits {0}")]
    NotPrivate(&'static str),
}

/// The key of a file, and those of `algorithms` that it is for, which are some.
pub(super) fn read_public(path: &Path, algorithms: &[Algorithm]) -> Result<(DecodingKey, Vec<Algorithm>), KeyError> {
    let text = read(path, limits::PEM_SIZE)?;
    if contains(&text, b"PRIVATE KEY-----") {
        return Err(KeyError::Private);
    }
    let (kind, key) = if contains(&text, b"-----BEGIN CERTIFICATE-----") { certified(&text) } else { bare(&text) }?;
    let fitting: Vec<Algorithm> = algorithms.iter().copied().filter(|algorithm| algorithm.kind() == kind).collect();
    if fitting.is_empty() { Err(KeyError::NotPublic) } else { Ok((key, fitting)) }
}

/// A private key that signs with `algorithm`.
pub(super) fn read_private(path: &Path, algorithm: Algorithm) -> Result<EncodingKey, KeyError> {
    let text = read(path, limits::PEM_SIZE)?;
    if !contains(&text, b"PRIVATE KEY-----") {
        return Err(KeyError::NotPrivate(algorithm.name()));
    }
    match algorithm.kind() {
        Kind::Secret => Err(jsonwebtoken::errors::ErrorKind::InvalidKeyFormat.into()),
        Kind::Rsa => EncodingKey::from_rsa_pem(&text),
        Kind::P256 | Kind::P384 => EncodingKey::from_ec_pem(&text),
        Kind::Ed25519 => EncodingKey::from_ed_pem(&text),
    }
    .map_err(|_| KeyError::NotPrivate(algorithm.name()))
}

/// A file of at most `most` bytes.
pub(super) fn read(path: &Path, most: usize) -> Result<Vec<u8>, KeyError> {
    let is_large = |error: &io::Error| error.kind() == io::ErrorKind::FileTooLarge;
    bounded::read(path, most).map_err(|error| if is_large(&error) { KeyError::TooLarge } else { error.into() })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn bare(text: &[u8]) -> Result<(Kind, DecodingKey), KeyError> {
    let rsa = || DecodingKey::from_rsa_pem(text).map(|key| (Kind::Rsa, key)).ok();
    let ed = || DecodingKey::from_ed_pem(text).map(|key| (Kind::Ed25519, key)).ok();
    let ec = || of_curve(DecodingKey::from_ec_pem(text).ok()?);
    ec().or_else(ed).or_else(rsa).ok_or(KeyError::NotPublic)
}

fn certified(text: &[u8]) -> Result<(Kind, DecodingKey), KeyError> {
    let der = CertificateDer::from_pem_slice(text).map_err(|_| KeyError::NotPublic)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| KeyError::NotPublic)?;
    let info = certificate.public_key();
    let bits = info.subject_public_key.data.as_ref();
    match info.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => Some((Kind::Rsa, DecodingKey::from_rsa_der(bits))),
        "1.2.840.10045.2.1" => of_curve(DecodingKey::from_ec_der(bits)),
        "1.3.101.112" => Some((Kind::Ed25519, DecodingKey::from_ed_der(bits))),
        _ => None,
    }
    .ok_or(KeyError::NotPublic)
}

/// By the length of the point, uncompressed: other curves are not for any algorithm that we know.
fn of_curve(key: DecodingKey) -> Option<(Kind, DecodingKey)> {
    match key.try_get_as_bytes().map(<[u8]>::len) {
        Ok(65) => Some((Kind::P256, key)),
        Ok(97) => Some((Kind::P384, key)),
        Ok(_) | Err(_) => None,
    }
}
