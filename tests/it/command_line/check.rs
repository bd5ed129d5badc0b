//! `check`, and where a config is looked for.

use std::num::NonZeroUsize;
use std::path::Path;

use steadfeed::config::{self, Surroundings};

use super::{SMALL, on_free_ports, text};
use crate::support::instance::{binary, run};
use crate::support::{Instance, get};

#[tokio::test]
async fn check_passes_every_config_of_the_repository() {
    let folder = tempfile::tempdir().expect("a folder");
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut seen = 0;
    for entry in std::fs::read_dir(configs).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().into_string().expect("text");
        if !name.ends_with(".toml") {
            continue;
        }
        std::fs::write(folder.path().join(&name), on_free_ports(&name)).expect("it can be written");
        let output = run(folder.path(), &["check", "--config", &name]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(&format!("{name} can be served\n")) && said.contains("/ws"), "{said}");
        assert!(output.stderr.is_empty());
        seen += 1;
    }
    assert!(seen >= 4);
}

/// Every block of TOML in the README is a config that can be served, and those that the text calls whole are.
#[test]
fn what_the_readme_shows_can_be_served() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let blocks: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 6, "{}", blocks.len());
    let variable = |name: &str| (name == "JWT_SECRET").then(|| "0123456789abcdef0123456789abcdef".to_owned());
    let surroundings = Surroundings { variable: &variable, cpus: NonZeroUsize::MIN, descriptors: 20_000 };
    for block in blocks {
        if let Err(refused) = config::check("readme.toml".to_owned(), block.to_owned(), &surroundings) {
            panic!("{refused}\n{block}");
        }
    }
}

#[tokio::test]
async fn check_knows_the_instance_that_runs_and_finds_problems_before_it_is_replaced() {
    let instance = Instance::start(SMALL).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = SMALL.replacen("127.0.0.1:0", &instance.address().to_string(), 1);
    let config = format!("admin.listen = \"{}\"\n{config}", instance.admin());
    std::fs::write(folder.path().join("steadfeed.toml"), &config).expect("it can be written");
    let output = run(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("is held by the steadfeed that runs"), "{}", text(&output.stdout));
    let broken = config.replace("[[route]]\npath = \"/hello\"", "[[rout]]\npath = \"/hello\"");
    std::fs::write(folder.path().join("steadfeed.toml"), broken).expect("it can be written");
    for command in ["check", "run"] {
        let output = run(folder.path(), &[command]);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&[output.stdout, output.stderr].concat());
        assert!(said.contains("steadfeed.toml:17:3: `rout` is not a key of the top level; write `route`"), "{said}");
    }
    assert_eq!(get(instance.address(), "/hello", &[]).await.status, 200);
}

#[test]
fn the_config_is_looked_for_where_it_is_said_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("env.toml"), "nonsense = 1\n").expect("it can be written");
    let output = binary().arg("check").current_dir(&folder).env("STEADFEED_CONFIG", "env.toml").output();
    assert!(text(&output.expect("it runs").stdout).contains("env.toml:1:1: "));
    let output = run(folder.path(), &["check", "--config", "missing.toml"]);
    let said = text(&[output.stdout, output.stderr].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("missing.toml"), "{said}");
}
