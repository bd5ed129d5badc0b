//! Messages a second, over the last few seconds.
//!
//! Owns: one counter a second, so that its size does not depend on how many come.

use tokio::time::Instant;

use crate::limits::WATCH_RATE_SECONDS;

/// Counts since `start`, a second a slot; a slot is used again [`WATCH_RATE_SECONDS`] later.
#[derive(Debug, Clone)]
pub struct Rate {
    start: Instant,
    /// The second that a slot counts, and its count.
    slots: [(u64, u32); WATCH_RATE_SECONDS],
}

impl Rate {
    /// Nothing counted.
    #[must_use]
    pub fn new(now: Instant) -> Rate {
        Rate { start: now, slots: [(0, 0); WATCH_RATE_SECONDS] }
    }

    /// One more, at `now`.
    pub fn count(&mut self, now: Instant) {
        let second = self.second(now);
        let at = usize::try_from(second).unwrap_or(0) % WATCH_RATE_SECONDS;
        if let Some(slot) = self.slots.get_mut(at) {
            let before = if slot.0 == second { slot.1 } else { 0 };
            *slot = (second, before.saturating_add(1));
        }
    }

    /// How many a second, at `now`: over the time since the start while that is short.
    #[must_use]
    pub fn per_second(&self, now: Instant) -> f64 {
        let second = self.second(now);
        let window = u64::try_from(WATCH_RATE_SECONDS).unwrap_or(1);
        let recent = self.slots.iter().filter(|(at, _)| *at <= second && second - at < window);
        let counted: f64 = recent.map(|(_, count)| f64::from(*count)).sum();
        let elapsed = now.saturating_duration_since(self.start).as_secs_f64();
        let whole_slots = elapsed.min(f64::from(u32::try_from(window - 1).unwrap_or(0)) + elapsed.fract());
        counted / whole_slots.max(1.0)
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// `every` milliseconds one message, for `seconds`; the rate right after, to a hundredth of it.
    #[track_caller]
    fn check(every: u64, seconds: u64, expected: f64) {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        for index in 0..seconds * 1000 / every {
            rate.count(at(index * every));
        }
        let told = rate.per_second(at(seconds * 1000 - 1));
        assert!((told / expected - 1.0).abs() < 0.01, "{told}");
    }

    #[test]
    fn a_steady_stream_has_its_rate() {
        check(100, 3, 10.0);
        check(100, 60, 10.0);
        check(2000, 60, 0.5);
        check(1, 25, 1000.0);
    }

    #[test]
    fn silence_brings_it_to_nothing() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        rate.count(start);
        assert!(rate.per_second(start) > 0.9);
        let later = Duration::from_secs(u64::try_from(WATCH_RATE_SECONDS).unwrap());
        assert!(rate.per_second(start + later) < f64::EPSILON);
    }
}
