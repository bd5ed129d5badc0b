//! What a legacy backend and its viewers are promised: one socket, hardly any CPU time, no added delay, no lost viewer.
//!
//! `cargo bench --bench legacy` prints everything; `-- crowd`, `-- delay`, `-- restart`, `-- session` the rows of these
//! names. `ROUNDS` and `SECONDS` in the environment change how long it takes, `STEADFEED=path` which binary.
//!
//! steadfeed runs alone on core 0; the load and the backend on core 1. What is measured, and what these figures do not
//! say, is in `README.md` beside this file.

#![allow(clippy::disallowed_types, reason = "a bench measures real time")]
#![allow(unreachable_pub, reason = "a bench has no outside to be public to")]
#![allow(clippy::disallowed_methods, reason = "load is spawned where it is made")]

mod backend;
mod crowd;
mod delay;
mod echo;
mod frames;
mod idle;
mod report;
mod restart;
mod server;
mod session;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "what other benches use of it")]
mod support;
mod viewers;

use std::process::ExitCode;

use report::Finding;
use support::{Outcome, process};
use tokio::task::LocalSet;

const ROWS: [&str; 4] = ["crowd", "delay", "restart", "session"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match &words[..] {
        ["--backend", port, boot] => backend::serve(port, boot),
        names => run(names),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// These rows, or all; each on a runtime of its own, so that it leaves nothing behind.
fn run(names: &[&str]) -> Outcome<()> {
    if let Some(unknown) = names.iter().find(|name| !ROWS.contains(name)) {
        return Err(format!("no row `{unknown}`; there are {}", ROWS.join(", ")).into());
    }
    process::raise_descriptors();
    // Threads started later stay there too; what is started is put where it belongs.
    process::pin_this(1)?;
    let mut findings = Vec::new();
    let mut failures = 0;
    for row in ROWS.into_iter().filter(|row| names.is_empty() || names.contains(row)) {
        println!("\n== {row}");
        match one(row) {
            Ok(found) => findings.extend(found),
            Err(error) => {
                failures += 1;
                println!("  error: {error}");
            }
        }
    }
    println!("\n{}", report::markdown(&findings));
    if failures > 0 { Err(format!("{failures} rows failed").into()) } else { Ok(()) }
}

fn one(row: &'static str) -> Outcome<Vec<Finding>> {
    let folder = tempfile::Builder::new().prefix("steadfeed-legacy-").tempdir()?;
    let folder = folder.path();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        match row {
            "crowd" => crowd::run(folder).await,
            "delay" => delay::run(folder).await,
            "restart" => restart::run(folder).await,
            _ => session::run(folder).await,
        }
    })
}
