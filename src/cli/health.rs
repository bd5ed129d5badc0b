//! Placeholder of `steadfeed health`.

use std::process::ExitCode;

pub fn run(_url: Option<&str>) -> ExitCode {
    ExitCode::FAILURE
}
