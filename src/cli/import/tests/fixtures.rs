//! The configurations of the repository, beside what they come to.

use std::path::Path;

use super::{imported, surroundings};
use crate::cli::import::import;
use crate::cli::import::include::Disk;
use crate::config;

#[test]
fn every_fixture_comes_to_the_config_and_the_list_beside_it() {
    for name in ["container", "includes", "pools", "tls"] {
        let path = format!("tests/fixtures/nginx/{name}");
        let imported = import(Path::new(&format!("{path}.conf")), &Disk).unwrap();
        let beside = |kind: &str| std::fs::read_to_string(format!("{path}.{kind}")).unwrap_or_default();
        assert_eq!(imported.config, beside("toml"), "{name}");
        assert_eq!(imported.list.replace("tests/fixtures/nginx/", ""), beside("txt"), "{name}");
        if let Err(refused) = config::check(format!("{name}.toml"), imported.config, &surroundings()) {
            panic!("{refused}");
        }
    }
}

#[test]
fn the_page_about_nginx_shows_what_import_writes() {
    let page = std::fs::read_to_string("config/nginx.md").unwrap();
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let keys = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(keys(&imported(&block("nginx")).config), keys(&block("toml")));
}
