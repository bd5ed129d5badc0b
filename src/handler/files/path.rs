//! From a request's path to a path below a folder.
//!
//! Owns: what may be looked for at all. Never: touches the disk; where a symbolic link leads is for
//! [`find`](super::find) to see.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::message::percent;

/// Where below the folder to look: names only, each joined by one slash; nothing for the folder itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below {
    bytes: Vec<u8>,
    /// It ended with a slash: only a folder will do.
    pub(super) folder: bool,
}

/// The one hidden folder that is meant to be seen (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

impl Below {
    /// From a path as it was sent, percent-encoded. `None` for what is never served: a segment that begins with a dot
    /// (`.`, `..` and all hidden files; a first one `.well-known` excepted), and any in which a slash, a backslash or a
    /// NUL is hidden, or what follows a `%` is no number. Several slashes are one.
    #[must_use]
    pub(super) fn parse(path: &str) -> Option<Below> {
        let mut bytes = Vec::with_capacity(path.len());
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let name = decode(segment)?;
            let first = bytes.is_empty();
            let hidden = name.first() == Some(&b'.') && !(first && *name == *WELL_KNOWN);
            if hidden || name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0)) {
                return None;
            }
            if !first {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(&name);
        }
        Some(Below { bytes, folder: path.ends_with('/') })
    }

    #[must_use]
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.bytes))
    }

    /// As a request would name it, but decoded: with a slash first.
    #[must_use]
    pub(super) fn named(&self) -> String {
        let slash = if self.folder && !self.bytes.is_empty() { "/" } else { "" };
        format!("/{}{slash}", String::from_utf8_lossy(&self.bytes))
    }
}

/// A path as a request would send it.
#[must_use]
pub(super) fn encode(path: &str) -> String {
    percent::encode(path, "/")
}

/// Without percent-encoding (RFC 3986, section 2.1).
fn decode(segment: &str) -> Option<Cow<'_, [u8]>> {
    let bytes = segment.as_bytes();
    if !bytes.contains(&b'%') {
        return Some(Cow::Borrowed(bytes));
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(if byte == b'%' { percent::decode(rest.next()?, rest.next()?)? } else { byte });
    }
    Some(Cow::Owned(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, bool)>) {
        let below = Below::parse(path);
        let seen = below.as_ref().map(|below| (below.path().to_str().unwrap(), below.folder));
        assert_eq!(seen, expected, "{path}");
    }

    #[test]
    fn a_path_leads_down_only() {
        check("/", Some(("", true)));
        check("", Some(("", false)));
        check("/a/b.js", Some(("a/b.js", false)));
        check("/a/b/", Some(("a/b", true)));
        check("//a///b//", Some(("a/b", true)));
        check("/a%20b/%C3%A9", Some(("a b/é", false)));
        check("/a.b..c/d.", Some(("a.b..c/d.", false)));
        check("/%252e%252e/x", Some(("%2e%2e/x", false)));
        check("/a?b", Some(("a?b", false)));
    }

    #[test]
    fn what_leads_elsewhere_or_is_hidden_is_nothing() {
        for path in [
            "/..",
            "/../x",
            "/a/../x",
            "/a/..",
            "/./x",
            "/.",
            "/%2e%2e/x",
            "/%2E%2e/x",
            "/.%2e/x",
            "/%2e/x",
            "/a/%2e%2e",
            "/..%2fx",
            "/a%2fb",
            "/a%2Fb",
            "/%2fetc/passwd",
            "/..%5cx",
            "/a%5cb",
            "/a\\b",
            "/..\\x",
            "/a%00b",
            "/%00",
            "/.env",
            "/.git/config",
            "/a/.htaccess",
            "/%2eenv",
            "/...",
            "/.well-knownx",
            "/a/.well-known/x",
            "/.well-known/.x",
            "/.well-known/../x",
            "/%",
            "/%4",
            "/%zz",
            "/a%",
            "/%+1",
            "/%é",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn the_well_known_folder_is_meant_to_be_seen() {
        check("/.well-known/security.txt", Some((".well-known/security.txt", false)));
        check("/%2ewell-known/", Some((".well-known", true)));
    }

    #[test]
    fn a_path_that_was_encoded_is_the_same_again() {
        for path in ["index.html", "a b/c%d.html", "é/ü.html", "a+b&c=d"] {
            check(&encode(path), Some((path, false)));
        }
        assert_eq!(Below::parse("/a%20b/").unwrap().named(), "/a b/");
        assert_eq!(Below::parse("/").unwrap().named(), "/");
    }
}
