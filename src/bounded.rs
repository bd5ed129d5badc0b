//! Files that are read whole, within a bound.
//!
//! Never: reads on once a file turns out to be longer: `/dev/zero` ends too.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// The file at `path`, of at most `most` bytes.
///
/// # Errors
/// If it cannot be read; [`ErrorKind::FileTooLarge`] if it is longer.
pub fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take((most as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// The same of a text.
///
/// # Errors
/// As for [`read`], and if it is no UTF-8.
pub fn read_text(path: &Path, most: usize) -> io::Result<String> {
    let no_text = |_| io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(read(path, most)?).map_err(no_text)
}

/// The same, less one newline at its end, which editors put there: a secret's file.
///
/// # Errors
/// As for [`read_text`].
pub fn read_line(path: &Path, most: usize) -> io::Result<String> {
    let mut text = read_text(path, most)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: std::fmt::Debug + PartialEq>(read: io::Result<T>, expected: Result<T, (ErrorKind, &str)>) {
        let expected = expected.map_err(|(kind, text)| (kind, text.to_owned()));
        assert_eq!(read.map_err(|error| (error.kind(), error.to_string())), expected);
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "caf\u{e9}").unwrap();
        check(read(&path, 5), Ok("caf\u{e9}".into()));
        check(read_text(&path, 5), Ok("caf\u{e9}".to_owned()));
        let large = Err((ErrorKind::FileTooLarge, "it is larger than 4 bytes"));
        check(read(&path, 4), large.map(|()| Vec::new()));
        check(read_text(&path, 4), large.map(|()| String::new()));
        check(read(Path::new("/dev/zero"), 4), large.map(|()| Vec::new()));
        assert_eq!(read(Path::new("/nowhere"), 4).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_line_ends_before_one_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for (text, line) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("\n", "")] {
            std::fs::write(&path, text).unwrap();
            check(read_line(&path, 5), Ok(line.to_owned()));
        }
    }

    #[test]
    fn what_is_no_text_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"\xff").unwrap();
        check(read(&path, 5), Ok(vec![0xff]));
        check(read_text(&path, 5), Err((ErrorKind::InvalidData, "stream did not contain valid UTF-8")));
    }
}
