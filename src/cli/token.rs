//! `steadfeed token`: signs a token that an `[auth.NAME]` finds good.
//!
//! Owns: which key signs: one given, or the secret of the config. Never: prints anything else than the token to stdout.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueHint};
use jiff::Timestamp;
use serde_json::Value;

use super::{ConfigArg, complain, print};
use crate::bounded;
use crate::config::{self, Chosen, Surroundings};
use crate::guard::{AuthOptions, SignError, Signer};
use crate::limits;
use crate::secret::Secret;

pub const EXAMPLES: &str = "\
Examples:
  steadfeed token --auth viewers --sub ann                      with the secret of the config, good for an hour
  steadfeed token --auth viewers --sub ann --ttl 5m --claim role=operator --claim 'groups=[\"a\",\"b\"]'
  steadfeed token --auth viewers --sub ann --key-file signing.pem
                                                                with a private key, where the config has the public one
  steadfeed watch wss://localhost:8443/api/system/ws --token \"$(steadfeed token --auth viewers --sub me)\"";

/// The arguments of `token`.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// The [auth.NAME] of the config that is to find it good
    #[arg(long, value_name = "NAME")]
    pub auth: String,
    /// Whom it speaks for: the claim `sub`
    #[arg(long, value_name = "SUBJECT")]
    pub sub: String,
    /// How long it is good, as 90s, 5m or 1h [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub ttl: Option<Duration>,
    /// A further claim; the value is JSON, or else text. May be given again
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    pub claims: Vec<(String, Value)>,
    /// A file that holds the secret, in place of the config's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "key_file")]
    pub secret_file: Option<PathBuf>,
    /// A PEM file that holds the private key (PKCS#8, or PKCS#1 for RSA)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArg,
}

/// What is printed.
#[derive(Debug)]
struct Made<'a> {
    token: Secret,
    /// Claims that the auth requires, and that the token lacks.
    missing: Vec<&'a (String, Value)>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the config has no [auth.{name}]; {}", known(.others))]
    NoAuth { name: String, others: Vec<String> },
    #[error("{}: {error}", path.display())]
    Secret { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Prints a token; 1 where there is none.
#[must_use]
pub fn run(args: &TokenArgs) -> ExitCode {
    let surroundings = Surroundings::real();
    let chosen = Chosen::choose(args.config.config.as_deref(), surroundings.variable);
    let loaded = match config::load(&chosen, &surroundings) {
        Ok(loaded) => loaded,
        Err(refused) => {
            complain(refused.to_string().trim_end());
            return ExitCode::FAILURE;
        }
    };
    match make(args, &loaded.config.auths, Timestamp::now()) {
        Ok(Made { token, missing }) => {
            for (name, value) in missing {
                complain(&format!("this token is refused: the auth requires a claim; add --claim '{name}={value}'"));
            }
            print(&format!("{}\n", token.reveal()))
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn make<'a>(args: &TokenArgs, auths: &'a [AuthOptions], now: Timestamp) -> Result<Made<'a>, TokenError> {
    let auth = auths.iter().find(|auth| auth.name == args.auth).ok_or_else(|| TokenError::NoAuth {
        name: args.auth.clone(),
        others: auths.iter().map(|auth| auth.name.clone()).collect(),
    })?;
    let signer = match (&args.secret_file, &args.key_file) {
        (Some(path), _) => Signer::with_secret(auth, &secret(path)?)?,
        (None, Some(path)) => Signer::with_key_file(auth, path)?,
        (None, None) => Signer::configured(auth)?,
    };
    let token = signer.token(auth, &args.sub, args.ttl.unwrap_or(limits::TOKEN_TTL), &args.claims, now)?;
    let lacks = |(name, _): &&(String, Value)| name != "sub" && !args.claims.iter().any(|(given, _)| given == name);
    Ok(Made { token, missing: auth.require.iter().filter(lacks).collect() })
}

/// As the config reads its secrets' files: without the line's end.
fn secret(path: &Path) -> Result<Secret, TokenError> {
    let failed = |error| TokenError::Secret { path: path.to_owned(), error };
    let text = bounded::read_line(path, limits::SECRET_SIZE).map_err(failed)?;
    if text.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")));
    }
    Ok(Secret::new(text))
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("a claim needs a name: write NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

fn known(others: &[String]) -> String {
    if others.is_empty() {
        "it has none at all: name another config with --config".to_owned()
    } else {
        format!("it has {}", others.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use jsonwebtoken::dangerous::insecure_decode;
    use serde_json::json;
    use tempfile::NamedTempFile;

    use super::*;
    use crate::guard::{Algorithm, Carrier, KeyOptions};

    const NOW: i64 = 1_700_000_000;

    fn auth() -> AuthOptions {
        AuthOptions {
            name: "viewers".to_owned(),
            key: KeyOptions::Secret(Secret::new("s".repeat(32))),
            algorithms: vec![Algorithm::Hs256],
            issuer: Some("https://id.test".to_owned()),
            audience: None,
            leeway: Duration::ZERO,
            require: vec![("role".to_owned(), json!("operator"))],
            from: vec![Carrier::Header],
        }
    }

    fn args(auth: &str) -> TokenArgs {
        TokenArgs {
            auth: auth.to_owned(),
            sub: "ann".to_owned(),
            ttl: None,
            claims: Vec::new(),
            secret_file: None,
            key_file: None,
            config: ConfigArg::default(),
        }
    }

    fn claims(args: &TokenArgs) -> Value {
        let auths = [auth()];
        let Made { token, .. } = make(args, &auths, Timestamp::from_second(NOW).unwrap()).unwrap();
        insecure_decode::<Value>(token.reveal()).unwrap().claims
    }

    #[test]
    fn a_token_is_good_for_an_hour_and_says_what_its_auth_asks_for() {
        let expected = json!({ "sub": "ann", "iss": "https://id.test", "iat": NOW, "exp": NOW + 3600 });
        assert_eq!(claims(&args("viewers")), expected);
    }

    #[test]
    fn claims_are_json_or_else_text() {
        let given =
            ["role=operator", "level=3", "groups=[\"a\"]", "note=a=b", "empty="].map(|text| claim(text).unwrap());
        let args = TokenArgs { claims: given.to_vec(), ttl: Some(Duration::from_secs(60)), ..args("viewers") };
        let expected = json!({
            "sub": "ann", "iss": "https://id.test", "iat": NOW, "exp": NOW + 60,
            "role": "operator", "level": 3, "groups": ["a"], "note": "a=b", "empty": "",
        });
        assert_eq!(claims(&args), expected);
        assert_eq!(claim("=x"), Err("a claim needs a name: write NAME=VALUE".to_owned()));
    }

    #[test]
    fn a_claim_that_is_required_and_not_given_is_told() {
        let (auths, now) = ([auth()], Timestamp::UNIX_EPOCH);
        let made = make(&args("viewers"), &auths, now).unwrap();
        assert_eq!(made.missing, [&("role".to_owned(), json!("operator"))]);
        let given = TokenArgs { claims: vec![("role".to_owned(), json!("operator"))], ..args("viewers") };
        assert!(make(&given, &auths, now).unwrap().missing.is_empty());
    }

    #[test]
    fn a_secret_in_a_file_ends_before_its_line_does() {
        let auths = [auth()];
        let signed = |text: &str| {
            let mut file = NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let args = TokenArgs { secret_file: Some(file.path().to_owned()), ..args("viewers") };
            let made = make(&args, &auths, Timestamp::UNIX_EPOCH);
            made.map(|made| made.token).map_err(|error| error.to_string())
        };
        assert_eq!(signed("abc\r\n"), signed("abc"));
        assert_ne!(signed("abc"), signed("abd"));
        assert_ne!(signed("abc\n\n"), signed("abc"), "one line's end, as the config has it");
        assert!(signed("\n").unwrap_err().ends_with("the file is empty"));
        let most = "a".repeat(limits::SECRET_SIZE);
        assert!(signed(&most).is_ok());
        assert!(signed(&format!("{most}a")).unwrap_err().contains("it is larger than"));
    }

    #[test]
    fn an_auth_that_does_not_exist_is_told_with_those_that_do() {
        let told =
            |auths: &[AuthOptions]| make(&args("editors"), auths, Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert_eq!(told(&[auth()]), "the config has no [auth.editors]; it has viewers");
        assert_eq!(
            told(&[]),
            "the config has no [auth.editors]; it has none at all: name another config with --config"
        );
    }
}
