//! The house rules that no compiler holds: the map in `src/lib.rs`, and the shape of each file.
//!
//! The map is read from where it is written: what it does not say may not be imported, and what it says must be.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::sources::{self, Named, Source, Token, within};

/// Lines of a file before its tests.
const MAX_LINES: usize = 350;
/// What the map calls everyone.
const ANYONE: &str = "anyone";
/// Files that start a task themselves, and not through `shutdown::Tasks`.
const SPAWNERS: [&str; 2] = ["src/shutdown.rs", "src/cli/client.rs"];
/// Files that start a thread.
const THREADS: [&str; 3] = ["src/worker.rs", "src/net/tls/watch.rs", "src/telemetry/access/writer.rs"];

#[test]
fn who_imports_whom_is_what_the_map_says() {
    let allowed = map();
    let mut used = BTreeSet::new();
    let mut strangers = Vec::new();
    for source in sources::program("src") {
        for named in imports(&source) {
            let edge = allowed
                .iter()
                .find(|(from, to)| (from == ANYONE || within(&source.module, from)) && within(&named.path, to));
            match edge {
                Some(edge) => _ = used.insert(edge.clone()),
                None => strangers.push(format!("{}:{} -> {}", source.name, named.line, named.path)),
            }
        }
    }
    assert!(strangers.is_empty(), "not on the map in src/lib.rs:\n{}", strangers.join("\n"));
    let unused: Vec<_> = allowed.difference(&used).collect();
    assert!(unused.is_empty(), "on the map in src/lib.rs, but nobody does it: {unused:?}");
}

#[test]
fn rooms_import_each_other_in_no_circle() {
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources::program("src") {
        let targets = imports(&source).into_iter().map(|named| room(&named.path).to_owned());
        below.entry(room(&source.module).to_owned()).or_default().extend(targets);
    }
    // Who imports only those that are gone can go too; what stays stands in a circle.
    while let Some(free) = below.iter().find(|(_, to)| to.iter().all(|room| !below.contains_key(room))) {
        let free = free.0.clone();
        below.remove(&free);
    }
    assert!(below.is_empty(), "circles among {below:?}");
}

#[test]
fn rules_that_the_map_may_never_loosen() {
    for source in sources::program("src") {
        for named in imports(&source) {
            let (from, to) = (room(&source.module), room(&named.path));
            let place = format!("{}:{} -> {}", source.name, named.line, named.path);
            assert!(!["limits", "secret", "message"].contains(&from), "imports nothing of ours: {place}");
            assert!(to != "config" || ["app", "cli"].contains(&from), "nothing below imports the config: {place}");
            assert!(!(from == "handler" && to == "guard"), "handlers and guards do not know each other: {place}");
            assert!(!(from == "guard" && to == "handler"), "handlers and guards do not know each other: {place}");
            assert!(!(["feed", "ws"].contains(&from) && to == "net"), "feed and ws know no listener: {place}");
        }
    }
}

#[test]
fn feed_and_ws_know_no_hyper_and_no_tungstenite() {
    let pure = |source: &Source| within(&source.module, "feed") || within(&source.module, "ws");
    let foreign = ["hyper", "hyper_util", "tungstenite", "tokio_tungstenite", "TcpListener"];
    for source in sources::program("src").iter().filter(|source| pure(source)) {
        for token in &source.code {
            assert!(!foreign.contains(&token.text.as_str()), "{}:{}: {}", source.name, token.line, token.text);
        }
    }
}

#[test]
fn tasks_and_threads_start_only_where_they_are_counted() {
    let (mut tasks, mut threads) = (BTreeSet::new(), BTreeSet::new());
    for source in sources::program("src") {
        for Named { path, ours, .. } in source.names() {
            let segments: Vec<&str> = path.split("::").collect();
            for pair in segments.windows(2) {
                match pair {
                    ["thread", "spawn" | "Builder" | "scope"] => _ = threads.insert(source.name.clone()),
                    [_, "spawn" | "spawn_local" | "spawn_blocking" | "JoinSet" | "LocalSet"] if !ours => {
                        tasks.insert(source.name.clone());
                    }
                    _ => {}
                }
            }
        }
    }
    assert_eq!(tasks, SPAWNERS.map(str::to_owned).into());
    assert_eq!(threads, THREADS.map(str::to_owned).into());
}

#[test]
fn every_file_says_first_what_it_is() {
    for source in everything() {
        assert!(source.text.starts_with("//! "), "{} does not begin with its docs", source.name);
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for source in sources::program("src") {
        assert!(source.lines <= MAX_LINES, "{}: {} lines before its tests", source.name, source.lines);
    }
}

#[test]
fn every_exception_to_a_lint_has_its_reason() {
    for source in everything() {
        for at in 0..source.tokens.len() {
            let words: Vec<&str> = source.tokens[at..].iter().take(3).map(|token| token.text.as_str()).collect();
            let ["[" | ",", "allow" | "expect", "("] = words[..] else { continue };
            let inside = source.tokens[at + 3..].iter().take_while(|token| token.text != ")");
            let reason = inside.clone().any(|token| token.text == "reason");
            assert!(reason, "{}:{}: an exception without a reason", source.name, source.tokens[at].line);
        }
    }
}

#[test]
fn every_limit_is_one_that_something_obeys() {
    let sources = sources::program("src");
    let count = |name: &str| {
        let words = sources.iter().flat_map(|source| &source.code);
        words.filter(|token| token.text == name).count()
    };
    let limits = sources.iter().filter(|source| source.module.split("::").next() == Some("limits"));
    let names: Vec<&str> = limits.flat_map(|source| source.code.windows(2)).filter_map(constant).collect();
    assert!(names.len() > 100, "{names:?}");
    for name in names {
        assert!(count(name) > 1, "limits::{name} is used nowhere");
    }
}

/// Every Rust file of the repository but the fuzz targets, which are a workspace of their own.
fn everything() -> impl Iterator<Item = Source> {
    ["src", "tests", "benches"].into_iter().flat_map(sources::all)
}

fn constant(pair: &[Token]) -> Option<&str> {
    (pair[0].text == "const").then_some(pair[1].text.as_str())
}

/// The top-level module that a path is in.
fn room(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

/// What a file names in rooms other than its own.
fn imports(source: &Source) -> Vec<Named> {
    let own = room(&source.module);
    // The crate's root only lists its rooms.
    source.names().into_iter().filter(|named| named.ours && !own.is_empty() && room(&named.path) != own).collect()
}

/// The edges in the docs of `src/lib.rs`: each `a -> {b, c}` between backticks, chained or not.
fn map() -> BTreeSet<(String, String)> {
    let text = include_str!("../../src/lib.rs");
    let docs: String = text.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    let (_, section) = docs.split_once("# Who may import whom").expect("the map's section");
    let mut edges = BTreeSet::new();
    for code in section.split('`').skip(1).step_by(2).filter(|code| code.contains("->")) {
        let rooms: Vec<Vec<&str>> = code.split("->").map(names).collect();
        for pair in rooms.windows(2) {
            let all = pair[0].iter().flat_map(|from| pair[1].iter().map(move |to| (from, to)));
            edges.extend(all.map(|(from, to)| ((*from).to_owned(), (*to).to_owned())));
        }
    }
    assert!(edges.len() > 10, "the map cannot be read: {edges:?}");
    edges
}

fn names(group: &str) -> Vec<&str> {
    group.split(['{', '}', ',', ' ']).filter(|name| !name.is_empty()).collect()
}
