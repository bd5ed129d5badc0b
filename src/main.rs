//! The `steadfeed` command: parses its arguments, dispatches to `cli`, gives the exit code.

fn main() {}
