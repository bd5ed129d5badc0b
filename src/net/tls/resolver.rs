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

    /// The pair for `name`: its own, else a wildcard one level up (RFC 9525 section 6.3), else the first pair.
    fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            self.exact.get(&name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
        });
        let candidates = named.unwrap_or(&self.unnamed);
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

    #[test]
    fn an_empty_keyring_finds_nothing() {
        assert!(Keyring::new(Vec::new()).find(Some("a.test"), &[ECDSA]).is_none());
    }
}
