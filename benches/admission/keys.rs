//! Who signs, and what verifies it: keys that are made on the spot.

use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use steadfeed::guard::{Algorithm, AuthOptions, Carrier, KeyOptions, Signer};
use steadfeed::secret::Secret;
use tempfile::NamedTempFile;

/// Whose cost is told.
pub const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("HS256", Algorithm::Hs256),
    ("RS256", Algorithm::Rs256),
    ("ES256", Algorithm::Es256),
    ("EdDSA", Algorithm::EdDsa),
];

/// Who signs, and what verifies it.
pub struct Side {
    pub options: AuthOptions,
    signer: Signer,
    _file: NamedTempFile,
}

impl Side {
    pub fn new(algorithm: Algorithm) -> Side {
        let pair = if algorithm == Algorithm::Rs256 {
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
        } else if algorithm == Algorithm::EdDsa {
            KeyPair::generate_for(&PKCS_ED25519)
        } else {
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        }
        .expect("a key");
        let (public, private) = (file(&pair.public_key_pem()), file(&pair.serialize_pem()));
        let is_secret = algorithm == Algorithm::Hs256;
        let key = if is_secret {
            KeyOptions::Secret(Secret::new(secret(&pair)))
        } else {
            KeyOptions::PublicKeyFile(public.path().to_owned())
        };
        let options = AuthOptions {
            name: "viewers".to_owned(),
            key,
            algorithms: vec![algorithm],
            issuer: Some("https://id.test".to_owned()),
            audience: Some("dashboard".to_owned()),
            leeway: Duration::from_secs(30),
            require: vec![("role".to_owned(), json!("operator"))],
            from: vec![Carrier::Header, Carrier::Subprotocol, Carrier::Query("token".to_owned()), Carrier::Ticket],
        };
        let signer =
            if is_secret { Signer::configured(&options) } else { Signer::with_key_file(&options, private.path()) };
        Side { options, signer: signer.expect("a key that signs"), _file: public }
    }

    /// `[auth.NAME]` of a config, with what verifies it.
    pub fn config(&self, name: &str) -> String {
        let key = match &self.options.key {
            KeyOptions::Secret(secret) => format!("secret = \"{}\"", secret.reveal()),
            KeyOptions::PublicKeyFile(path) => format!("public_key_file = \"{}\"", path.display()),
            KeyOptions::JwksUrl(_) | KeyOptions::JwksFile(_) | KeyOptions::Absent { .. } => String::new(),
        };
        format!(
            "[auth.{name}]\n{key}\nalgorithms = [\"{name}\"]\nissuer = \"https://id.test\"\naudience = \"dashboard\"\n\
             require = {{ role = \"operator\" }}\n"
        )
    }

    pub fn token(&self) -> Secret {
        let claims = [("role".to_owned(), json!(["viewer", "operator"])), ("name".to_owned(), json!("Ann"))];
        let hour = Duration::from_secs(3600);
        let token = self.signer.token(&self.options, "0f1c2d3e-user", hour, &claims, Timestamp::now());
        token.expect("it is signed")
    }
}

/// One line of a private key: nobody can guess it.
fn secret(pair: &KeyPair) -> String {
    pair.serialize_pem().lines().nth(1).expect("a PEM file has lines").to_owned()
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a disk");
    file
}
