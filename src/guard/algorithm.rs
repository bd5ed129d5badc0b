//! Signature algorithms by their names in a token, and which keys each goes with.
//!
//! Never: `none`, or an algorithm whose key could be another family's.

use jsonwebtoken::Algorithm as Jwa;

use super::options::Algorithm;

const NAMES: [(Algorithm, &str, Jwa); 12] = [
    (Algorithm::Hs256, "HS256", Jwa::HS256),
    (Algorithm::Hs384, "HS384", Jwa::HS384),
    (Algorithm::Hs512, "HS512", Jwa::HS512),
    (Algorithm::Rs256, "RS256", Jwa::RS256),
    (Algorithm::Rs384, "RS384", Jwa::RS384),
    (Algorithm::Rs512, "RS512", Jwa::RS512),
    (Algorithm::Ps256, "PS256", Jwa::PS256),
    (Algorithm::Ps384, "PS384", Jwa::PS384),
    (Algorithm::Ps512, "PS512", Jwa::PS512),
    (Algorithm::Es256, "ES256", Jwa::ES256),
    (Algorithm::Es384, "ES384", Jwa::ES384),
    (Algorithm::EdDsa, "EdDSA", Jwa::EdDSA),
];

/// What kind of key an algorithm needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Algorithm {
    /// The one that a token's `alg` names; letters count (RFC 7515, section 4.1.1).
    #[must_use]
    pub fn named(name: &str) -> Option<Algorithm> {
        NAMES.iter().find(|(_, known, _)| *known == name).map(|(algorithm, ..)| *algorithm)
    }

    /// As a token's `alg` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(known, ..)| *known == self).map_or("", |(_, name, _)| name)
    }

    pub(super) fn jwa(self) -> Jwa {
        // Each is in the list; a test holds it.
        NAMES.iter().find(|(known, ..)| *known == self).map_or(Jwa::HS256, |(.., jwa)| *jwa)
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => Kind::Secret,
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => Kind::Rsa,
            Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => Kind::Rsa,
            Algorithm::Es256 => Kind::P256,
            Algorithm::Es384 => Kind::P384,
            Algorithm::EdDsa => Kind::Ed25519,
        }
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::AlgorithmFamily;

    use super::*;

    #[test]
    fn each_algorithm_is_found_by_its_name_and_nothing_else_is() {
        for (algorithm, name, jwa) in NAMES {
            assert_eq!(Algorithm::named(name), Some(algorithm));
            assert_eq!((algorithm.name(), format!("{:?}", algorithm.jwa()).as_str()), (name, name));
            assert_eq!(algorithm.jwa(), jwa);
            assert_eq!(algorithm.kind() == Kind::Secret, jwa.family() == AlgorithmFamily::Hmac);
            assert_eq!(algorithm.kind() == Kind::Rsa, jwa.family() == AlgorithmFamily::Rsa);
            assert_eq!(algorithm.kind() == Kind::Ed25519, jwa.family() == AlgorithmFamily::Ed);
        }
        for name in ["none", "None", "NONE", "hs256", "", "ES512", "HS256 "] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
