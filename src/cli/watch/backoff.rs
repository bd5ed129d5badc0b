//! How long to wait before dialling again: full jitter, exponential, anew after a connection that held.
//!
//! Never: reads a clock; time and randomness are arguments, [`random`] aside.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::limits;

/// Counts the attempts that came to nothing.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The delay before the next attempt, after a connection that was open for `held` (zero: never opened).
    ///
    /// `random` is in `0.0..1.0`. `at_least` is what the server asked for.
    pub fn after(&mut self, held: Duration, random: f64, at_least: Option<Duration>) -> Duration {
        if held >= limits::WATCH_HELD {
            self.failures = 0;
        }
        let wait = delay(self.failures, random);
        self.failures = self.failures.saturating_add(1);
        wait.max(at_least.unwrap_or_default().min(limits::WATCH_RETRY_AFTER))
    }
}

/// Somewhere between nothing and twice as long for each of `failures`, up to [`limits::WATCH_BACKOFF_MAX`].
fn delay(failures: u32, random: f64) -> Duration {
    let factor = 2_u32.saturating_pow(failures);
    let ceiling = limits::WATCH_BACKOFF.saturating_mul(factor).min(limits::WATCH_BACKOFF_MAX);
    ceiling.mul_f64(random.clamp(0.0, 1.0))
}

/// A number in `0.0..1.0`, from the keys std makes for its hash maps: good enough to spread clients.
#[must_use]
pub fn random() -> f64 {
    let high = RandomState::new().hash_one(0_u8) >> 32;
    // 32 bits: exact in an f64, and never 1.0.
    f64::from(u32::try_from(high).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER_OPENED: Duration = Duration::ZERO;

    #[track_caller]
    fn check(failures: u32, random: f64, expected: Duration) {
        assert_eq!(delay(failures, random), expected);
    }

    #[test]
    fn the_ceiling_doubles_up_to_30_s_and_the_whole_of_it_is_jitter() {
        check(0, 0.0, Duration::ZERO);
        check(0, 1.0, Duration::from_secs(1));
        check(1, 1.0, Duration::from_secs(2));
        check(3, 0.5, Duration::from_secs(4));
        check(4, 1.0, Duration::from_secs(16));
        check(5, 1.0, Duration::from_secs(30));
        check(31, 1.0, Duration::from_secs(30));
        check(u32::MAX, 0.5, Duration::from_secs(15));
        check(u32::MAX, 7.0, Duration::from_secs(30));
    }

    #[test]
    fn only_a_connection_that_held_starts_anew() {
        let mut backoff = Backoff::default();
        let mut next = |held| backoff.after(held, 1.0, None).as_secs();
        assert_eq!([next(NEVER_OPENED), next(NEVER_OPENED), next(NEVER_OPENED)], [1, 2, 4]);
        assert_eq!(next(limits::WATCH_HELD.saturating_sub(Duration::from_millis(1))), 8);
        assert_eq!([next(limits::WATCH_HELD), next(NEVER_OPENED)], [1, 2]);
    }

    #[test]
    fn what_the_server_asked_for_is_waited_within_reason() {
        let mut backoff = Backoff::default();
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(backoff.after(NEVER_OPENED, 0.0, asked(7)), Duration::from_secs(7));
        assert_eq!(backoff.after(NEVER_OPENED, 0.0, asked(86_400)), limits::WATCH_RETRY_AFTER);
    }

    #[test]
    fn random_numbers_differ_and_stay_in_range() {
        let drawn: Vec<f64> = (0..64).map(|_| random()).collect();
        assert!(drawn.iter().all(|value| (0.0..1.0).contains(value)), "{drawn:?}");
        assert!(drawn.windows(2).any(|pair| pair[0] != pair[1]), "{drawn:?}");
    }
}
