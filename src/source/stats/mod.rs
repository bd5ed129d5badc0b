//! The host's statistics: `system_stats`, without a backend.
//!
//! Inside a container the cgroup's limits are the total, so that a figure of 100 % means what it says there.
//!
//! Owns: reading the kernel, and the message's shape. Never: a timer, a task or a process; [`Sampler::sample`] blocks
//! for some hundred microseconds and belongs on the threads for blocking work.

mod cgroup;
mod cpuset;
mod meter;
mod report;
mod sampler;

use std::io;
use std::path::PathBuf;

pub use sampler::Sampler;

/// Where the kernel's files are; tests put folders of their own here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Holds `self/cgroup`.
    pub proc: PathBuf,
    /// Where cgroups are mounted: version 2, version 1 (a folder a controller), or both.
    pub cgroup: PathBuf,
}

/// Why the statistics cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    #[error("statistics of this system are not available")]
    Unsupported(#[from] sysinfo::Error),
    #[error("no file system at {}", path.display())]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Default for Roots {
    fn default() -> Roots {
        Roots { proc: PathBuf::from("/proc"), cgroup: PathBuf::from("/sys/fs/cgroup") }
    }
}
