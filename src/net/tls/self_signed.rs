//! A listener's own certificate, made on first start and kept, so that a browser's exception outlives a restart.
//!
//! Owns: `self-signed.pem` and `self-signed.key` in the listener's folder, under a lock on that folder.
//! Never: a CA, or a certificate that is trusted by itself.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;

use super::error::{Part, TlsError};
use super::files::{self, CERT_MODE, KEY_MODE};
use super::name::Name;
use super::pair::{Age, Pair};
use super::{PairFiles, issue};
use crate::limits;

/// Which names, and where the certificate is kept.
#[derive(Debug)]
pub(super) struct SelfSigned<'a> {
    names: Vec<Name>,
    folder: &'a Path,
    files: PairFiles,
    provider: &'a CryptoProvider,
}

/// The two files kept in `folder`.
pub(super) fn kept_in(folder: &Path) -> PairFiles {
    PairFiles { cert: folder.join("self-signed.pem"), key: folder.join("self-signed.key") }
}

impl<'a> SelfSigned<'a> {
    /// # Errors
    ///
    /// When a name cannot stand in a certificate, or there is none.
    pub(super) fn new(
        names: &[String],
        folder: &'a Path,
        provider: &'a CryptoProvider,
    ) -> Result<SelfSigned<'a>, TlsError> {
        let names = Name::parse_all(names).map_err(TlsError::Name)?;
        Ok(SelfSigned { names, folder, files: kept_in(folder), provider })
    }

    /// The certificate kept, where it is good; else a new one, kept where the folder can be written.
    ///
    /// # Errors
    ///
    /// When a certificate cannot be made at all.
    pub(super) fn obtain(&self, now: SystemTime) -> Result<Pair, TlsError> {
        // Two processes that start at once on one folder must not mix their files.
        let locked = self.lock();
        let found = Pair::read(0, &self.files, self.provider).ok();
        match found {
            Some(pair) if self.serves(&pair, now) => Ok(pair),
            Some(_) | None => self.make(found.as_ref(), locked, now),
        }
    }

    /// What a running listener should serve next: the one kept where that is good, else `current` while that is, else
    /// a new one. Two listeners that want different names of one folder so never make certificates in turn.
    ///
    /// # Errors
    ///
    /// As [`SelfSigned::obtain`].
    pub(super) fn renew(&self, current: &Pair, now: SystemTime) -> Result<Pair, TlsError> {
        let kept = Pair::read(0, &self.files, self.provider).ok().filter(|pair| self.serves(pair, now));
        match kept {
            Some(pair) => Ok(pair),
            None if self.serves(current, now) => Ok(current.clone()),
            None => self.obtain(now),
        }
    }

    /// Covers the names, and will for a while.
    fn serves(&self, pair: &Pair, now: SystemTime) -> bool {
        pair.leaf.age(now) == Age::Valid
            && pair.leaf.age(now + limits::CERT_RENEW) == Age::Valid
            && self.names.iter().all(|name| pair.leaf.names.contains(name))
    }

    fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(self.folder)?;
        let folder = File::open(self.folder)?;
        // A file system that knows no locks is no reason to keep nothing.
        let _ = folder.lock();
        Ok(folder)
    }

    fn make(&self, found: Option<&Pair>, locked: io::Result<File>, now: SystemTime) -> Result<Pair, TlsError> {
        let made = issue::self_signed(&self.names_with(found), now).map_err(TlsError::Issue)?;
        let key = made.key_pem();
        let kept = locked.and_then(|_lock| {
            files::write(&self.files.key, &key, KEY_MODE)?;
            files::write(&self.files.cert, &made.cert, CERT_MODE)
        });
        let names = self.names.iter().map(Name::to_string).collect::<Vec<_>>().join(", ");
        let file = self.files.cert.display();
        match kept {
            Ok(()) => tracing::info!("made a self-signed certificate for {names}, kept in {file}"),
            Err(error) => tracing::warn!(
                "made a self-signed certificate for {names} that lasts until the next restart: cannot write {file}: {error}"
            ),
        }
        Pair::parse(made.cert.as_bytes(), key.as_bytes(), self.provider).map_err(|(part, fault)| TlsError::Pair {
            index: 0,
            part,
            path: self.path(part),
            fault,
        })
    }

    /// Our names and those of the certificate found: another listener may keep its own in the same folder.
    fn names_with(&self, found: Option<&Pair>) -> Vec<Name> {
        let mut names = self.names.clone();
        for name in found.iter().flat_map(|pair| &pair.leaf.names) {
            if names.len() < limits::CERT_NAMES && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn path(&self, part: Part) -> PathBuf {
        match part {
            Part::Cert => self.files.cert.clone(),
            Part::Key => self.files.key.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::provider;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);

    fn obtain(names: &[&str], folder: &Path, now: SystemTime) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        SelfSigned::new(&names, folder, &provider()).unwrap().obtain(now).unwrap()
    }

    fn renew(names: &[&str], folder: &Path, current: &Pair, now: SystemTime) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        SelfSigned::new(&names, folder, &provider()).unwrap().renew(current, now).unwrap()
    }

    #[test]
    fn it_is_made_once_and_found_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("certs");
        let now = SystemTime::now();
        let made = obtain(&["localhost", "127.0.0.1"], &folder, now);
        assert!(obtain(&["localhost", "127.0.0.1"], &folder, now).same_chain(&made));
        assert!(obtain(&["LOCALHOST"], &folder, now).same_chain(&made));
        let mode = |file: &str| fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("self-signed.key"), mode("self-signed.pem") & 0o600), (0o600, 0o600));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn it_is_made_anew_when_it_does_not_serve() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let now = SystemTime::now();
        let mut last = obtain(&["localhost"], folder, now);
        let mut check = |names: &[&str], now, what: &str| {
            let next = obtain(names, folder, now);
            assert!(!next.same_chain(&last), "{what}");
            assert!(obtain(names, folder, now).same_chain(&next), "{what}: kept");
            last = next;
        };
        check(&["localhost", "dash.test"], now, "another name");
        check(&["localhost"], now + 397 * DAY, "expired");
        check(&["localhost"], now, "not valid yet");
        check(&["localhost"], now + 370 * DAY, "about to expire");
        fs::write(folder.join("self-signed.key"), "no key").unwrap();
        check(&["localhost"], now + 370 * DAY, "unreadable");
        fs::remove_file(folder.join("self-signed.pem")).unwrap();
        check(&["localhost"], now + 370 * DAY, "missing");
    }

    #[test]
    fn two_listeners_of_one_folder_come_to_share_a_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let a = obtain(&["a.test"], folder.path(), now);
        let b = obtain(&["b.test"], folder.path(), now);
        assert_eq!(b.leaf.names, ["b.test", "a.test"].map(|name| Name::parse(name).unwrap()));
        assert!(obtain(&["a.test"], folder.path(), now).same_chain(&b));
        assert!(renew(&["a.test"], folder.path(), &a, now).same_chain(&b));
    }

    #[test]
    fn names_of_earlier_certificates_are_kept_up_to_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let many: Vec<_> = (0..limits::CERT_NAMES).map(|number| format!("n{number}.test")).collect();
        obtain(&many.iter().map(String::as_str).collect::<Vec<_>>(), folder.path(), now);
        let next = obtain(&["one.more"], folder.path(), now);
        assert_eq!(next.leaf.names.len(), limits::CERT_NAMES);
        assert_eq!(next.leaf.names.first(), Some(&Name::Dns("one.more".to_owned())));
    }

    #[test]
    fn a_running_listener_keeps_what_it_serves_while_that_is_good() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let current = obtain(&["localhost"], folder.path(), now);
        fs::remove_file(folder.path().join("self-signed.pem")).unwrap();
        assert!(renew(&["localhost"], folder.path(), &current, now).same_chain(&current));
        assert!(!folder.path().join("self-signed.pem").exists());
        let later = renew(&["localhost"], folder.path(), &current, now + 380 * DAY);
        assert!(!later.same_chain(&current));
        assert!(obtain(&["localhost"], folder.path(), now + 380 * DAY).same_chain(&later));
    }

    #[test]
    fn a_folder_that_cannot_be_written_gives_one_in_memory() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let pair = obtain(&["localhost"], &file.join("certs"), SystemTime::now());
        assert_eq!(pair.leaf.names, [Name::Dns("localhost".to_owned())]);
        assert!(renew(&["localhost"], &file.join("certs"), &pair, SystemTime::now()).same_chain(&pair));
    }

    #[test]
    fn processes_that_start_together_agree() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let made: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| obtain(&["localhost"], folder.path(), now))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(made.iter().all(|pair| pair.same_chain(&made[0])));
    }

    #[test]
    fn a_name_that_no_certificate_can_carry_is_told() {
        let error = SelfSigned::new(&["a b".to_owned()], Path::new("/"), &provider()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "self_signed: \"a b\" is no name for a certificate; write DNS names, *.wildcards or IP addresses"
        );
    }
}
