//! Which certificate a client gets: by the name it asks for (SNI, RFC 6066 section 3), then by what it can verify.
//!
//! Owns: [`Keyring`], immutable once built, and [`Resolver`], in which one keyring is swapped for the next.
//! Never: touches a connection whose handshake is done.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::name::Name;
use super::pair::Pair;

/// Pairs that serve one name, in the config's order: an ECDSA and an RSA one may stand side by side.
type Candidates = Vec<Arc<CertifiedKey>>;

/// All pairs of a listener.
#[derive(Debug)]
pub(super) struct Keyring {
    pairs: Vec<Pair>,
    exact: HashMap<String, Candidates>,
    /// `*.example.com` under `example.com`.
    wildcard: HashMap<String, Candidates>,
    /// For clients that name no host or one that is nobody's: the first pair, and others for the same names.
    unnamed: Candidates,
}

/// The keyring of the moment.
#[derive(Debug)]
pub(super) struct Resolver(ArcSwap<Keyring>);

impl Keyring {
    pub(super) fn new(pairs: Vec<Pair>) -> Keyring {
        let (mut exact, mut wildcard) = (HashMap::<_, Candidates>::new(), HashMap::<_, Candidates>::new());
        for pair in &pairs {
            for name in &pair.leaf.names {
                let Name::Dns(name) = name else { continue };
                let (map, key) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(key.to_owned()).or_default().push(Arc::clone(&pair.certified));
            }
        }
        let first = pairs.first().map(|pair| &pair.leaf.names);
        let unnamed = pairs
            .iter()
            .enumerate()
            .filter(|(index, pair)| *index == 0 || Some(&pair.leaf.names) == first)
            .map(|(_, pair)| Arc::clone(&pair.certified))
            .collect();
        Keyring { pairs, exact, wildcard, unnamed }
    }

    pub(super) fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Whether a client could tell no difference.
    pub(super) fn same(&self, other: &Keyring) -> bool {
        self.pairs.len() == other.pairs.len() && self.pairs.iter().zip(&other.pairs).all(|(a, b)| a.same_chain(b))
    }

    /// The pairs for `name`: its own, else those of a wildcard one level up (RFC 9525 section 6.3).
    fn named(&self, name: &str) -> Option<&Candidates> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.exact.get(&name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }

    /// Whether a client that asked for `name` was shown a certificate that is not for `host`, while another here is.
    pub(super) fn misdirects(&self, name: &str, host: &str) -> bool {
        if self.pairs.len() < 2 || self.named(host).is_none() {
            return false;
        }
        // Which of several for one name was shown depends on the client: any will do.
        let shown = self.named(name).unwrap_or(&self.unnamed);
        let is_shown = |pair: &&Pair| shown.iter().any(|shown| Arc::ptr_eq(shown, &pair.certified));
        !self.pairs.iter().filter(is_shown).any(|pair| pair.leaf.is_for(host))
    }

    /// The pair for `name`, else the first one.
    fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let candidates = name.and_then(|name| self.named(name)).unwrap_or(&self.unnamed);
        let verifiable = candidates.iter().find(|pair| pair.key.choose_scheme(schemes).is_some());
        verifiable.or_else(|| candidates.first()).cloned()
    }
}

impl Resolver {
    pub(super) fn new(keyring: Keyring) -> Resolver {
        Resolver(ArcSwap::from_pointee(keyring))
    }

    pub(super) fn keyring(&self) -> Arc<Keyring> {
        self.0.load_full()
    }

    pub(super) fn replace(&self, keyring: Keyring) {
        self.0.store(Arc::new(keyring));
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().find(hello.server_name(), hello.signature_schemes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::provider;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};

    const ECDSA: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

    fn pair(names: &[&str], algorithm: &'static SignatureAlgorithm) -> Pair {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let cert = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        Pair::parse(cert.pem().as_bytes(), key.serialize_pem().as_bytes(), &provider()).unwrap()
    }

    /// Three pairs, two of them for the same names with different kinds of key.
    fn keyring() -> Keyring {
        Keyring::new(vec![
            pair(&["a.test"], &PKCS_ED25519),
            pair(&["a.test"], &PKCS_ECDSA_P256_SHA256),
            pair(&["b.test", "*.b.test", "10.0.0.1"], &PKCS_ECDSA_P256_SHA256),
        ])
    }

    #[track_caller]
    fn check(name: Option<&str>, schemes: &[SignatureScheme], expected: usize) {
        let keyring = keyring();
        let found = keyring.find(name, schemes).unwrap();
        let index = keyring.pairs.iter().position(|pair| Arc::ptr_eq(&pair.certified, &found));
        assert_eq!(index, Some(expected), "{name:?} {schemes:?}");
    }

    #[test]
    fn a_name_is_matched_exactly_then_one_level_up_then_by_the_first_pair() {
        let all = [ECDSA, SignatureScheme::ED25519];
        check(Some("a.test"), &all, 0);
        check(Some("B.Test."), &all, 2);
        check(Some("x.b.test"), &all, 2);
        check(Some("x.y.b.test"), &all, 0);
        check(Some(""), &all, 0);
        check(Some("10.0.0.1"), &all, 0);
        check(None, &all, 0);
    }

    #[test]
    fn of_two_pairs_for_a_name_the_client_gets_the_first_it_can_verify() {
        check(Some("a.test"), &[ECDSA], 1);
        check(None, &[ECDSA], 1);
        check(Some("b.test"), &[SignatureScheme::ED25519], 2);
        check(None, &[SignatureScheme::RSA_PSS_SHA256], 0);
    }

    #[track_caller]
    fn check_misdirected(keyring: &Keyring, name: &str, host: &str, expected: bool) {
        assert_eq!(keyring.misdirects(name, host), expected, "SNI {name}, Host {host}");
    }

    #[test]
    fn a_request_is_misdirected_where_another_certificate_is_for_its_host() {
        let keyring = Keyring::new(vec![
            pair(&["a.test", "also.test"], &PKCS_ED25519),
            pair(&["*.b.test", "b.test"], &PKCS_ECDSA_P256_SHA256),
            pair(&["own.b.test"], &PKCS_ECDSA_P256_SHA256),
        ]);
        for (name, host, expected) in [
            ("a.test", "a.test", false),
            ("a.test", "A.Test.", false),
            ("a.test", "also.test", false),
            ("a.test", "b.test", true),
            ("a.test", "x.b.test", true),
            ("b.test", "a.test", true),
            // One certificate for both, though the second has one of its own, too: browsers share the connection.
            ("x.b.test", "y.b.test", false),
            ("x.b.test", "b.test", false),
            ("x.b.test", "own.b.test", false),
            ("own.b.test", "x.b.test", true),
            // No certificate is for the host.
            ("a.test", "localhost", false),
            ("a.test", "two.levels.b.test", false),
            ("a.test", "127.0.0.1", false),
            ("a.test", "", false),
            // No certificate is for the name: the first was shown.
            ("unknown.test", "a.test", false),
            ("unknown.test", "b.test", true),
            ("unknown.test", "other.test", false),
        ] {
            check_misdirected(&keyring, name, host, expected);
        }
    }

    #[test]
    fn with_one_certificate_or_two_of_a_kind_nothing_is_misdirected() {
        let one = Keyring::new(vec![pair(&["localhost"], &PKCS_ED25519)]);
        let two = Keyring::new(vec![pair(&["a.test"], &PKCS_ED25519), pair(&["a.test"], &PKCS_ECDSA_P256_SHA256)]);
        for host in ["localhost", "a.test", "127.0.0.1", "b.test", ""] {
            check_misdirected(&one, "b.test", host, false);
            check_misdirected(&two, "b.test", host, false);
        }
    }

    #[test]
    fn an_empty_keyring_finds_nothing() {
        assert!(Keyring::new(Vec::new()).find(Some("a.test"), &[ECDSA]).is_none());
    }
}
