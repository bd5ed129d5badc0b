//! The files that `[auth.NAME]` names: whether they are there, and hold what they are said to hold.
//!
//! Never: judges a key itself; whoever verifies tokens does.

use std::path::Path;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde_json::Value;

use crate::bounded;
use crate::config::{Loaded, Problem, Wrong};
use crate::guard::KeyOptions;
use crate::limits;

/// What is wrong with the files of the config's auths, each at its place.
pub(super) fn key_problems(loaded: &Loaded) -> Vec<Problem> {
    let auths = loaded.config.auths.iter().enumerate();
    let wrong = auths.filter_map(|(index, auth)| {
        let wrong = match &auth.key {
            KeyOptions::PublicKeyFile(path) => fault(path, pem_fault),
            KeyOptions::JwksFile(path) => fault(path, set_fault),
            KeyOptions::Secret(_) | KeyOptions::JwksUrl(_) | KeyOptions::Absent { .. } => None,
        };
        Some(loaded.places.at_key(index, wrong?))
    });
    wrong.collect()
}

fn fault(path: &Path, judge: impl Fn(&str, &[u8]) -> Option<Wrong>) -> Option<Wrong> {
    let shown = path.display().to_string();
    match bounded::read(path, limits::PEM_SIZE) {
        Ok(bytes) => judge(&shown, &bytes),
        Err(error) => {
            let what = format!("{shown} can not be read: {error}");
            Some(Wrong::new(what, "name a file that this user can read"))
        }
    }
}

fn pem_fault(path: &str, bytes: &[u8]) -> Option<Wrong> {
    let mut is_private = false;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        match section {
            Ok((SectionKind::PublicKey | SectionKind::Certificate, _)) => return None,
            Ok((SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _)) => {
                is_private = true;
            }
            Ok(_) => {}
            Err(error) => {
                return Some(Wrong::new(format!("{path} is no PEM file: {error}"), "name one that is"));
            }
        }
    }
    if is_private {
        let what = format!("{path} holds a private key, which only who signs tokens should have");
        return Some(Wrong::new(what, format!("name its public half, as `openssl pkey -in {path} -pubout` prints")));
    }
    let what = format!("{path} holds no public key and no certificate");
    Some(Wrong::new(what, "name a PEM file with -----BEGIN PUBLIC KEY----- or -----BEGIN CERTIFICATE-----"))
}

fn set_fault(path: &str, bytes: &[u8]) -> Option<Wrong> {
    let instead = "name a file as {\"keys\": [{\"kty\": ...}]}";
    match serde_json::from_slice::<Value>(bytes) {
        Err(error) => Some(Wrong::new(format!("{path} is not JSON: {error}"), instead)),
        Ok(set) => match set.get("keys").and_then(Value::as_array) {
            None => Some(Wrong::new(format!("{path} is no JSON Web Key Set: it has no list of `keys`"), instead)),
            Some(keys) if keys.is_empty() => Some(Wrong::new(format!("{path} has no key"), instead)),
            Some(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";

    #[track_caller]
    fn check(fault: Option<Wrong>, expected: Option<&str>) {
        match (fault, expected) {
            (None, None) => {}
            (Some(wrong), Some(expected)) => {
                assert!(format!("{}; {}", wrong.what, wrong.instead).contains(expected), "{wrong:?}");
            }
            (fault, expected) => panic!("{fault:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_public_key_file_holds_a_public_key() {
        let pem = |text: &str| pem_fault("a.pem", text.as_bytes());
        check(pem(PUBLIC), None);
        check(pem(CERTIFICATE), None);
        check(pem(&format!("{PRIVATE}{CERTIFICATE}")), None);
        check(pem(PRIVATE), Some("a.pem holds a private key"));
        check(pem(PRIVATE), Some("openssl pkey -in a.pem -pubout"));
        check(pem(""), Some("a.pem holds no public key"));
        check(pem("hello"), Some("a.pem holds no public key"));
        check(pem("-----BEGIN PUBLIC KEY-----\nAAAA"), Some("a.pem is no PEM file"));
    }

    #[test]
    fn a_key_set_holds_keys() {
        let set = |text: &str| set_fault("a.json", text.as_bytes());
        check(set(r#"{"keys":[{"kty":"RSA"}]}"#), None);
        check(set(r#"{"keys":[]}"#), Some("a.json has no key"));
        check(set("[]"), Some("no list of `keys`"));
        check(set(PUBLIC), Some("a.json is not JSON"));
    }

    #[test]
    fn a_file_is_read_no_further_than_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, " ".repeat(limits::PEM_SIZE + 1)).unwrap();
        check(fault(&path, set_fault), Some("larger than"));
        check(fault(&folder.path().join("none"), set_fault), Some("can not be read: No such file"));
    }
}
