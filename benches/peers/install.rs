//! Finding the peers' programs, and installing them from Debian where they are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Outcome;

/// Asked by Debian's packages whether they may start their services.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The program of this name, installed where it is missing.
pub fn program(name: &str) -> Outcome<PathBuf> {
    if let Some(path) = find(name) {
        return Ok(path);
    }
    install(name)?;
    find(name).ok_or_else(|| format!("{name} is missing though it was installed").into())
}

/// Services' programs are where not every user's PATH leads.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn install(package: &str) -> Outcome<()> {
    let root = rustix::process::geteuid().is_root();
    if !root || find("apt-get").is_none() {
        return Err(format!("only root on Debian can install; please install by hand: {package}").into());
    }
    println!("peers: installing {package}");
    let _quiet = Quiet::new()?;
    apt(&["update", "-qq"])?;
    apt(&["install", "-y", "-qq", "--no-install-recommends", package])
}

fn apt(args: &[&str]) -> Outcome<()> {
    let mut command = Command::new("apt-get");
    let output = command.args(args).env("DEBIAN_FRONTEND", "noninteractive").output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("apt-get {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)).into())
}

/// While it lives, what is installed starts no service.
struct Quiet {
    ours: bool,
}

impl Quiet {
    fn new() -> Outcome<Quiet> {
        if Path::new(POLICY).exists() {
            return Ok(Quiet { ours: false });
        }
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        let quiet = Quiet { ours: true };
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(POLICY, executable)?;
        Ok(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.ours {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}
