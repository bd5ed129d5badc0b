//! What a config depends on besides its text: the environment, the CPUs, the file descriptors.

use std::fmt;
use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::expand::Lookup;
use crate::limits;

/// What the process finds around it; an argument, so that tests choose it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Looks up an environment variable.
    pub variable: Lookup<'a>,
    /// The CPUs this container may use.
    pub cpus: NonZeroUsize,
    /// The files this process may open.
    pub descriptors: usize,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets.
        f.debug_struct("Surroundings")
            .field("cpus", &self.cpus)
            .field("descriptors", &self.descriptors)
            .finish_non_exhaustive()
    }
}

impl Surroundings<'_> {
    /// Those of this process. Raises its soft limit of file descriptors to the hard one.
    #[must_use]
    pub fn real() -> Surroundings<'static> {
        Surroundings {
            variable: &|name| std::env::var(name).ok(),
            // Counts the CPU affinity and the quota of the cgroup.
            cpus: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            descriptors: raise_descriptors(),
        }
    }
}

/// Raises the soft limit as far as it goes, and gives what it then is.
fn raise_descriptors() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Where it is refused the old limit stands, and is what we read back.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let allowed = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    allowed.unwrap_or(limits::DESCRIPTORS_MAX).min(limits::DESCRIPTORS_MAX)
}

/// The connections that so many file descriptors allow.
#[must_use]
pub fn connections(descriptors: usize) -> usize {
    // A limit below what we keep back is one somebody set on purpose: half of it then.
    descriptors.saturating_sub(limits::RESERVED_DESCRIPTORS).max(descriptors / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        for (descriptors, expected) in [(0, 1), (64, 32), (256, 128), (1024, 768), (1_048_576, 1_048_320)] {
            assert_eq!(connections(descriptors), expected, "{descriptors}");
        }
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let allowed = raise_descriptors();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert!(allowed > 0 && allowed <= limits::DESCRIPTORS_MAX);
    }
}
