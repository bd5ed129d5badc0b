//! Signs certificates: a listener's own, a development CA, and that CA's leaves. ECDSA P-256 throughout.
//!
//! Owns: how long they live and what they may be used for. Never: touches a file.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};

use super::name::Name;
use super::pair::unix;
use crate::limits;

/// A certificate and its key.
pub struct Issued {
    /// PEM.
    pub cert: String,
    key: KeyPair,
}

/// A certificate for `names` that signs itself, for servers only and no CA.
///
/// # Errors
///
/// When the machine gives no randomness.
pub fn self_signed(names: &[Name], now: SystemTime) -> Result<Issued, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let cert = server("steadfeed self-signed", names, now, i64::MAX)?.self_signed(&key)?;
    Ok(Issued { cert: cert.pem(), key })
}

/// A CA for one machine's development.
///
/// # Errors
///
/// When the machine gives no randomness.
pub fn development_ca(now: SystemTime) -> Result<Issued, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = named("steadfeed development CA", now, limits::DEV_CA_LIFE, i64::MAX);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(Issued { cert: params.self_signed(&key)?.pem(), key })
}

/// A certificate for `names` under the CA in these two PEM texts, which ends at `ca_not_after` (seconds since 1970).
/// Its `cert` is the whole chain.
///
/// # Errors
///
/// When the CA cannot be read or the machine gives no randomness.
pub fn signed_by(
    ca_cert: &str,
    ca_key: &str,
    ca_not_after: i64,
    names: &[Name],
    now: SystemTime,
) -> Result<Issued, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(ca_cert, KeyPair::from_pem(ca_key)?)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let common = names.first().map_or_else(String::new, Name::to_string);
    let cert = server(&common, names, now, ca_not_after)?.signed_by(&key, &issuer)?;
    Ok(Issued { cert: format!("{}{ca_cert}", cert.pem()), key })
}

impl Issued {
    /// The private key, PKCS#8 in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

fn server(common: &str, names: &[Name], now: SystemTime, ca_ends: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = named(common, now, limits::CERT_LIFE, ca_ends);
    params.subject_alt_names = names
        .iter()
        .map(|name| match name {
            Name::Dns(name) => Ok(SanType::DnsName(name.as_str().try_into()?)),
            Name::Ip(address) => Ok(SanType::IpAddress(*address)),
        })
        .collect::<Result<_, rcgen::Error>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A certificate from a little before `now` on, for `life`, but not past `ends` (seconds since 1970).
fn named(common: &str, now: SystemTime, life: Duration, ends: i64) -> CertificateParams {
    let at = |unix| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(unix).unwrap_or(0));
    let begin = unix(now).saturating_sub_unsigned(limits::CERT_BACKDATE.as_secs());
    let mut params = CertificateParams::default();
    params.not_before = at(begin);
    params.not_after = at(begin.saturating_add_unsigned(life.as_secs()).min(ends));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "steadfeed");
    params.distinguished_name.push(DnType::CommonName, common);
    params
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    use x509_parser::prelude::{FromDer, X509Certificate};

    #[track_caller]
    fn check(pem: &str, test: impl FnOnce(&X509Certificate<'_>)) {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        test(&X509Certificate::from_der(&der).unwrap().1);
    }

    #[test]
    fn a_leaf_is_for_servers_only_and_no_ca() {
        let now = SystemTime::now();
        let names = [Name::parse("a.test").unwrap()];
        let ca = development_ca(now).unwrap();
        let signed = signed_by(&ca.cert, &ca.key_pem(), i64::MAX, &names, now).unwrap();
        for pem in [self_signed(&names, now).unwrap().cert, signed.cert] {
            check(&pem, |leaf| {
                assert!(!leaf.is_ca());
                assert!(!leaf.key_usage().unwrap().unwrap().value.key_cert_sign());
                let usage = leaf.extended_key_usage().unwrap().unwrap().value;
                assert!(usage.server_auth && !usage.client_auth && !usage.any);
            });
        }
    }

    #[test]
    fn a_ca_signs_certificates_and_no_further_ca() {
        check(&development_ca(SystemTime::now()).unwrap().cert, |ca| {
            let constraints = ca.basic_constraints().unwrap().unwrap();
            assert!(constraints.critical && constraints.value.ca);
            assert_eq!(constraints.value.path_len_constraint, Some(0));
            assert!(ca.key_usage().unwrap().unwrap().value.key_cert_sign());
        });
    }

    #[test]
    fn no_two_certificates_share_a_serial_number() {
        let names = [Name::parse("a.test").unwrap()];
        let serial = || {
            let mut serial = Vec::new();
            check(&self_signed(&names, SystemTime::now()).unwrap().cert, |leaf| serial = leaf.raw_serial().to_vec());
            serial
        };
        assert_ne!(serial(), serial());
    }

    #[test]
    fn a_clock_before_1970_gives_a_certificate_all_the_same() {
        let names = [Name::parse("a.test").unwrap()];
        self_signed(&names, SystemTime::UNIX_EPOCH - Duration::from_secs(86_400)).unwrap();
    }
}
