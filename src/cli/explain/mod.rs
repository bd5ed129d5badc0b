//! `steadfeed explain`: what viewers of a feed would get of recorded messages, and which rule decided.
//!
//! The way: `recording` reads a line, `judge` decides (with `pace`, for `min_interval`), `show` writes it. Owns: the
//! arguments and the exit code. Never: dials, serves, or stops at a line that it cannot read.

mod judge;
mod pace;
mod recording;
mod show;

use std::io::{self, BufRead, IsTerminal as _, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use self::judge::Judge;
use self::recording::Recording;
use self::show::Manner;
use super::{ConfigArg, complain, emit};
use crate::config::{self, Chosen, Config, FeedConfig, Surroundings};

pub(super) const EXAMPLES: &str = "\
On a terminal each message is told in words, with what viewers get of it in each shape that a route has. In a pipe it \
is one line of JSON with `line`, `time`, `outcome` (\"sent\", \"held\", \"dropped\"), `by` (the rule), and where it is not dropped \
`type`, `key` and `envelope`, `mirrored`, `raw` or `binary`.

Examples:
  steadfeed record ws://localhost:8000/ws --count 20 > frames.jsonl
  steadfeed explain --feed dashboard --config site.toml < frames.jsonl
  steadfeed explain --feed dashboard < frames.jsonl | jq -r 'select(.outcome == \"dropped\") | .by'

Exits with 0, or with 1 where there is no such feed or a line was no recorded message.";

/// The arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The feed whose rules are to be tried
    #[arg(long, value_name = "NAME")]
    pub feed: String,
    #[command(flatten)]
    pub config: ConfigArg,
}

/// Reads recorded messages from stdin until it ends, and tells of each.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let surroundings = Surroundings::real();
    let chosen = Chosen::choose(args.config.config.as_deref(), surroundings.variable);
    let loaded = match config::load(&chosen, &surroundings) {
        Ok(loaded) => loaded,
        Err(refused) => {
            // Where stderr is gone there is nobody left to tell.
            let _ = write!(io::stderr(), "{}", refused.render(io::stderr().is_terminal()));
            return ExitCode::FAILURE;
        }
    };
    let judge = find(&loaded.config, &args.feed, &loaded.text.name)
        .and_then(|feed| Judge::new(&feed.feed, &loaded.config.routes).map_err(|error| error.to_string()));
    let mut judge = match judge {
        Ok(judge) => judge,
        Err(wrong) => {
            complain(&wrong);
            return ExitCode::FAILURE;
        }
    };
    let (input, out) = (io::stdin(), io::stdout());
    if input.is_terminal() {
        complain("reading recorded messages from this terminal; give a file with < frames.jsonl");
    }
    let manner = if out.is_terminal() { Manner::Words } else { Manner::Json };
    explain(&mut judge, input.lock(), &mut out.lock(), &mut io::stderr(), manner)
}

/// The feed called `name`.
///
/// # Errors
/// That there is none, with the nearest name.
fn find<'a>(config: &'a Config, name: &str, file: &str) -> Result<&'a FeedConfig, String> {
    let names = || config.feeds.iter().map(|feed| feed.feed.name.as_str());
    config.feeds.iter().find(|feed| feed.feed.name == name).ok_or_else(|| match names().next() {
        Some(_) => format!("`{name}` is no feed of {file}; {}", config::write_one_of(name, names())),
        None => format!("{file} has no feeds; write a [feed.{name}]"),
    })
}

/// Tells of each line of `input` on `out`, and of those that are no recorded message on `complaints`.
fn explain(
    judge: &mut Judge,
    input: impl BufRead,
    out: &mut impl Write,
    complaints: &mut impl Write,
    manner: Manner,
) -> ExitCode {
    let (mut recording, mut any_bad) = (Recording::new(input), false);
    while let Some((line, read)) = recording.next() {
        match read {
            Ok(recorded) => {
                let told = show::tell(&judge.judge(line, &recorded), &recorded, manner);
                if let ControlFlow::Break(code) = emit(out, &told) {
                    return if any_bad { ExitCode::FAILURE } else { code };
                }
            }
            Err(wrong) => {
                any_bad = true;
                let _ = writeln!(complaints, "steadfeed: line {line}: {wrong}");
            }
        }
    }
    if any_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests;
