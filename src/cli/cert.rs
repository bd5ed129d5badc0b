//! Placeholder of `steadfeed cert`.

use std::path::Path;
use std::process::ExitCode;

pub fn run(_names: &[String], _out: &Path) -> ExitCode {
    ExitCode::FAILURE
}
