//! steadfeed beside nginx and HAProxy: CPU time a unit of work, throughput, latency and memory a socket.
//!
//! `cargo bench --bench peers` prints everything; `-- https tunnel` the rows of these names. `ROUNDS` and `SECONDS` in the
//! environment change how long it takes, `PEERS=nginx,haproxy` who takes part, `STEADFEED=path` which binary.
//!
//! The proxy runs alone on core 0; the load and the backend, each a process of this same binary, on core 1. What is
//! measured, and what these figures do not say, is in `README.md` beside this file.

#![allow(clippy::disallowed_types, reason = "a bench measures real time")]
#![allow(unreachable_pub, reason = "a bench has no outside to be public to")]
#![allow(clippy::disallowed_methods, reason = "load is spawned where it is made")]

mod backend;
mod config;
mod http1;
mod http2;
mod install;
mod load;
mod report;
mod rounds;
mod rows;
mod server;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "what other benches use of it")]
mod support;
mod tally;
mod tls;
mod websocket;

use std::process::ExitCode;

use support::Outcome;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match &words[..] {
        ["--backend"] => backend::serve(),
        ["--load", row, address, folder, pids @ ..] => load::run(row, address, folder, pids),
        names => rounds::run(names),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
