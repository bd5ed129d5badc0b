//! Placeholder of `steadfeed health`.

use std::io;
use std::net::SocketAddr;

use clap::Args;

#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    #[arg(long)]
    pub insecure: bool,
}

pub async fn run(_args: &HealthArgs, _admin: Option<SocketAddr>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
