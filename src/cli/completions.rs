//! `steadfeed completions SHELL`: what a shell needs to complete this command line.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{self, Cli};

/// Prints the script for `shell`.
pub fn run(shell: Shell) -> ExitCode {
    cli::print(&script(shell))
}

/// Made in memory first: clap_complete panics on a writer that fails.
fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "steadfeed", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_learns_every_subcommand() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for name in ["run", "check", "health", "cert", "watch", "import", "schema", "completions"] {
                assert!(script.contains(name), "{shell}: {name}");
            }
        }
    }
}
