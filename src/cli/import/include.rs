//! The files that a configuration includes, and the patterns that name several.
//!
//! Owns: looking at the disk. Never: parses what it reads.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::bounded;
use crate::limits;

/// Where files are read from; an argument, so that a fuzzer has none.
pub(super) trait Source {
    /// The file's text, bytes that are no UTF-8 replaced.
    ///
    /// # Errors
    /// Where it is not there, or is too large.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether there is a file or folder.
    fn exists(&self, path: &Path) -> bool;

    /// The names in a folder; none where it can't be read.
    fn names(&self, folder: &Path) -> Vec<String>;
}

/// The real one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&bounded::read(path, limits::IMPORT_SIZE)?).into_owned())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}

/// The paths that a pattern stands for, sorted as nginx does; at most one more than may be read.
pub(super) fn matching(source: &dyn Source, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let part = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !part.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        found = found.into_iter().flat_map(|folder| within(source, &folder, &part)).collect();
        found.truncate(limits::IMPORT_FILES + 1);
    }
    found.retain(|path| source.exists(path));
    found
}

fn within(source: &dyn Source, folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut names = source.names(folder);
    names.retain(|name| !name.starts_with('.') && matches_pattern(&pattern, &name.chars().collect::<Vec<_>>()));
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Whether `name` is what a shell's pattern of `*`, `?` and `[...]` says. Linear in both for each `*`.
fn matches_pattern(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut from) = (0, 0);
    // The last star, and where in the name it is tried to end.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = name.get(from) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
                continue;
            }
            Some(_) => {
                if let Some(length) = one(&pattern[at..], c) {
                    (at, from) = (at + length, from + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((place, tried)) = &mut star else { return false };
        *tried += 1;
        (at, from) = (*place + 1, *tried);
    }
    pattern.iter().skip(at).all(|&c| c == '*')
}

/// How much of `pattern` stands for the one character `c`; `None` where it is another. `pattern` is not empty.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', set @ ..] => {
            let end = set.iter().skip(1).position(|&c| c == ']').map(|end| end + 1)?;
            let set = set.get(..end)?;
            let (negated, set) = match set {
                ['!' | '^', set @ ..] => (true, set),
                set => (false, set),
            };
            let in_range = |range: &[char]| matches!(range, [low, '-', high] if (low..=high).contains(&&c));
            let inside = set.contains(&c) || set.windows(3).any(in_range);
            (inside != negated).then_some(end + 2)
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
        assert_eq!(matches_pattern(&pattern, &name), expected, "{pattern:?} {name:?}");
    }

    #[test]
    fn patterns_are_a_shells() {
        check("*.conf", "a.conf", true);
        check("*.conf", "a.conf.bak", false);
        check("*", "", true);
        check("a?c*", "abcd", true);
        check("a?c*", "ac", false);
        check("[a-c]*.conf", "b1.conf", true);
        check("[!a-c]*.conf", "b1.conf", false);
        check("[]]", "]", true);
        check("[a", "[a", false);
        check("*a*b*c", "xxaxxbxxc", true);
        check("*a*b*c", "xxaxxcxxb", false);
        check("", "a", false);
    }

    #[test]
    fn folders_are_listed_in_order_without_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["conf.d/b.conf", "conf.d/a.conf", "conf.d/.c.conf", "conf.d/d.txt", "sites/x/e.conf"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let found = matching(&Disk, &folder.path().join(pattern));
            found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(found("conf.d/*.conf"), ["conf.d/a.conf", "conf.d/b.conf"]);
        assert_eq!(found("*/*/*.conf"), ["sites/x/e.conf"]);
        assert_eq!(found("nowhere/*.conf"), [""; 0]);
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.conf");
        fs::write(&path, vec![b'#'; limits::IMPORT_SIZE + 1]).unwrap();
        assert!(Disk.read(&path).unwrap_err().to_string().contains("larger than"));
    }
}
