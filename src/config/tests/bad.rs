//! Bad configs, each beside the exact text that is told of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::surroundings;
use crate::config::check;

/// Each bad config beside the exact text that is told of it; `UPDATE_FIXTURES=1` writes those texts anew.
#[test]
fn bad_configs_are_told_everything_at_once() {
    let folder = Path::new("tests/fixtures/bad");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    assert!(paths.len() >= 25, "{} bad configs", paths.len());
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut differing = String::new();
    for path in paths {
        let content = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let shown = match check(name, content, &surroundings()) {
            Ok(loaded) => loaded.render(&loaded.warnings, false),
            Err(refused) => refused.to_string(),
        };
        assert_ne!(shown, "", "{} has no problem", path.display());
        let expected = path.with_extension("txt");
        if update {
            std::fs::write(&expected, &shown).unwrap();
        }
        if std::fs::read_to_string(&expected).ok().as_deref() != Some(&shown) {
            let _infallible = write!(differing, "{}\n{shown}\n", expected.display());
        }
    }
    assert!(differing.is_empty(), "these are told something else:\n{differing}");
}
