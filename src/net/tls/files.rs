//! Certificate and key files: read within a bound, written whole or not at all.
//!
//! Never: leaves a key readable by others, not for a moment.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::Fault;
use crate::bounded;
use crate::limits;

/// Who may read a certificate.
pub const CERT_MODE: u32 = 0o644;
/// Who may read a key: its owner.
pub const KEY_MODE: u32 = 0o600;

/// The whole of `path`.
///
/// # Errors
///
/// When it cannot be read, or is longer than [`limits::PEM_SIZE`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let is_large = |error: &io::Error| error.kind() == io::ErrorKind::FileTooLarge;
    bounded::read(path, limits::PEM_SIZE)
        .map_err(|error| if is_large(&error) { Fault::TooLarge } else { Fault::Unreadable(error) })
}

/// Puts `text` at `path`, with `mode`, by writing beside it and renaming: a reader finds the old file or the new.
///
/// # Errors
///
/// When the folder cannot be written to; what stood at `path` then still stands.
pub fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let beside = beside(path)?;
    // A file left by a process that was killed here would carry its own mode.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        fs::write(&path, "old").unwrap();
        fs::write(beside(&path).unwrap(), "left over").unwrap();
        write(&path, "new", KEY_MODE).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_one_and_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        fs::create_dir_all(path.join("not-empty")).unwrap();
        write(&path, "new", CERT_MODE).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn reading_stops_at_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        fs::write(&path, vec![b'x'; limits::PEM_SIZE]).unwrap();
        assert_eq!(read(&path).unwrap().len(), limits::PEM_SIZE);
        fs::write(&path, vec![b'x'; limits::PEM_SIZE + 1]).unwrap();
        assert!(matches!(read(&path), Err(Fault::TooLarge)));
        assert!(matches!(read(Path::new("/dev/zero")), Err(Fault::TooLarge)));
    }
}
