//! How long to wait before dialling again: exponential, full jitter, anew after a connection that held.
//!
//! For as long as a backend may be thought to restart the waits stay short; one that is gone for longer is left in peace.
//!
//! Owns: the bounds of the waits. Never: reads a clock or draws a number: both are arguments.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// The bounds of the waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// No wait is shorter.
    pub least: Duration,
    /// The first is random below this; each further one may be twice as long.
    pub first: Duration,
    /// None is longer while it has gone on for less than `brisk_for`.
    pub brisk: Duration,
    pub brisk_for: Duration,
    /// None is longer, ever.
    pub most: Duration,
    /// A connection that held this long starts anew.
    pub held: Duration,
}

/// A [`Pace`] whose bounds are in no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the waits of a back-off must grow: 0 < first, and least <= first <= brisk <= most")]
pub struct PaceError;

/// Counts the attempts that came to nothing.
#[derive(Debug, Clone)]
pub struct Backoff {
    pace: Pace,
    /// The next wait is random below this.
    ceiling: Duration,
    /// When the first attempt failed.
    since: Option<Instant>,
}

impl Pace {
    /// Of sources that dial.
    pub const SOURCES: Pace = Pace {
        least: limits::SOURCE_BACKOFF_LEAST,
        first: limits::SOURCE_BACKOFF_FIRST,
        brisk: limits::SOURCE_BACKOFF_BRISK,
        brisk_for: limits::SOURCE_BRISK_FOR,
        most: limits::SOURCE_BACKOFF_MAX,
        held: limits::SOURCE_HELD,
    };
    /// Of sessions, of which many dial the same server.
    pub const SESSIONS: Pace = Pace {
        least: Duration::ZERO,
        first: limits::SESSION_BACKOFF,
        brisk: limits::SESSION_BACKOFF_MAX,
        brisk_for: Duration::MAX,
        most: limits::SESSION_BACKOFF_MAX,
        held: limits::SESSION_PROVEN,
    };
    /// Of a person who watches in a terminal.
    pub const WATCHERS: Pace = Pace {
        least: Duration::ZERO,
        first: limits::WATCH_BACKOFF,
        brisk: limits::WATCH_BACKOFF_MAX,
        brisk_for: Duration::MAX,
        most: limits::WATCH_BACKOFF_MAX,
        held: limits::WATCH_HELD,
    };
}

impl Backoff {
    /// Nothing has failed yet.
    ///
    /// # Errors
    /// If the bounds of `pace` are in no order.
    pub fn try_new(pace: Pace) -> Result<Backoff, PaceError> {
        let Pace { least, first, brisk, most, .. } = pace;
        let in_order = !first.is_zero() && least <= first && first <= brisk && brisk <= most;
        if in_order { Ok(Backoff::of(pace)) } else { Err(PaceError) }
    }

    /// That of a source.
    #[must_use]
    pub fn of_source() -> Backoff {
        Backoff::of(Pace::SOURCES)
    }

    /// That of a session.
    #[must_use]
    pub fn of_session() -> Backoff {
        Backoff::of(Pace::SESSIONS)
    }

    /// That of `watch` and `record`.
    #[must_use]
    pub fn of_watcher() -> Backoff {
        Backoff::of(Pace::WATCHERS)
    }

    fn of(pace: Pace) -> Backoff {
        Backoff { pace, ceiling: pace.first, since: None }
    }

    /// The wait before the next attempt, `now`, after a connection that held for `held` (zero: it was not to be had).
    /// `random` is in `0.0..1.0`.
    pub fn after(&mut self, held: Duration, now: Instant, random: f64) -> Duration {
        if held >= self.pace.held {
            *self = Backoff::of(self.pace);
        }
        let since = *self.since.get_or_insert(now);
        let restarts = now.saturating_duration_since(since) < self.pace.brisk_for;
        let ceiling = self.ceiling.min(if restarts { self.pace.brisk } else { self.pace.most });
        self.ceiling = ceiling.saturating_mul(2);
        self.pace.least + ceiling.saturating_sub(self.pace.least).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::ZERO;

    fn backoff() -> Backoff {
        Backoff::try_new(Pace::SOURCES).unwrap()
    }

    /// Fails again and again, each attempt coming to nothing at once; gives the longest wait that may follow each.
    fn ceilings(backoff: &mut Backoff, mut now: Instant, count: usize) -> Vec<u128> {
        let mut wait = || {
            let wait = backoff.after(NEVER, now, 1.0);
            now += wait;
            wait.as_millis()
        };
        (0..count).map(|_| wait()).collect()
    }

    #[test]
    fn waits_double_up_to_a_second_and_after_a_minute_up_to_ten() {
        let (mut backoff, start) = (backoff(), Instant::now());
        let all = ceilings(&mut backoff, start, 100);
        assert_eq!(all[..5], [200, 400, 800, 1000, 1000]);
        let slower = all.iter().position(|wait| *wait > 1000).unwrap();
        assert!((60_000..61_001).contains(&all[..slower].iter().sum::<u128>()), "{all:?}");
        assert_eq!(all[slower..slower + 5], [2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(all.last(), Some(&10_000));
    }

    #[track_caller]
    fn check(random: f64, expected: Duration) {
        assert_eq!(backoff().after(NEVER, Instant::now(), random), expected);
    }

    #[test]
    fn the_whole_of_a_wait_is_random_but_for_the_least() {
        check(0.0, limits::SOURCE_BACKOFF_LEAST);
        check(0.5, 125 * MS);
        check(1.0, limits::SOURCE_BACKOFF_FIRST);
        check(-1.0, limits::SOURCE_BACKOFF_LEAST);
        check(7.0, limits::SOURCE_BACKOFF_FIRST);
    }

    #[test]
    fn only_a_connection_that_held_starts_anew() {
        let (mut backoff, now) = (backoff(), Instant::now());
        let mut next = |held| backoff.after(held, now, 1.0).as_millis();
        assert_eq!([next(NEVER), next(NEVER)], [200, 400]);
        assert_eq!(next(limits::SOURCE_HELD - MS), 800, "it was taken and closed too soon");
        assert_eq!([next(limits::SOURCE_HELD), next(NEVER)], [200, 400]);
    }

    #[test]
    fn a_pace_that_does_not_grow_is_refused() {
        let good = Pace::SOURCES;
        assert!(Backoff::try_new(good).is_ok());
        assert!(Backoff::try_new(Pace::SESSIONS).is_ok());
        assert!(Backoff::try_new(Pace::WATCHERS).is_ok());
        for bad in [
            Pace { first: Duration::ZERO, least: Duration::ZERO, ..good },
            Pace { least: good.first + MS, ..good },
            Pace { first: good.brisk + MS, ..good },
            Pace { brisk: good.most + MS, ..good },
        ] {
            assert_eq!(Backoff::try_new(bad).unwrap_err(), PaceError);
        }
    }

    #[test]
    fn a_session_s_waits_double_up_to_two_seconds() {
        assert_eq!(ceilings(&mut Backoff::of_session(), Instant::now(), 6), [250, 500, 1000, 2000, 2000, 2000]);
        assert_eq!(Backoff::of_session().after(NEVER, Instant::now(), 0.5), limits::SESSION_BACKOFF / 2);
    }

    #[test]
    fn a_watcher_s_waits_double_up_to_thirty_seconds_until_a_connection_holds() {
        let (mut backoff, now) = (Backoff::of_watcher(), Instant::now());
        assert_eq!(ceilings(&mut backoff, now, 7), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.after(limits::WATCH_HELD - MS, now, 0.5), Duration::from_secs(15));
        assert_eq!(backoff.after(limits::WATCH_HELD, now, 1.0), limits::WATCH_BACKOFF);
        assert_eq!(Backoff::of_watcher().after(NEVER, now, 0.0), NEVER, "the whole of it is random");
    }

    #[test]
    fn a_long_outage_overflows_nothing() {
        let (mut backoff, now) = (backoff(), Instant::now());
        let last = (0..1000).map(|hour| backoff.after(NEVER, now + hour * Duration::from_secs(3600), 1.0)).last();
        assert_eq!(last, Some(limits::SOURCE_BACKOFF_MAX));
    }
}
