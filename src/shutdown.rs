//! Ending: the one place that spawns, and the drain.

use std::time::Duration;

/// `[drain]`.
#[derive(Debug, Clone, Copy)]
pub struct DrainOptions {
    /// Sockets are closed with 1012 in random order over this window.
    pub spread: Duration,
    /// What is left then is ended.
    pub timeout: Duration,
}
