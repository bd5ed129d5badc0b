//! What admission costs: within a process, to a whole upgrade, to whoever is refused, and under a flood.
//!
//! `cargo bench --bench admission` prints everything; `-- verify`, `-- upgrade`, `-- refuse`, `-- flood` one part. `ROUNDS` and
//! `SECONDS` in the environment change how long it takes, `STEADFEED=path` which binary is measured.
//!
//! steadfeed runs alone on core 0 with one worker, the load on core 1. What is measured, and what these figures do not say, is
//! in `README.md` beside this file.

#![allow(clippy::disallowed_types, reason = "a bench measures real time")]
#![allow(unreachable_pub, reason = "a bench has no outside to be public to")]
#![allow(clippy::disallowed_methods, reason = "load is spawned where it is made")]

mod client;
mod flood;
mod keys;
mod refuse;
mod rounds;
mod server;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "what other benches use of it")]
mod support;
mod upgrade;
mod verify;
mod viewers;

use std::process::ExitCode;

use support::{Outcome, process};

/// Microseconds of CPU that HS256 may add to an upgrade.
pub const TARGET: f64 = 15.0;

type Part = fn() -> Outcome<()>;

const PARTS: [(&str, Part); 4] =
    [("verify", verify::run), ("upgrade", upgrade::run), ("refuse", refuse::run), ("flood", flood::run)];

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some(name) = names.iter().find(|name| !PARTS.iter().any(|(part, _)| part == name)) {
        eprintln!("error: no part `{name}`; there are {}", PARTS.map(|(part, _)| part).join(", "));
        return ExitCode::FAILURE;
    }
    process::raise_descriptors();
    // Every Linux has the tool; without it the figures are only less steady.
    let _ = process::pin_this(1);
    for (name, part) in PARTS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("\n== {name}");
        if let Err(error) = part() {
            eprintln!("error: {name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
