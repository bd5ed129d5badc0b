//! A JSON Web Key Set (RFC 7517), read into keys.
//!
//! Owns: which of its keys are of use: public ones that verify signatures, of kinds that we know. Never: takes a secret
//! (`oct`) out of a set, nor a key for another algorithm than it is bound to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::Kind;
use super::fault::{Echo, Flaw};
use super::options::Algorithm;
use crate::limits;

/// The keys of a set.
#[derive(Debug, Default)]
pub(super) struct Ring {
    keys: Vec<Key>,
    /// Why others were left out.
    pub(super) skipped: Vec<String>,
}

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    kind: Kind,
    /// The only one that it is for.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

/// One of `keys`, as it is written.
#[derive(Debug, Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    used: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// Bytes of an RSA modulus of 2048 bits: shorter ones are refused.
const RSA_MIN: usize = 256;

impl Ring {
    /// Reads a set. Keys that are of no use are left out, and say why.
    ///
    /// # Errors
    /// If it is too large, is none, or has too many keys.
    pub(super) fn parse(text: &[u8]) -> Result<Ring, String> {
        if text.len() > limits::JWKS_SIZE {
            return Err(format!("it is larger than {} KiB", limits::JWKS_SIZE / 1024));
        }
        let document: Document = serde_json::from_slice(text).map_err(|error| format!("it is no key set: {error}"))?;
        if document.keys.len() > limits::JWKS_KEYS {
            return Err(format!("it has {} keys, of {} that it may", document.keys.len(), limits::JWKS_KEYS));
        }
        let mut ring = Ring::default();
        for (index, value) in document.keys.iter().enumerate() {
            match Key::read(value) {
                Ok(key) => ring.keys.push(key),
                Err(why) => {
                    let kid = value.get("kid").and_then(Value::as_str).map(|kid| format!(" ({})", Echo::new(kid)));
                    ring.skipped.push(format!("key {index}{}: {why}", kid.unwrap_or_default()));
                }
            }
        }
        Ok(ring)
    }

    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that a token may have been signed with: those of its `kid`, or all that fit where it names none.
    ///
    /// # Errors
    /// If there is none, or too many to try.
    pub(super) fn fitting(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<&DecodingKey>, Flaw> {
        let fits = |key: &&Key| {
            key.kind == algorithm.kind()
                && key.algorithm.is_none_or(|only| only == algorithm)
                && (kid.is_none() || key.kid.as_deref() == kid)
        };
        let found: Vec<&DecodingKey> = self.keys.iter().filter(fits).map(|key| &key.key).collect();
        match (found.len(), kid) {
            (0, Some(kid)) => Err(Flaw::UnknownKey(Echo::new(kid))),
            (0, None) => Err(Flaw::NoKey),
            (1..=limits::JWKS_TRIES, _) => Ok(found),
            (many, _) => Err(Flaw::WhichKey(many)),
        }
    }
}

impl Key {
    fn read(value: &Value) -> Result<Key, String> {
        let jwk = Jwk::deserialize(value).map_err(|error| error.to_string())?;
        if jwk.used.as_deref().is_some_and(|used| used != "sig") {
            return Err("it is not for signatures (`use`)".to_owned());
        }
        if jwk.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|one| one == "verify")) {
            return Err("it is not for verifying (`key_ops`)".to_owned());
        }
        let (kind, key) = jwk.material()?;
        let algorithm = match &jwk.alg {
            None => None,
            Some(name) => {
                let known = Algorithm::named(name).filter(|algorithm| algorithm.kind() == kind);
                Some(known.ok_or_else(|| format!("its algorithm {} is not one of its kind", Echo::new(name)))?)
            }
        };
        Ok(Key { kid: jwk.kid, kind, algorithm, key })
    }
}

impl Jwk {
    fn material(&self) -> Result<(Kind, DecodingKey), String> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (part("n", self.n.as_ref())?, part("e", self.e.as_ref())?);
                let n = n.get(n.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default();
                if n.len() < RSA_MIN {
                    return Err("it has fewer than 2048 bits".to_owned());
                }
                Ok((Kind::Rsa, DecodingKey::from_rsa_raw_components(n, &e)))
            }
            ("EC", Some("P-256")) => Ok((Kind::P256, self.point(32)?)),
            ("EC", Some("P-384")) => Ok((Kind::P384, self.point(48)?)),
            ("OKP", Some("Ed25519")) => {
                let x = sized("x", self.x.as_ref(), 32)?;
                Ok((Kind::Ed25519, DecodingKey::from_ed_der(&x)))
            }
            ("oct", _) => Err("it is a secret, which no key set should hold".to_owned()),
            (kind, curve) => {
                let curve = curve.map(|curve| format!(" with the curve {}", Echo::new(curve)));
                Err(format!("its kind {}{} is not known here", Echo::new(kind), curve.unwrap_or_default()))
            }
        }
    }

    /// Uncompressed (SEC 1, section 2.3.3).
    fn point(&self, size: usize) -> Result<DecodingKey, String> {
        let (x, y) = (sized("x", self.x.as_ref(), size)?, sized("y", self.y.as_ref(), size)?);
        Ok(DecodingKey::from_ec_der(&[&[4], x.as_slice(), y.as_slice()].concat()))
    }
}

fn part(name: &str, text: Option<&String>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("it has no `{name}`"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its `{name}` is not base64url"))
}

fn sized(name: &str, text: Option<&String>, size: usize) -> Result<Vec<u8>, String> {
    let bytes = part(name, text)?;
    if bytes.len() == size { Ok(bytes) } else { Err(format!("its `{name}` has {} bytes, not {size}", bytes.len())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::guard::testing::{ED25519, P256, P384, RSA, p256};

    fn ring(keys: &[Value]) -> Ring {
        Ring::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    #[track_caller]
    fn skipped(key: Value, expected: &str) {
        let good = P256.jwk(json!({ "kid": "good" }));
        let ring = ring(&[key.clone(), good]);
        assert_eq!((ring.len(), ring.skipped.as_slice()), (1, [format!("key 0: {expected}")].as_slice()), "{key}");
    }

    #[track_caller]
    fn refused(text: &[u8], expected: &str) {
        let reason = Ring::parse(text).unwrap_err();
        assert!(reason.starts_with(expected), "{reason}");
    }

    #[test]
    fn keys_of_every_kind_that_we_know_are_read() {
        let ring = ring(&[&*RSA, &*P256, &*P384, &*ED25519].map(|pair| pair.jwk(json!({ "use": "sig" }))));
        assert_eq!((ring.len(), ring.skipped.len()), (4, 0));
        for algorithm in [Algorithm::Rs256, Algorithm::Ps512, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
            assert_eq!(ring.fitting(None, algorithm).unwrap().len(), 1, "{algorithm:?}");
        }
        assert_eq!(ring.fitting(None, Algorithm::Hs256).err(), Some(Flaw::NoKey));
    }

    #[test]
    fn keys_that_are_of_no_use_are_left_out_and_say_why() {
        skipped(json!({ "kty": "oct", "k": "c2VjcmV0" }), "it is a secret, which no key set should hold");
        skipped(P256.jwk(json!({ "use": "enc" })), "it is not for signatures (`use`)");
        skipped(P256.jwk(json!({ "key_ops": ["sign"] })), "it is not for verifying (`key_ops`)");
        skipped(P256.jwk(json!({ "alg": "RS256" })), r#"its algorithm "RS256" is not one of its kind"#);
        skipped(P256.jwk(json!({ "alg": "ECDH-ES" })), r#"its algorithm "ECDH-ES" is not one of its kind"#);
        skipped(P256.jwk(json!({ "alg": "none" })), r#"its algorithm "none" is not one of its kind"#);
        skipped(P256.jwk(json!({ "x": "AAAA" })), "its `x` has 3 bytes, not 32");
        skipped(P256.jwk(json!({ "y": "!" })), "its `y` is not base64url");
        skipped(P256.jwk(json!({ "crv": "P-384" })), "its `x` has 32 bytes, not 48");
        skipped(
            P256.jwk(json!({ "crv": "secp256k1" })),
            r#"its kind "EC" with the curve "secp256k1" is not known here"#,
        );
        skipped(json!({ "kty": "RSA", "e": "AQAB" }), "it has no `n`");
        skipped(
            json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([1; 255]), "e": "AQAB" }),
            "it has fewer than 2048 bits",
        );
        let padded = URL_SAFE_NO_PAD.encode([[0; 16].as_slice(), &[1; 255]].concat());
        skipped(json!({ "kty": "RSA", "n": padded, "e": "AQAB" }), "it has fewer than 2048 bits");
        skipped(json!({ "kty": "AKP" }), r#"its kind "AKP" is not known here"#);
        skipped(json!({}), "missing field `kty`");
        let ring = ring(&[json!({ "kty": "oct", "kid": "shared" })]);
        assert_eq!(ring.skipped, [r#"key 0 ("shared"): it is a secret, which no key set should hold"#]);
    }

    #[test]
    fn a_key_is_for_the_one_algorithm_that_it_is_bound_to() {
        let ring = ring(&[RSA.jwk(json!({ "kid": "a", "alg": "RS256" }))]);
        assert!(ring.fitting(Some("a"), Algorithm::Rs256).is_ok());
        for other in [Algorithm::Rs512, Algorithm::Ps256, Algorithm::Es256] {
            assert_eq!(ring.fitting(Some("a"), other).err(), Some(Flaw::UnknownKey(Echo::new("a"))), "{other:?}");
        }
    }

    #[test]
    fn a_kid_names_its_key_alone() {
        let ring = ring(&[P256.jwk(json!({ "kid": "a" })), p256().jwk(json!({ "kid": "b" })), p256().jwk(json!({}))]);
        assert_eq!(ring.fitting(Some("a"), Algorithm::Es256).unwrap().len(), 1);
        assert_eq!(ring.fitting(None, Algorithm::Es256).unwrap().len(), 3);
        assert_eq!(ring.fitting(Some("c"), Algorithm::Es256).err(), Some(Flaw::UnknownKey(Echo::new("c"))));
    }

    #[test]
    fn a_token_that_names_no_key_is_tried_with_a_few_and_no_more() {
        let ring_of = |count: usize| ring(&vec![P256.jwk(json!({})); count]);
        assert!(ring_of(limits::JWKS_TRIES).fitting(None, Algorithm::Es256).is_ok());
        let many = limits::JWKS_TRIES + 1;
        assert_eq!(ring_of(many).fitting(None, Algorithm::Es256).err(), Some(Flaw::WhichKey(many)));
    }

    #[test]
    fn a_set_is_bounded_in_size_and_keys_and_is_one() {
        refused(&vec![b' '; limits::JWKS_SIZE + 1], "it is larger than 256 KiB");
        let keys = |count: usize| json!({ "keys": vec![json!({}); count] }).to_string();
        refused(keys(limits::JWKS_KEYS + 1).as_bytes(), "it has 101 keys, of 100 that it may");
        assert!(Ring::parse(keys(limits::JWKS_KEYS).as_bytes()).is_ok());
        for text in ["", "null", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            refused(text.as_bytes(), "it is no key set: ");
        }
    }
}
