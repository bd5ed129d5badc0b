//! `steadfeed schema`: the JSON Schema of the config, for editors.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config;

/// Prints the schema. A reader that has seen enough is no failure.
pub fn run() -> ExitCode {
    match writeln!(io::stdout().lock(), "{:#}", config::schema()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
