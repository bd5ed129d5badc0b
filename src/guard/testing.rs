//! What tests of tokens share: keys made on the spot, tokens with any header, auths.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Jwa, EncodingKey, crypto};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::options::{Algorithm, AuthOptions, Carrier, KeyOptions};
use super::{Auth, Auths, Denied, TokenFault};
use crate::admission::Credential;
use crate::secret::Secret;
use crate::telemetry::Metrics;

pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The second at which tests are.
pub(super) const NOW: i64 = 1_700_000_000;

/// A file of this text, for as long as it is held.
pub(super) fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Both halves of a key.
pub(super) struct Pair {
    pub(super) private: EncodingKey,
    pub(super) private_pem: String,
    pub(super) public_pem: String,
    /// As the key itself is written.
    public: Vec<u8>,
    jwa: Jwa,
}

/// What a public key may be checked with.
pub(super) static PAIRS: LazyLock<Vec<Algorithm>> =
    LazyLock::new(|| Algorithm::all().filter(|algorithm| !algorithm.is_symmetric()).collect());
pub(super) static RSA: LazyLock<Pair> = LazyLock::new(|| {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    Pair::new(&pair, Jwa::RS256, EncodingKey::from_rsa_pem)
});
pub(super) static P256: LazyLock<Pair> = LazyLock::new(p256);
pub(super) static P384: LazyLock<Pair> = LazyLock::new(|| {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    Pair::new(&pair, Jwa::ES384, EncodingKey::from_ec_pem)
});
pub(super) static ED25519: LazyLock<Pair> = LazyLock::new(|| {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    Pair::new(&pair, Jwa::EdDSA, EncodingKey::from_ed_pem)
});

/// A new one each time.
pub(super) fn p256() -> Pair {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    Pair::new(&pair, Jwa::ES256, EncodingKey::from_ec_pem)
}

impl Pair {
    fn new(
        pair: &KeyPair,
        jwa: Jwa,
        private: impl FnOnce(&[u8]) -> Result<EncodingKey, jsonwebtoken::errors::Error>,
    ) -> Pair {
        let private_pem = pair.serialize_pem();
        let (private, public) = (private(private_pem.as_bytes()).unwrap(), pair.public_key_raw().to_vec());
        Pair { private, private_pem, public_pem: pair.public_key_pem(), public, jwa }
    }

    /// The public half as a key of a set, with these members besides.
    pub(super) fn jwk(&self, members: Value) -> Value {
        let mut jwk = if self.jwa == Jwa::EdDSA {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": part(&self.public) })
        } else {
            serde_json::to_value(Jwk::from_encoding_key(&self.private, self.jwa).unwrap()).unwrap()
        };
        let own = jwk.as_object_mut().unwrap();
        own.remove("alg");
        own.remove("use");
        own.extend(members.as_object().unwrap().clone());
        jwk
    }

    /// A good token, with this `kid`.
    pub(super) fn token(&self, kid: Option<&str>) -> String {
        let mut header = json!({ "alg": format!("{:?}", self.jwa) });
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        signed(&header, &good(), &self.private, self.jwa)
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// Claims that every auth here finds good.
pub(super) fn good() -> Value {
    json!({ "sub": "ann", "exp": NOW + 3600 })
}

/// With these claims in place of, or beside, the good ones; `null` is none.
pub(super) fn claims(changed: Value) -> Value {
    let mut claims = good();
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

pub(super) fn part(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Signed with `jwa`, whatever the header says.
pub(super) fn signed(header: &Value, claims: &Value, key: &EncodingKey, jwa: Jwa) -> String {
    raw(&part(header.to_string()), &part(claims.to_string()), key, jwa)
}

pub(super) fn raw(header: &str, payload: &str, key: &EncodingKey, jwa: Jwa) -> String {
    let message = format!("{header}.{payload}");
    let signature = crypto::sign(message.as_bytes(), key, jwa).unwrap();
    format!("{message}.{signature}")
}

/// HS256, with [`SECRET`].
pub(super) fn hs256(claims: &Value) -> String {
    signed(&json!({ "alg": "HS256", "typ": "JWT" }), claims, &EncodingKey::from_secret(SECRET.as_bytes()), Jwa::HS256)
}

pub(super) fn options(key: KeyOptions, algorithms: &[Algorithm]) -> AuthOptions {
    let query = Carrier::Query("token".to_owned());
    AuthOptions {
        name: "viewers".to_owned(),
        key,
        algorithms: algorithms.to_vec(),
        issuer: None,
        audience: None,
        leeway: Duration::from_secs(30),
        require: Vec::new(),
        from: vec![Carrier::Header, Carrier::Subprotocol, query, Carrier::Ticket],
    }
}

pub(super) fn with_secret() -> AuthOptions {
    let algorithms: Vec<Algorithm> = Algorithm::all().filter(|algorithm| algorithm.is_symmetric()).collect();
    options(KeyOptions::Secret(Secret::new(SECRET.to_owned())), &algorithms)
}

pub(super) fn auth(options: AuthOptions) -> Arc<Auth> {
    Auths::try_new(&[options], &Metrics::new()).unwrap().get("viewers").unwrap()
}

pub(super) fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let builder = headers.iter().fold(Request::get(uri), |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap().into_parts().0
}

pub(super) async fn verify(auth: &Auth, token: &str) -> Result<Credential, Denied> {
    let request = request("/ws", &[("authorization", &format!("Bearer {token}"))]);
    auth.verify(&auth.find(&request)?, now()).await
}

/// What the log says of a token, with the status that the client gets.
pub(super) async fn refusal(auth: &Auth, token: &str) -> (u16, String) {
    match verify(auth, token).await {
        Err(Denied::Token(fault)) => {
            shows_no_token(&fault, token);
            (fault.status().as_u16(), fault.why())
        }
        other => panic!("{other:?}"),
    }
}

/// Neither the log, the client nor a Debug line has it.
pub(super) fn shows_no_token(fault: &TokenFault, token: &str) {
    let shown = format!("{fault} {fault:?} {}", fault.why());
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!shown.contains(part), "{shown}");
    }
}
