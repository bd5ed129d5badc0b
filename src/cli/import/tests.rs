//! Whole configurations of nginx, beside what they come to.
//!
//! Owns: what a configuration is held to in these tests; each of the submodules has one kind of guarantee.

mod fixtures;
mod hostile;
mod locations;
mod odd;
mod reading;
mod servers;

use std::num::NonZeroUsize;

use super::include::Disk;
use super::{Imported, import, import_text};
use crate::config::{self, Surroundings};

fn surroundings() -> Surroundings<'static> {
    let variable: &dyn Fn(&str) -> Option<String> = &|name| match name {
        "PORT" => Some("8080".to_owned()),
        "APP_HOST" => Some("app".to_owned()),
        _ => None,
    };
    Surroundings { variable, cpus: NonZeroUsize::MIN, descriptors: 1024 }
}

fn imported(text: &str) -> Imported {
    import_text(text).unwrap_or_else(|| panic!("not nginx's language: {text}"))
}

/// The text comes to a config that can be served, which says `config` and whose list says `list`, each line of them.
#[track_caller]
fn check(text: &str, config: &str, list: &str) {
    let imported = imported(text);
    if let Err(refused) = config::check("steadfeed.toml".to_owned(), imported.config.clone(), &surroundings()) {
        panic!("{refused}\n{}", imported.config);
    }
    for (wanted, all) in [(config, &imported.config), (list, &imported.list)] {
        for line in wanted.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(
                all.lines().any(|whole| whole.trim().ends_with(line) || whole.contains(line)),
                "no {line:?} in:\n{all}\n{}",
                imported.list
            );
        }
    }
}

/// The same, within one server.
#[track_caller]
fn within(text: &str, config: &str, list: &str) {
    check(&format!("server {{ listen 80; {text} }}"), config, list);
}

fn fault(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, text).unwrap();
    let fault = import(&path, &Disk).expect_err("a fault").to_string();
    fault.replace(&folder.path().display().to_string(), "")
}
