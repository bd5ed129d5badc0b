//! Signing a token, as `steadfeed token` does: what an auth would find good.
//!
//! Never: used while serving.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Map, Value};

use super::algorithm::Kind;
use super::key::{self, KeyError};
use super::options::{Algorithm, AuthOptions, KeyOptions};
use crate::secret::Secret;

/// A key, and what is signed with it.
#[derive(Debug)]
pub struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
}

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error(
        "tokens of the auth `{0}` are signed with a private key, which the config does not hold; give it with --key-file"
    )]
    NoKey(String),
    #[error("the secret of the auth `{auth}` is not set; set {variable}, or give it with --secret-file")]
    Unset { auth: String, variable: String },
    #[error("the auth `{0}` takes no token that is signed with a secret; give the private key with --key-file")]
    NoSecret(String),
    #[error("the auth `{0}` takes only tokens that are signed with a secret; give it with --secret-file")]
    OnlySecret(String),
    #[error("the key file: {0}")]
    Key(#[from] KeyError),
    #[error("the token cannot be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

impl Signer {
    /// With the secret that the config holds.
    ///
    /// # Errors
    /// If it holds none.
    pub fn configured(auth: &AuthOptions) -> Result<Signer, SignError> {
        match &auth.key {
            KeyOptions::Secret(secret) => Signer::with_secret(auth, secret),
            KeyOptions::Absent { variable } => {
                Err(SignError::Unset { auth: auth.name.clone(), variable: variable.clone() })
            }
            KeyOptions::PublicKeyFile(_) | KeyOptions::JwksUrl(_) | KeyOptions::JwksFile(_) => {
                Err(SignError::NoKey(auth.name.clone()))
            }
        }
    }

    /// With a secret given.
    ///
    /// # Errors
    /// If the auth takes no such tokens.
    pub fn with_secret(auth: &AuthOptions, secret: &Secret) -> Result<Signer, SignError> {
        let first = auth.algorithms.iter().find(|algorithm| algorithm.kind() == Kind::Secret);
        let algorithm = *first.ok_or_else(|| SignError::NoSecret(auth.name.clone()))?;
        Ok(Signer { algorithm, key: EncodingKey::from_secret(secret.reveal().as_bytes()) })
    }

    /// With a private key in a PEM file, and the first of the auth's algorithms that it is for.
    ///
    /// # Errors
    /// If there is none, or the auth takes no such tokens.
    pub fn with_key_file(auth: &AuthOptions, path: &Path) -> Result<Signer, SignError> {
        let asymmetric = auth.algorithms.iter().copied().filter(|algorithm| algorithm.kind() != Kind::Secret);
        let mut last = SignError::OnlySecret(auth.name.clone());
        for algorithm in asymmetric {
            match key::read_private(path, algorithm) {
                // Whether a curve is the algorithm's is found out by signing.
                Ok(key) => match encode(&Header::new(algorithm.jwa()), &Map::new(), &key) {
                    Ok(_) => return Ok(Signer { algorithm, key }),
                    Err(error) => last = error.into(),
                },
                Err(error @ (KeyError::File(_) | KeyError::TooLarge)) => return Err(error.into()),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// A token for `subject` that the auth finds good for `ttl` from now; `claims` come last, and so over its own.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn token(
        &self,
        auth: &AuthOptions,
        subject: &str,
        ttl: Duration,
        claims: &[(String, Value)],
        now: Timestamp,
    ) -> Result<Secret, SignError> {
        let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        let expires = now.checked_add(ttl).unwrap_or(Timestamp::MAX);
        let mut all = Map::new();
        all.insert("sub".to_owned(), subject.into());
        all.insert("iat".to_owned(), now.as_second().into());
        all.insert("exp".to_owned(), expires.as_second().into());
        let named = [("iss", &auth.issuer), ("aud", &auth.audience)];
        all.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))));
        all.extend(claims.iter().cloned());
        Ok(Secret::new(encode(&Header::new(self.algorithm.jwa()), &all, &self.key)?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::NamedTempFile;

    use super::*;
    use crate::admission::Renew as _;
    use crate::guard::testing::{ED25519, NOW, P256, P384, Pair, RSA, SECRET, auth, file, now, options, with_secret};

    const PAIRS: [Algorithm; 4] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];
    const HOUR: Duration = Duration::from_secs(3600);

    fn with_public(pair: &Pair) -> (AuthOptions, NamedTempFile) {
        let pem = file(&pair.public_pem);
        (options(KeyOptions::PublicKeyFile(pem.path().to_owned()), &PAIRS), pem)
    }

    #[test]
    fn what_is_signed_is_found_good_by_its_auth() {
        let (issuer, audience) = (Some("https://id.test".to_owned()), Some("dash".to_owned()));
        let options =
            AuthOptions { issuer, audience, require: vec![("role".to_owned(), json!("operator"))], ..with_secret() };
        let claims = [("role".to_owned(), json!(["viewer", "operator"]))];
        let token = Signer::configured(&options).unwrap().token(&options, "ann", HOUR, &claims, now()).unwrap();
        let credential = auth(options).renew(token.reveal(), now()).unwrap();
        assert_eq!((&*credential.subject, credential.expires.as_second()), ("ann", NOW + 3600));
    }

    #[test]
    fn every_kind_of_private_key_signs_what_its_public_half_verifies() {
        for pair in [&*RSA, &*P256, &*P384, &*ED25519] {
            let ((options, _kept), private) = (with_public(pair), file(&pair.private_pem));
            let signer = Signer::with_key_file(&options, private.path()).unwrap();
            let token = signer.token(&options, "ann", HOUR, &[], now()).unwrap();
            assert_eq!(&*auth(options).renew(token.reveal(), now()).unwrap().subject, "ann");
        }
    }

    #[test]
    fn a_claim_that_is_given_stands_in_place_of_our_own() {
        let options = with_secret();
        let claims = [("exp".to_owned(), json!(1))];
        let token = Signer::configured(&options).unwrap().token(&options, "ann", HOUR, &claims, now()).unwrap();
        assert_eq!(auth(options).renew(token.reveal(), now()), Err("the token has expired".to_owned()));
    }

    #[test]
    fn what_cannot_sign_says_what_to_give() {
        let (public, _kept) = with_public(&P256);
        let secret = Secret::new(SECRET.to_owned());
        let unset = AuthOptions { key: KeyOptions::Absent { variable: "JWT_SECRET".to_owned() }, ..with_secret() };
        let (pem, rsa, nothing) = (file(&P256.public_pem), file(&RSA.private_pem), Path::new("/nowhere.pem"));
        let only_ec = AuthOptions { algorithms: vec![Algorithm::Es256], ..public.clone() };
        for (outcome, expected) in [
            (
                Signer::configured(&public),
                "tokens of the auth `viewers` are signed with a private key, which the config does not hold; give it with --key-file",
            ),
            (
                Signer::configured(&unset),
                "the secret of the auth `viewers` is not set; set JWT_SECRET, or give it with --secret-file",
            ),
            (
                Signer::with_secret(&public, &secret),
                "the auth `viewers` takes no token that is signed with a secret; give the private key with --key-file",
            ),
            (
                Signer::with_key_file(&with_secret(), rsa.path()),
                "the auth `viewers` takes only tokens that are signed with a secret; give it with --secret-file",
            ),
            (
                Signer::with_key_file(&only_ec, pem.path()),
                "the key file: it holds no private key in PEM (PKCS#8, or PKCS#1 for RSA) that fits ES256",
            ),
            (
                Signer::with_key_file(&only_ec, rsa.path()),
                "the key file: it holds no private key in PEM (PKCS#8, or PKCS#1 for RSA) that fits ES256",
            ),
            (
                Signer::with_key_file(&only_ec, nothing),
                "the key file: it cannot be read: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(outcome.unwrap_err().to_string(), expected);
        }
    }
}
