//! By what a file is known to be the one that was read.
//!
//! Owns: when two looks at a file may be compared. Never: reads what is in it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::limits;

/// Which file it was, and when it was last touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    /// Seconds since 1970, and nanoseconds.
    pub(super) modified: (i64, i64),
    /// The same of its inode: what restores `modified` shows here.
    changed: (i64, i64),
}

impl Stamp {
    #[must_use]
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The stamp of what is there; `None` where nothing is, or nothing that we may see.
    #[must_use]
    pub(super) fn at(path: &Path) -> Option<Stamp> {
        std::fs::metadata(path).ok().as_ref().map(Stamp::of)
    }

    /// Whether a further change would show in the file's times, seen from `now`: not at once after the last one.
    fn has_settled(&self, now: SystemTime) -> bool {
        let since = u64::try_from(self.changed.0).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(since);
        now.duration_since(changed).is_ok_and(|age| age > limits::FILE_SETTLE)
    }
}

/// Whether all files are surely as they were when they were read, at `read`.
#[must_use]
pub(super) fn unchanged(watched: &[(PathBuf, Option<Stamp>)], read: SystemTime) -> bool {
    watched.iter().all(|(path, before)| {
        let settled = before.as_ref().is_none_or(|stamp| stamp.has_settled(read));
        settled && Stamp::at(path) == *before
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_once_the_file_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let (path, none) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&path, "one").unwrap();
        let watched = [(path.clone(), Stamp::at(&path)), (none.clone(), Stamp::at(&none))];
        let now = SystemTime::now();
        assert!(!unchanged(&watched, now), "it was changed just now");
        let later = now + limits::FILE_SETTLE + Duration::from_secs(2);
        assert!(unchanged(&watched, later));
        std::fs::write(&none, "").unwrap();
        assert!(!unchanged(&watched, later), "a file came");
        std::fs::remove_file(&none).unwrap();
        assert!(unchanged(&watched, later));
        std::fs::write(&path, "three").unwrap();
        assert!(!unchanged(&watched, later), "it grew");
    }

    #[test]
    fn a_file_in_the_place_of_another_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&path, "one").unwrap();
        std::fs::write(&other, "two").unwrap();
        let before = Stamp::at(&path);
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(Stamp::at(&path), before);
    }
}
