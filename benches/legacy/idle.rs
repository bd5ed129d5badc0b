//! What an idle session holds: thousands that had one echo and are silent, beside as many tunnels.

use std::net::SocketAddr;
use std::path::Path;

use super::Outcome;
use super::echo::{Echo, asked, message};
use super::report::Finding;
use super::server::steadfeed;
use super::session::{ROW, WAYS, routes};
use super::support::measure::{memory, memory_at_rest};

const SOCKETS: usize = 2000;

pub async fn run(folder: &Path, upstream: SocketAddr) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for (way, path) in WAYS {
        let held = held(folder, upstream, path).await?;
        findings.push(Finding::told_only(
            ROW,
            &format!("{way}: memory an idle socket, {SOCKETS} of them"),
            held,
            "KiB",
        ));
    }
    Ok(findings)
}

async fn held(folder: &Path, upstream: SocketAddr, path: &str) -> Outcome<f64> {
    let server = steadfeed(folder, &routes(upstream)).await?;
    let pids = server.process.pids();
    let base = memory(&pids)?;
    let text = message();
    let asked = asked(&text);
    let mut sockets = Vec::with_capacity(SOCKETS);
    for _ in 0..SOCKETS {
        let mut echo = Echo::open(server.address, path).await?;
        echo.once(&asked, &text).await?;
        echo.rest();
        sockets.push(echo);
    }
    let last = memory_at_rest(&pids).await?;
    for echo in &mut sockets {
        echo.once(&asked, &text).await?;
    }
    Ok((last - base) / SOCKETS as f64)
}
