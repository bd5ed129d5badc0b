//! The `steadfeed` command: parses its arguments, dispatches to [`steadfeed::cli`], gives the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    steadfeed::cli::main()
}
