//! The subcommands, one file each.

pub mod cert;
pub mod client;
pub mod health;
