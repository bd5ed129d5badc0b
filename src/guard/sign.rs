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
