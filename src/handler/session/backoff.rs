//! How long to wait before an upstream is dialled again: exponential, with full jitter.
//!
//! Owns: how far the delays have grown. Never: reads a clock or makes a random number.

use std::time::Duration;

use crate::limits;

/// One session's delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    /// The next delay is a part of this.
    most: Duration,
}

impl Backoff {
    #[must_use]
    pub(super) fn new() -> Backoff {
        Backoff { most: limits::SESSION_BACKOFF }
    }

    /// The next delay: the part of the longest one that `part` picks.
    pub(super) fn next(&mut self, part: impl FnOnce(Duration) -> Duration) -> Duration {
        let most = self.most;
        self.most = (most * 2).min(limits::SESSION_BACKOFF_MAX);
        part(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_bound() {
        let mut backoff = Backoff::new();
        let delays: Vec<_> = (0..6).map(|_| backoff.next(|most| most).as_millis()).collect();
        assert_eq!(delays, [250, 500, 1000, 2000, 2000, 2000]);
        assert_eq!(Backoff::new().next(|most| most / 2).as_millis(), 125);
    }
}
