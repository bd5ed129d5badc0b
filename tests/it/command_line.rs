//! The commands, run as a user runs them.
//!
//! Owns: the configs that they are run with; each of the submodules has one kind of guarantee.

mod check;
mod defaults;
mod process;
mod tools;

use std::path::Path;

use crate::support::Instance;
use crate::support::config::{events, plain, tls};

const SMALL: &str = concat!(plain!(), tls!(), events!());

/// A config of the repository, on ports that are free.
fn on_free_ports(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    let text = std::fs::read_to_string(path).expect("the config is there");
    let ports = ["8080", "8443", "8444", "9090"].map(|port| format!("127.0.0.1:{port}\""));
    let text = ports.iter().fold(text, |text, port| text.replace(port.as_str(), "127.0.0.1:0\""));
    // One that the system may have given to a connection.
    text.replace("127.0.0.1:54112}", "127.0.0.1:0}")
}

/// The default config as it is served, but for its ports.
async fn default() -> Instance {
    Instance::start_whole(&format!("{}\n[admin]\nlisten = \"127.0.0.1:0\"\n", on_free_ports("default.toml"))).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}
