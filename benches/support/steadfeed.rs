//! The steadfeed that is measured: where its program is, where it says that it listens, and what it answers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use super::Outcome;

/// For an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program that `STEADFEED` names, or the one that was built with the bench.
pub fn program() -> Outcome<PathBuf> {
    Ok(match std::env::var_os("STEADFEED") {
        Some(path) => std::path::absolute(path)?,
        None => env!("CARGO_BIN_EXE_steadfeed").into(),
    })
}

/// The address in a line of what it says at its start, of a listener or the admin's.
pub fn address(line: &str) -> Option<SocketAddr> {
    let line = line.trim();
    let url = line.strip_prefix("listening").or_else(|| line.strip_prefix("admin"))?;
    let port = url.trim().trim_end_matches('/').rsplit(':').next()?.parse().ok()?;
    Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// The answer to a GET, head and body.
pub fn get(address: SocketAddr, path: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Whether it says that it is ready.
pub fn is_ready(admin: SocketAddr) -> bool {
    get(admin, "/readyz").is_ok_and(|reply| reply.starts_with("HTTP/1.1 200"))
}
