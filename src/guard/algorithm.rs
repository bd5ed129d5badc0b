//! Signature algorithms by their names in a token, and which keys each goes with.
//!
//! Never: `none`, or an algorithm whose key could be another family's.

use jsonwebtoken::Algorithm as Jwa;

use super::options::Algorithm;

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
    /// All there are, each by what a token's `alg` calls it.
    pub const NAMES: [(&'static str, Algorithm); 12] = [
        ("HS256", Algorithm::Hs256),
        ("HS384", Algorithm::Hs384),
        ("HS512", Algorithm::Hs512),
        ("RS256", Algorithm::Rs256),
        ("RS384", Algorithm::Rs384),
        ("RS512", Algorithm::Rs512),
        ("PS256", Algorithm::Ps256),
        ("PS384", Algorithm::Ps384),
        ("PS512", Algorithm::Ps512),
        ("ES256", Algorithm::Es256),
        ("ES384", Algorithm::Es384),
        ("EdDSA", Algorithm::EdDsa),
    ];

    /// Those of [`NAMES`](Algorithm::NAMES).
    pub fn all() -> impl Iterator<Item = Algorithm> {
        Algorithm::NAMES.into_iter().map(|(_, algorithm)| algorithm)
    }

    /// Whether its key is a secret: then whoever can check a token can sign one.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        self.kind() == Kind::Secret
    }

    /// The one that a token's `alg` names; letters count (RFC 7515, section 4.1.1).
    #[must_use]
    pub fn named(name: &str) -> Option<Algorithm> {
        Algorithm::NAMES.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }

    /// As a token's `alg` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Algorithm::NAMES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    pub(super) fn jwa(self) -> Jwa {
        match self {
            Algorithm::Hs256 => Jwa::HS256,
            Algorithm::Hs384 => Jwa::HS384,
            Algorithm::Hs512 => Jwa::HS512,
            Algorithm::Rs256 => Jwa::RS256,
            Algorithm::Rs384 => Jwa::RS384,
            Algorithm::Rs512 => Jwa::RS512,
            Algorithm::Ps256 => Jwa::PS256,
            Algorithm::Ps384 => Jwa::PS384,
            Algorithm::Ps512 => Jwa::PS512,
            Algorithm::Es256 => Jwa::ES256,
            Algorithm::Es384 => Jwa::ES384,
            Algorithm::EdDsa => Jwa::EdDSA,
        }
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
        for (name, algorithm) in Algorithm::NAMES {
            let jwa = algorithm.jwa();
            assert_eq!(Algorithm::named(name), Some(algorithm));
            assert_eq!((algorithm.name(), format!("{jwa:?}").as_str()), (name, name));
            assert_eq!(algorithm.kind() == Kind::Secret, jwa.family() == AlgorithmFamily::Hmac);
            assert_eq!(algorithm.kind() == Kind::Rsa, jwa.family() == AlgorithmFamily::Rsa);
            assert_eq!(algorithm.kind() == Kind::Ed25519, jwa.family() == AlgorithmFamily::Ed);
        }
        for name in ["none", "None", "NONE", "hs256", "", "ES512", "HS256 "] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
