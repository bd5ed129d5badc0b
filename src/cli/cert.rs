//! `steadfeed cert`: a development CA, and a certificate signed by it.
//!
//! Owns: `ca.pem` and `ca.key`, made once and used again, and each leaf's `NAME.pem` (with its chain) and `NAME.key`,
//! made anew each time. Never: writes over a CA, also not one that is of no use.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;

use crate::net::tls::files::{self, CERT_MODE, KEY_MODE};
use crate::net::tls::issue;
use crate::net::tls::name::{BadName, Name};
use crate::net::tls::pair::{Age, Pair};
use crate::net::tls::provider;

/// The arguments of `cert`.
#[derive(Debug, Clone, Args)]
pub struct CertArgs {
    /// A DNS name, *.wildcard or IP address for the certificate; may be given again. localhost brings its addresses
    #[arg(long = "name", value_name = "NAME", default_value = "localhost")]
    pub names: Vec<String>,
    /// The folder to write to; made if it is missing
    #[arg(long, value_name = "FOLDER", default_value = "certs")]
    pub out: PathBuf,
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    #[error("{0}; write a DNS name, a *.wildcard or an IP address")]
    Name(#[from] BadName),
    #[error("cannot write {}: {source}; choose another folder with --out", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// There is a CA, and it cannot sign.
    #[error("{} {why}; move it and its key away to have a new one made, or choose another folder with --out", path.display())]
    Ca { path: PathBuf, why: String },
    #[error("a certificate could not be made: {0}")]
    Issue(#[from] rcgen::Error),
}

/// A CA's two texts, and when it ends.
struct Ca {
    cert: String,
    key: String,
    not_after: i64,
    made: bool,
}

/// Makes the certificates; gives what to tell: the files, how to trust the CA, the lines for the config.
///
/// # Errors
///
/// When a name is none, the folder cannot be written, or the CA in it is of no use. A CA once written stays.
pub fn run(args: &CertArgs) -> Result<String, CertError> {
    run_at(args, SystemTime::now())
}

fn run_at(args: &CertArgs, now: SystemTime) -> Result<String, CertError> {
    let names = names(&args.names)?;
    let out = args.out.as_path();
    fs::create_dir_all(out).map_err(|source| CertError::Write { path: out.to_owned(), source })?;
    let ca = Ca::obtain(out, now)?;
    let leaf = issue::signed_by(&ca.cert, &ca.key, ca.not_after, &names, now)?;
    let stem = stem(&names);
    let (cert, key) = (out.join(format!("{stem}.pem")), out.join(format!("{stem}.key")));
    write(&key, &leaf.key_pem(), KEY_MODE)?;
    write(&cert, &leaf.cert, CERT_MODE)?;
    Ok(report(out, ca.made, &names, &cert, &key))
}

impl Ca {
    /// The CA in `out`, made now if there is none.
    fn obtain(out: &Path, now: SystemTime) -> Result<Ca, CertError> {
        let (cert_path, key_path) = (out.join("ca.pem"), out.join("ca.key"));
        let of_no_use = |path: &Path, why: String| CertError::Ca { path: path.to_owned(), why };
        let read = |path: &Path| match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(of_no_use(path, format!("cannot be read: {error}"))),
        };
        let (cert, key, made) = match (read(&cert_path)?, read(&key_path)?) {
            (Some(cert), Some(key)) => (cert, key, false),
            (Some(_), None) => return Err(of_no_use(&cert_path, "stands there without its key ca.key".to_owned())),
            (None, Some(_)) => {
                return Err(of_no_use(&key_path, "stands there without its certificate ca.pem".to_owned()));
            }
            (None, None) => {
                let ca = issue::development_ca(now)?;
                write(&key_path, &ca.key_pem(), KEY_MODE)?;
                write(&cert_path, &ca.cert, CERT_MODE)?;
                (ca.cert.clone(), ca.key_pem(), true)
            }
        };
        let pair = Pair::parse(cert.as_bytes(), key.as_bytes(), &provider())
            .map_err(|(part, fault)| of_no_use(&cert_path, format!("is of no use, for its {part}: {fault}")))?;
        if !pair.leaf.is_ca {
            return Err(of_no_use(&cert_path, "is not the certificate of a CA".to_owned()));
        }
        match pair.leaf.age(now) {
            Age::Valid => Ok(Ca { cert, key, not_after: pair.leaf.not_after, made }),
            Age::Expired => Err(of_no_use(&cert_path, format!("expired at {}", pair.leaf.expires()))),
            Age::NotYetValid => Err(of_no_use(&cert_path, "is not valid yet by this machine's clock".to_owned())),
        }
    }
}

/// The names as given, each once; whoever dials localhost may dial its addresses.
fn names(given: &[String]) -> Result<Vec<Name>, BadName> {
    let mut names = Vec::new();
    for name in Name::parse_all(given)? {
        let more: &[&str] = if name == Name::Dns("localhost".to_owned()) { &["127.0.0.1", "::1"] } else { &[] };
        let more = more.iter().map(|address| Name::parse(address)).collect::<Result<Vec<_>, _>>()?;
        for name in std::iter::once(name).chain(more) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// What the leaf's files are called: after the first name, but never like a file that is something else.
fn stem(names: &[Name]) -> String {
    let first = names.first().map_or_else(String::new, Name::to_string).replace('*', "_wildcard");
    if ["ca", "self-signed"].contains(&first.as_str()) { format!("{first}-leaf") } else { first }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertError> {
    files::write(path, text, mode).map_err(|source| CertError::Write { path: path.to_owned(), source })
}

fn report(out: &Path, made: bool, names: &[Name], cert: &Path, key: &Path) -> String {
    let ca = out.join("ca.pem");
    let ca_shown = ca.display();
    let names = names.iter().map(Name::to_string).collect::<Vec<_>>().join(", ");
    let quoted = |path: &Path| toml::Value::from(path.display().to_string()).to_string();
    let mut text = String::new();
    let what = if made { "a new development CA; keep its key to yourself" } else { "the development CA, as it was" };
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "{ca_shown}  {what}\n{}  a certificate for {names}, with its chain\n{}  its key\n",
        cert.display(),
        key.display(),
    );
    let _ = write!(
        text,
        "
Trust the CA, once a machine:
  Debian, Ubuntu   sudo cp {ca_shown} /usr/local/share/ca-certificates/steadfeed-dev.crt && sudo update-ca-certificates
  Fedora, Arch     sudo trust anchor {ca_shown}
  macOS            sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {ca_shown}
  Windows          certutil -addstore -f ROOT {ca_shown}
  Firefox          Settings, Certificates, View Certificates, Authorities, Import
  curl             curl --cacert {ca_shown} ...

In the config:
  [[listener]]
  address = \"127.0.0.1:8443\"
  [listener.tls]
  certificates = [{{ cert = {}, key = {} }}]
",
        quoted(cert),
        quoted(key),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::net::tls::PairFiles;
    use crate::net::tls::testing::{client, load, shake};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use std::time::Duration;

    fn args(names: &[&str], out: &Path) -> CertArgs {
        CertArgs { names: names.iter().map(|name| (*name).to_owned()).collect(), out: out.to_owned() }
    }

    fn read(out: &Path, name: &str) -> String {
        fs::read_to_string(out.join(name)).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_trusts_the_ca_believes_the_leaf_for_its_names_alone() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path().join("certs");
        run(&args(&["localhost", "*.dash.test"], &out)).unwrap();
        let tls = load(&[PairFiles { cert: out.join("localhost.pem"), key: out.join("localhost.key") }]);
        let trusting = || Arc::new(client(&[&out.join("ca.pem")], &[&rustls::version::TLS13, &rustls::version::TLS12]));
        for host in ["localhost", "127.0.0.1", "::1", "a.dash.test"] {
            shake(&tls, trusting(), host).await.unwrap();
        }
        shake(&tls, trusting(), "other.test").await.unwrap_err();
        let mode = |name: &str| fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("ca.key"), mode("localhost.key")), (0o600, 0o600));
    }

    #[test]
    fn the_ca_is_used_again_and_the_leaf_made_anew() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path();
        let first = run(&args(&["localhost"], out)).unwrap();
        assert!(first.contains("a new development CA"), "{first}");
        let (ca, ca_key, leaf) = (read(out, "ca.pem"), read(out, "ca.key"), read(out, "localhost.pem"));
        let second = run(&args(&["localhost"], out)).unwrap();
        assert!(second.contains("the development CA, as it was"), "{second}");
        assert_eq!((read(out, "ca.pem"), read(out, "ca.key")), (ca.clone(), ca_key));
        assert_ne!(read(out, "localhost.pem"), leaf);
        assert!(leaf.ends_with(&ca), "the chain is in the file");
    }

    #[test]
    fn a_leaf_never_outlives_its_ca() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path();
        let start = SystemTime::now();
        let read = |name: &str| {
            let (cert, key) = (read(out, &format!("{name}.pem")), read(out, &format!("{name}.key")));
            Pair::parse(cert.as_bytes(), key.as_bytes(), &provider()).unwrap().leaf
        };
        run_at(&args(&["a.test"], out), start).unwrap();
        assert_eq!(read("ca").not_after - read("ca").not_before, limits::DEV_CA_LIFE.as_secs().cast_signed());
        assert!(read("a.test").not_after < read("ca").not_after);
        run_at(&args(&["a.test"], out), start + limits::DEV_CA_LIFE - limits::CERT_LIFE / 2).unwrap();
        assert_eq!(read("a.test").not_after, read("ca").not_after);
    }

    #[track_caller]
    fn refused(out: &Path, now: SystemTime, expected: &str) {
        let before: Vec<_> = ["ca.pem", "ca.key"].map(|name| fs::read(out.join(name)).ok()).into();
        let error = run_at(&args(&["localhost"], out), now).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} has {expected:?}");
        let after: Vec<_> = ["ca.pem", "ca.key"].map(|name| fs::read(out.join(name)).ok()).into();
        assert_eq!(before, after, "the CA is as it was");
        assert!(!out.join("localhost.pem").exists());
    }

    #[test]
    fn a_ca_that_cannot_sign_is_told_and_left_alone() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path();
        let now = SystemTime::now();
        let ca = issue::development_ca(now).unwrap();
        let put = |cert: &str, key: &str| {
            fs::write(out.join("ca.pem"), cert).unwrap();
            fs::write(out.join("ca.key"), key).unwrap();
        };
        put(&ca.cert, &issue::development_ca(now).unwrap().key_pem());
        refused(out, now, "ca.pem is of no use, for its key: the key does not match the certificate; move it");
        put("nonsense", &ca.key_pem());
        refused(out, now, "for its cert: there is no certificate in it");
        let leaf = issue::self_signed(&[Name::Dns("a.test".to_owned())], now).unwrap();
        put(&leaf.cert, &leaf.key_pem());
        refused(out, now, "ca.pem is not the certificate of a CA");
        put(&ca.cert, &ca.key_pem());
        refused(out, now + limits::DEV_CA_LIFE, "ca.pem expired at ");
        refused(out, now - Duration::from_secs(10 * 86_400), "is not valid yet");
        fs::remove_file(out.join("ca.key")).unwrap();
        refused(out, now, "ca.pem stands there without its key");
        fs::rename(out.join("ca.pem"), out.join("ca.key")).unwrap();
        refused(out, now, "ca.key stands there without its certificate");
    }

    #[test]
    fn what_is_printed_can_be_pasted() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path().join("with \"quotes\"");
        let text = run(&args(&["dash.test"], &out)).unwrap();
        let lines = text.split_once("In the config:\n").unwrap().1;
        let config: toml::Table = lines.parse().unwrap();
        let pair = &config["listener"][0]["tls"]["certificates"][0];
        assert_eq!(pair["cert"].as_str().unwrap(), out.join("dash.test.pem").to_str().unwrap());
        assert!(Path::new(pair["key"].as_str().unwrap()).exists());
    }

    #[test]
    fn files_are_called_after_the_first_name_and_never_like_the_ca() {
        for (name, expected) in [
            ("Dash.test", "dash.test"),
            ("*.dash.test", "_wildcard.dash.test"),
            ("[::1]", "::1"),
            ("ca", "ca-leaf"),
            ("self-signed", "self-signed-leaf"),
        ] {
            assert_eq!(stem(&[Name::parse(name).unwrap()]), expected);
        }
    }

    #[test]
    fn what_is_no_name_is_told_before_anything_is_written() {
        let out = tempfile::tempdir().unwrap();
        let error = run(&args(&["../evil"], &out.path().join("certs"))).unwrap_err();
        assert!(error.to_string().starts_with("\"../evil\" is no name for a certificate; write"), "{error}");
        assert!(!out.path().join("certs").exists());
    }
}
