//! What a request's path means, where it can be written in several ways (RFC 3986, section 6.2.2).
//!
//! Owns: the two readings of a path that routes are found by. Never: changes what is forwarded; a path whose readings lead
//! to different routes is refused instead, since a server behind us may take either.

use std::borrow::Cow;

use super::percent;

/// A path's two readings; the same one for a path in its normal form.
#[derive(Debug, PartialEq, Eq)]
pub struct Readings<'a> {
    /// Percent-decoded but for slashes, its segments as they stand: as a server reads it that resolves nothing.
    pub plain: Cow<'a, str>,
    /// Decoded whole, without empty and dot segments: as a server reads it that resolves everything.
    pub resolved: Cow<'a, str>,
}

/// Both readings; `None` where one is no path: a `%` that encodes nothing, a NUL, more steps up than there are down.
#[must_use]
pub fn readings(path: &str) -> Option<Readings<'_>> {
    if !path.contains(['%', '\\']) && !path.contains("//") && !path.contains("/.") {
        return Some(Readings { plain: Cow::Borrowed(path), resolved: Cow::Borrowed(path) });
    }
    let (plain, whole) = (decode(path, true)?, decode(path, false)?);
    let resolved = resolve(&whole)?;
    Some(Readings { plain: Cow::Owned(plain), resolved: Cow::Owned(resolved) })
}

/// Percent-decoded; with `slashes_stay`, encoded slashes and backslashes are left as they are.
fn decode(path: &str, slashes_stay: bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (high, low) = (rest.next()?, rest.next()?);
        match percent::decode(high, low)? {
            0 => return None,
            b'/' | b'\\' if slashes_stay => decoded.extend([b'%', high, low]),
            byte => decoded.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&decoded).into_owned())
}

/// Without empty segments and dot segments (RFC 3986, section 5.2.4); a backslash separates too, and a dot segment may have
/// parameters (`..;a`), as it does for some.
fn resolve(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in path.split(['/', '\\']) {
        let less = segment.split_once(';').map_or(segment, |(name, _)| name);
        is_folder = segment.is_empty() || matches!(less, "." | "..");
        match less {
            ".." => drop(segments.pop()?),
            _ if is_folder => {}
            _ => segments.push(segment),
        }
    }
    let end = if is_folder && !segments.is_empty() { "/" } else { "" };
    Some(format!("/{}{end}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, &str)>) {
        let readings = readings(path);
        let found = readings.as_ref().map(|readings| (&*readings.plain, &*readings.resolved));
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn a_path_in_its_normal_form_has_one_reading() {
        check("/", Some(("/", "/")));
        check("/a/b.c", Some(("/a/b.c", "/a/b.c")));
        check("/a/", Some(("/a/", "/a/")));
        check("*", Some(("*", "*")));
    }

    #[test]
    fn what_is_encoded_for_nothing_means_itself() {
        check("/%61dmin/x", Some(("/admin/x", "/admin/x")));
        check("/caf%C3%A9", Some(("/caf\u{e9}", "/caf\u{e9}")));
    }

    #[test]
    fn slashes_and_dots_have_two_readings() {
        check("/admin%2fx", Some(("/admin%2fx", "/admin/x")));
        check("/admin%5Cx", Some(("/admin%5Cx", "/admin/x")));
        check("//admin/x", Some(("//admin/x", "/admin/x")));
        check("/./admin/x", Some(("/./admin/x", "/admin/x")));
        check("/admin\\x", Some(("/admin\\x", "/admin/x")));
        check("/x\\..\\admin\\x", Some(("/x\\..\\admin\\x", "/admin/x")));
        check("/x/../admin/x", Some(("/x/../admin/x", "/admin/x")));
        check("/x/%2e%2e/admin/x", Some(("/x/../admin/x", "/admin/x")));
        check("/x/..", Some(("/x/..", "/")));
        check("/x/..;a=b/admin/x", Some(("/x/..;a=b/admin/x", "/admin/x")));
        check("/x/.;/..%3b/admin/x", Some(("/x/.;/..;/admin/x", "/admin/x")));
        check("/x/..a;b/.c;d", Some(("/x/..a;b/.c;d", "/x/..a;b/.c;d")));
        check("/a/b/.", Some(("/a/b/.", "/a/b/")));
        check("/.well-known/x", Some(("/.well-known/x", "/.well-known/x")));
    }

    #[test]
    fn what_is_no_path_has_none() {
        check("/..", None);
        check("/a/../../b", None);
        check("/%00", None);
        check("/%", None);
        check("/%g0", None);
        check("/%4", None);
    }
}
