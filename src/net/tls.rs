//! TLS termination: certificates chosen by SNI, re-read when their files change.

use std::path::PathBuf;

/// `[listener.tls]`, checked for shape only; [`load`](Tls) reads the files.
#[derive(Debug, Clone)]
pub struct Options {
    pub identity: Identity,
    pub min_version: MinVersion,
}

#[derive(Debug, Clone)]
pub enum Identity {
    /// Certificate chains and keys in PEM files, chosen by SNI; the first serves clients that name no host.
    Files(Vec<PairFiles>),
    /// A certificate for these names, made on first start and kept in `folder`.
    SelfSigned { names: Vec<String>, folder: PathBuf },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}
