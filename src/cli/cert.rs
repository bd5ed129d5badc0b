//! Placeholder of `steadfeed cert`.

use std::io;
use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Args)]
pub struct CertArgs {
    #[arg(long = "name", value_name = "NAME", default_value = "localhost")]
    pub names: Vec<String>,
    #[arg(long, value_name = "FOLDER", default_value = "certs")]
    pub out: PathBuf,
}

pub fn run(_args: &CertArgs) -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}
