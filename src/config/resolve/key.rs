//! The one key of an `[auth.NAME]`, and which algorithms fit it.

use std::mem::take;
use std::path::PathBuf;

use super::process::secret_in;
use super::upstream::plain;
use crate::config::dials::HttpUrl;
use crate::config::field::Field;
use crate::config::file::AuthFile;
use crate::config::problem::{Span, Text, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::values::{Hidden, Parsed};
use crate::guard::{Algorithm, JwksUrl, KeyOptions};
use crate::limits;
use crate::secret::Secret;

/// How a secret is had.
const SECRET_REMEDY: &str = "write at least 32 bytes, as `openssl rand -hex 32` prints";

/// A key, or what stands in for one that is wrong.
pub(super) struct Key {
    pub(super) options: KeyOptions,
    pub(super) family: Family,
    /// The key of the config that names it.
    pub(super) name: &'static str,
    /// Where it stands.
    pub(super) place: Span,
    /// Exactly one was given.
    pub(super) is_known: bool,
}

/// Who can sign: whoever can check, or whoever has the other half of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Secret,
    Pair,
}

impl Family {
    pub(super) fn of(algorithm: Algorithm) -> Family {
        if algorithm.is_symmetric() { Family::Secret } else { Family::Pair }
    }

    pub(super) fn algorithms(self) -> Vec<Algorithm> {
        Algorithm::all().filter(|algorithm| Family::of(*algorithm) == self).collect()
    }

    /// What its keys are called.
    pub(super) fn key(self) -> &'static str {
        match self {
            Family::Secret => "secret",
            Family::Pair => "public key",
        }
    }

    /// What to write where an algorithm is another family's.
    pub(super) fn words(self) -> &'static str {
        match self {
            Family::Secret => {
                "`HS256`, `HS384` or `HS512`, or give a `public_key_file` or `jwks_url` in place of the secret"
            }
            Family::Pair => {
                "one as `RS256`, `PS256`, `ES256` or `EdDSA`, or give a `secret` in place of the public key"
            }
        }
    }
}

/// The key of the auth called `name`, taken out of `file`.
pub(super) fn key(name: &str, header: &Span, file: &mut AuthFile, text: &Text, problems: &mut Problems) -> Key {
    let given = given(file);
    let (key, place) = given.first().cloned().unwrap_or(("secret", header.clone()));
    if given.is_empty() {
        let instead =
            "add secret = \"${JWT_SECRET}\", or one of `secret_file`, `public_key_file`, `jwks_url` and `jwks_file`";
        problems.absent(header.clone(), Wrong::new(format!("auth {} has no key", quoted(name)), instead));
    }
    for (other, span) in given.iter().skip(1) {
        let what = format!("`{other}` stands beside `{key}`, and an auth has one key");
        problems.error(span.clone(), Wrong::new(what, "keep one of them"));
    }
    let keys = [
        secret(take(&mut file.secret), text, problems),
        secret_file(take(&mut file.secret_file), problems),
        named_file(take(&mut file.public_key_file), "a PEM file", problems).map(KeyOptions::PublicKeyFile),
        jwks(take(&mut file.jwks_url), problems),
        named_file(take(&mut file.jwks_file), "a JSON file", problems).map(KeyOptions::JwksFile),
    ];
    let options = keys.into_iter().flatten().next();
    let family = if key.starts_with("secret") { Family::Secret } else { Family::Pair };
    let is_known = given.len() == 1;
    let options = options.unwrap_or_else(|| KeyOptions::Secret(Secret::new(String::new())));
    Key { options, family, name: key, place, is_known }
}

/// Those that are given, in the order of the file.
fn given(file: &AuthFile) -> Vec<(&'static str, Span)> {
    let mut given: Vec<(&'static str, Span)> = [
        ("secret", file.secret.span()),
        ("secret_file", file.secret_file.span()),
        ("public_key_file", file.public_key_file.span()),
        ("jwks_url", file.jwks_url.span()),
        ("jwks_file", file.jwks_file.span()),
    ]
    .into_iter()
    .filter_map(|(key, span)| Some((key, span?)))
    .collect();
    given.sort_by_key(|(_, span)| span.start);
    given
}

fn secret(field: Field<Hidden>, text: &Text, problems: &mut Problems) -> Option<KeyOptions> {
    let (span, Hidden(secret)) = field.read(problems)?;
    let written = text.content.get(span.clone()).unwrap_or_default();
    match optional_variable(written).filter(|_| secret.is_empty()) {
        Some(variable) => Some(KeyOptions::Absent { variable: variable.to_owned() }),
        None => Some(judged(secret, span, problems)),
    }
}

fn secret_file(field: Field<Parsed<String>>, problems: &mut Problems) -> Option<KeyOptions> {
    let (span, Parsed(path)) = field.read(problems)?;
    let secret = secret_in(&path, &span, problems)?;
    Some(judged(secret, span, problems))
}

fn judged(secret: String, span: Span, problems: &mut Problems) -> KeyOptions {
    if secret.is_empty() {
        problems.error(span, Wrong::new("this secret is empty: everyone could sign tokens", SECRET_REMEDY));
    } else if secret.len() < limits::SECRET_SHORT {
        let what = format!(
            "this secret is shorter than {} bytes: who has a token can find it by trying",
            limits::SECRET_SHORT
        );
        problems.warning(span, Wrong::new(what, SECRET_REMEDY));
    }
    KeyOptions::Secret(Secret::new(secret))
}

/// The variable that a value is made of, where that may be unset: `"${NAME:-}"`.
fn optional_variable(written: &str) -> Option<&str> {
    let name = written.trim_matches(['"', '\'']).strip_prefix("${")?.strip_suffix(":-}")?;
    (!name.contains(['$', '{', '}', ':'])).then_some(name)
}

fn named_file(field: Field<Parsed<String>>, what: &str, problems: &mut Problems) -> Option<PathBuf> {
    let (span, Parsed(path)) = field.read(problems)?;
    if path.is_empty() {
        problems.error(span, Wrong::new("no file is named", format!("write the path of {what}")));
    }
    Some(PathBuf::from(path))
}

fn jwks(field: Field<Parsed<HttpUrl>>, problems: &mut Problems) -> Option<KeyOptions> {
    let Parsed(HttpUrl(dial)) = field.value(problems)?;
    // No `[upstream.NAME]` has a name like this.
    let upstream = Box::new(plain(dial.url.clone(), vec![dial.server]));
    Some(KeyOptions::JwksUrl(JwksUrl { upstream, path: dial.target, url: dial.url }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_may_be_left_out_by_one_variable_alone() {
        for (written, expected) in [
            ("\"${JWT_SECRET:-}\"", Some("JWT_SECRET")),
            ("'${A:-}'", Some("A")),
            ("\"${A}\"", None),
            ("\"${A:-b}\"", None),
            ("\"${A:-}${B:-}\"", None),
            ("\"\"", None),
        ] {
            assert_eq!(optional_variable(written), expected, "{written}");
        }
    }
}
