//! Which file is read, and what is said of one that can not be.

use std::path::Path;

use super::{SMALLEST, surroundings};
use crate::config::{Chosen, load};
use crate::limits;

#[test]
fn the_config_named_first_is_chosen() {
    let none = |_: &str| None;
    let set = |_: &str| Some("set.toml".to_owned());
    let empty = |_: &str| Some(String::new());
    let flag = Path::new("flag.toml");
    assert_eq!(Chosen::choose(Some(flag), &set), Chosen::File(flag.to_owned()));
    assert_eq!(Chosen::choose(None, &set), Chosen::File("set.toml".into()));
    // Neither the tests' folder nor this machine has a config.
    assert_eq!(Chosen::choose(None, &none), Chosen::BuiltIn);
    assert_eq!(Chosen::choose(None, &empty), Chosen::BuiltIn);
}

#[test]
fn a_file_that_can_not_be_read_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    let problem = |path: &Path| load(&Chosen::File(path.to_owned()), &surroundings()).unwrap_err().to_string();
    assert!(problem(&path).starts_with(&format!("{}:1:1: this file can not be read: No such file", path.display())));
    std::fs::write(&path, b"a = \"\xff\"").unwrap();
    assert!(problem(&path).contains("UTF-8"), "{}", problem(&path));
    std::fs::write(&path, format!("{SMALLEST}#{}", " ".repeat(limits::CONFIG_SIZE - SMALLEST.len() - 1))).unwrap();
    load(&Chosen::File(path.clone()), &surroundings()).unwrap();
    std::fs::write(&path, " ".repeat(limits::CONFIG_SIZE + 1)).unwrap();
    assert!(problem(&path).contains("larger than 1048576 bytes"), "{}", problem(&path));
    assert!(problem(folder.path()).contains("can not be read"));
}
