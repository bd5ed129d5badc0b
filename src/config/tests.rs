//! Whole configs, from their text: the built-in one, the one that explains every key, and bad ones.
//!
//! Owns: what a config finds around it in these tests; each of the submodules has one kind of guarantee.

mod admission;
mod bad;
mod bounds;
mod built_in;
mod files;
mod keys;
mod odd;
mod parts;
mod routes;
mod sources;

use std::num::NonZeroUsize;

use super::{Loaded, Refused, Surroundings};

/// The smallest config there is.
const SMALLEST: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\npath = \"/\"\nrespond = {}\n";

fn surroundings() -> Surroundings<'static> {
    let variable = |name: &str| match name {
        "PORT" => Some("8080".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    Surroundings { variable: Box::leak(Box::new(variable)), cpus: NonZeroUsize::new(2).unwrap(), descriptors: 1024 }
}

fn outcome(text: &str) -> Result<Loaded, Refused> {
    super::check("steadfeed.toml".to_owned(), text.to_owned(), &surroundings())
}

#[track_caller]
fn served(text: &str) -> Loaded {
    outcome(text).unwrap_or_else(|refused| panic!("{refused}"))
}

/// The first lines of all problems, errors or warnings.
fn first_lines(text: &str) -> Vec<String> {
    let (text, problems) = match outcome(text) {
        Ok(loaded) => (loaded.text, loaded.warnings),
        Err(refused) => (refused.text, refused.problems),
    };
    let lines = problems.iter().map(|problem| text.render(std::slice::from_ref(problem), false));
    lines.map(|shown| shown.lines().next().unwrap().to_owned()).collect()
}

fn full() -> String {
    std::fs::read_to_string("config/full.toml").unwrap()
}
