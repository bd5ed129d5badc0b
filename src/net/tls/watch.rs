//! Re-reads certificates when their files change, on a thread of its own.
//!
//! Owns: which folders are watched (editors, certbot and Kubernetes replace files and links, so a file by itself tells
//! nothing), when their changes have settled, and the log line. Never: decides what is served; [`Tls::reload`] does.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode};
use tokio::time::Instant;

use super::{Changed, Tls, TlsError};
use crate::limits;

/// The thread that watches; dropping this ends it.
#[derive(Debug)]
pub struct Watcher {
    stopped: Arc<AtomicBool>,
    wake: SyncSender<()>,
}

/// How the thread waits.
#[derive(Debug, Clone, Copy)]
struct Pace {
    quiet: Duration,
    at_most: Duration,
    recheck: Duration,
}

/// What the thread holds.
struct Watch {
    listeners: Vec<Tls>,
    folders: BTreeSet<PathBuf>,
    /// `None` where the system gives no more of them: then only the recheck is left.
    notifier: Option<RecommendedWatcher>,
    stopped: Arc<AtomicBool>,
    wakes: Receiver<()>,
    pace: Pace,
}

impl Watcher {
    /// Watches the files of all `listeners`.
    ///
    /// # Errors
    ///
    /// When no thread can be started. A system that cannot watch is a warning in the log.
    pub fn start(listeners: Vec<Tls>) -> io::Result<Watcher> {
        let pace =
            Pace { quiet: limits::CERT_DEBOUNCE, at_most: limits::CERT_DEBOUNCE_MAX, recheck: limits::CERT_RECHECK };
        Watcher::start_with(listeners, pace, || {})
    }

    /// `after` runs after each time that all were read.
    fn start_with(listeners: Vec<Tls>, pace: Pace, after: impl Fn() + Send + 'static) -> io::Result<Watcher> {
        // One place: a change while one is waiting to be seen is seen with it.
        let (wake, wakes) = sync_channel(1);
        let stopped = Arc::new(AtomicBool::new(false));
        let notifier = notifier(wake.clone());
        let folders = BTreeSet::new();
        let watch = Watch { listeners, folders, notifier, stopped: Arc::clone(&stopped), wakes, pace };
        thread::Builder::new().name("certificates".to_owned()).spawn(move || watch.run(after))?;
        Ok(Watcher { stopped, wake })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Full means that it is about to look anyway.
        let _ = self.wake.try_send(());
    }
}

impl Watch {
    /// Watches first and reads then, so that nothing falls between; the first round is for what changed since the load.
    fn run(mut self, after: impl Fn()) {
        loop {
            self.watch_folders();
            for tls in &self.listeners {
                tell(&tls.reload());
            }
            after();
            // Ended by a change, by the recheck, or by the Watcher's drop.
            let _ = self.wakes.recv_timeout(self.pace.recheck);
            if self.stopped.load(Ordering::Acquire) {
                return;
            }
            settle(&self.wakes, self.pace);
        }
    }

    /// Watches anew each time: a folder may have been replaced by another of its name, or a link now leads elsewhere.
    fn watch_folders(&mut self) {
        let Some(notifier) = &mut self.notifier else { return };
        for folder in std::mem::take(&mut self.folders) {
            // Gone already, where the folder is.
            let _ = notify::Watcher::unwatch(notifier, &folder);
        }
        self.folders = self.listeners.iter().flat_map(Tls::files).flat_map(folders).collect();
        for folder in &self.folders {
            if let Err(error) = notify::Watcher::watch(notifier, folder, RecursiveMode::NonRecursive) {
                let folder = folder.display();
                tracing::warn!("cannot watch {folder} for new certificates: {error}; they are re-read every hour");
            }
        }
    }
}

fn notifier(wake: SyncSender<()>) -> Option<RecommendedWatcher> {
    let seen = move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, is_change) {
            let _ = wake.try_send(());
        }
    };
    notify::recommended_watcher(seen)
        .inspect_err(|error| {
            tracing::warn!("cannot watch for new certificates: {error}; they are re-read every hour");
        })
        .ok()
}

/// Not a mere look at a file: our own reading is one.
fn is_change(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Access(_)) || event.kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
}

/// Returns once nothing changed for `pace.quiet`, or soon after `pace.at_most`.
fn settle(wakes: &Receiver<()>, pace: Pace) {
    let end = Instant::now() + pace.at_most;
    while Instant::now() < end && wakes.recv_timeout(pace.quiet).is_ok() {}
}

/// Writes the one line about a reload; none where nothing changed.
fn tell(outcome: &Result<Changed, TlsError>) {
    match outcome {
        Ok(Changed::Same) => {}
        Ok(Changed::Replaced { expires }) => {
            tracing::info!(%expires, "certificates replaced; open connections stay as they are");
        }
        Err(error) => tracing::error!("certificates not replaced, the last good ones are still served: {error}"),
    }
}

/// The folders in which the way to `file` can change: its own, and that of each symbolic link on the way.
fn folders(file: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut links = 0;
    let mut ways = vec![std::path::absolute(file).unwrap_or_else(|_| file.to_owned())];
    while let Some(way) = ways.pop() {
        found.extend(way.ancestors().skip(1).find(|folder| folder.is_dir()).map(Path::to_owned));
        for link in way.ancestors() {
            let (Ok(target), Some(parent)) = (fs::read_link(link), link.parent()) else { continue };
            links += 1;
            if links > limits::CERT_LINKS {
                return found;
            }
            found.insert(parent.to_owned());
            let rest = way.strip_prefix(link).unwrap_or(Path::new(""));
            ways.push(if rest.as_os_str().is_empty() { parent.join(target) } else { parent.join(target).join(rest) });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::testing::{expect_name, issued, load, write_pair};
    use std::os::unix::fs::symlink;
    use std::sync::mpsc::channel;

    const PACE: Pace =
        Pace { quiet: Duration::from_millis(20), at_most: Duration::from_secs(5), recheck: Duration::from_secs(3600) };
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Starts a watcher and waits until it watches; the receiver tells of each later round.
    fn watch(tls: &Tls) -> (Watcher, Receiver<()>) {
        let (done, rounds) = channel();
        let watcher = Watcher::start_with(vec![tls.clone()], PACE, move || {
            let _ = done.send(());
        })
        .unwrap();
        rounds.recv_timeout(DEADLINE).unwrap();
        (watcher, rounds)
    }

    #[track_caller]
    fn until_served(tls: &Tls, rounds: &Receiver<()>, name: &str) {
        while !expect_name(tls, name) {
            rounds.recv_timeout(DEADLINE).expect("the change is seen");
        }
    }

    #[test]
    fn a_certificate_replaced_by_rename_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let tls = load(&[write_pair(folder.path(), "site", &["old.test"])]);
        let (_watcher, rounds) = watch(&tls);
        write_pair(folder.path(), "site", &["new.test"]);
        until_served(&tls, &rounds, "new.test");
    }

    #[test]
    fn a_folder_swapped_behind_a_link_is_seen_as_kubernetes_does_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, name) in [("..1", "old.test"), ("..2", "new.test")] {
            fs::create_dir(at(version)).unwrap();
            write_pair(&at(version), "tls", &[name]);
        }
        symlink("..1", at("..data")).unwrap();
        for file in ["tls.pem", "tls.key"] {
            symlink(Path::new("..data").join(file), at(file)).unwrap();
        }
        let tls = load(&[super::super::PairFiles { cert: at("tls.pem"), key: at("tls.key") }]);
        let (_watcher, rounds) = watch(&tls);
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        until_served(&tls, &rounds, "new.test");
        // The folder that the link leads to now is watched too.
        write_pair(&at("..2"), "tls", &["third.test"]);
        until_served(&tls, &rounds, "third.test");
    }

    #[test]
    fn a_bad_pair_is_passed_over_and_the_next_good_one_served() {
        let folder = tempfile::tempdir().unwrap();
        let files = write_pair(folder.path(), "site", &["old.test"]);
        let tls = load(std::slice::from_ref(&files));
        let (_watcher, rounds) = watch(&tls);
        fs::write(&files.key, issued(&["other.test"]).key_pem()).unwrap();
        rounds.recv_timeout(DEADLINE).expect("the change is seen");
        assert!(expect_name(&tls, "old.test"));
        write_pair(folder.path(), "site", &["new.test"]);
        until_served(&tls, &rounds, "new.test");
    }

    #[test]
    fn our_own_reading_and_watching_wakes_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let tls = load(&[write_pair(folder.path(), "site", &["old.test"])]);
        let (_watcher, rounds) = watch(&tls);
        write_pair(folder.path(), "site", &["new.test"]);
        until_served(&tls, &rounds, "new.test");
        let mut more = 0;
        while rounds.recv_timeout(10 * PACE.quiet).is_ok() {
            more += 1;
            assert!(more < 10, "it goes round by itself");
        }
    }

    /// What `tell` writes, as lines of text.
    fn told(outcome: &Result<Changed, TlsError>) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);
        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).without_time().with_target(false);
        let log = log.with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, || tell(outcome));
        let lines = lines.0.lock().unwrap();
        String::from_utf8(lines.clone()).unwrap()
    }

    #[test]
    fn a_reload_that_changes_something_or_fails_is_one_line() {
        assert_eq!(told(&Ok(Changed::Same)), "");
        assert_eq!(
            told(&Ok(Changed::Replaced { expires: "2030-01-01T00:00:00Z".to_owned() })),
            " INFO certificates replaced; open connections stay as they are expires=2030-01-01T00:00:00Z\n"
        );
        assert_eq!(
            told(&Err(TlsError::NoPairs)),
            "ERROR certificates not replaced, the last good ones are still served: certificates is empty; \
             list at least one { cert = \"...\", key = \"...\" }\n"
        );
    }

    #[test]
    fn the_thread_ends_with_its_watcher() {
        let folder = tempfile::tempdir().unwrap();
        let tls = load(&[write_pair(folder.path(), "site", &["a.test"])]);
        let (watcher, rounds) = watch(&tls);
        drop(watcher);
        // The sender goes with the thread.
        while rounds.recv_timeout(DEADLINE).is_ok() {}
        assert_eq!(rounds.recv_timeout(DEADLINE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn reading_a_file_is_no_change_of_it() {
        let of = |kind| is_change(&Event::new(kind));
        assert!(!of(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!of(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(of(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(of(EventKind::Remove(notify::event::RemoveKind::File)));
        assert!(of(EventKind::Modify(notify::event::ModifyKind::Name(notify::event::RenameMode::To))));
    }

    #[test]
    fn changes_that_never_settle_are_read_all_the_same() {
        let (wake, wakes) = sync_channel(1);
        let pace = Pace { at_most: Duration::from_millis(50), ..PACE };
        let noise = thread::spawn(move || while wake.send(()).is_ok() {});
        settle(&wakes, pace);
        drop(wakes);
        noise.join().unwrap();
    }

    #[test]
    fn every_folder_on_the_way_to_a_file_is_watched() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("releases/1")).unwrap();
        fs::create_dir_all(root.join("live")).unwrap();
        fs::write(root.join("releases/1/site.pem"), "").unwrap();
        symlink("releases/1", root.join("current")).unwrap();
        symlink("../current/site.pem", root.join("live/site.pem")).unwrap();
        let found = folders(&root.join("live/site.pem"));
        for folder in ["live", "live/..", "live/../current", "live/../releases/1"] {
            assert!(found.contains(&root.join(folder)), "{folder} in {found:?}");
        }
        // A file that is not there yet is waited for in the nearest folder that is.
        assert_eq!(folders(&root.join("live/not/yet.pem")), BTreeSet::from([root.join("live")]));
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        assert!(folders(&root.path().join("a")).contains(root.path()));
    }
}
