//! From counters that only grow to figures a second.
//!
//! Never: reads a clock; the time of each reading is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::cgroup::CpuQuota;
use crate::limits;

/// The use of a CPU quota, from one reading to the next.
#[derive(Debug, Default)]
pub(super) struct QuotaMeter {
    reading: Option<Reading>,
    percent: f64,
}

#[derive(Debug)]
struct Reading {
    level: usize,
    used: Duration,
    at: Instant,
}

impl QuotaMeter {
    /// Percent of the quota used since the last reading, 0-100. Readings closer than [`limits::STATS_SETTLE`] repeat
    /// the last figure; the first one, and the first of another level of the hierarchy, has none to compare with.
    pub(super) fn observe(&mut self, quota: &CpuQuota, now: Instant) -> f64 {
        match &self.reading {
            Some(last) if last.level == quota.level => {
                let elapsed = now.saturating_duration_since(last.at);
                if elapsed < limits::STATS_SETTLE {
                    return self.percent;
                }
                let used = quota.used.saturating_sub(last.used).as_secs_f64();
                self.percent = (100.0 * used / (elapsed.as_secs_f64() * quota.cpus)).clamp(0.0, 100.0);
            }
            Some(_) | None => self.percent = 0.0,
        }
        self.reading = Some(Reading { level: quota.level, used: quota.used, at: now });
        self.percent
    }
}

/// Bytes a second, rounded down; 0 for no time at all.
#[expect(clippy::cast_possible_truncation, reason = "a rate past u64 takes an impossible counter, and saturates")]
pub(super) fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis();
    if millis == 0 {
        return 0;
    }
    (u128::from(bytes) * 1000 / millis).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(cpus: f64, level: usize, used_ms: u64) -> CpuQuota {
        CpuQuota { cpus, level, used: Duration::from_millis(used_ms) }
    }

    /// Readings of (milliseconds, quota), and the figure each gives.
    #[track_caller]
    fn check(readings: &[(u64, CpuQuota)], expected: &[f64]) {
        let start = Instant::now();
        let mut meter = QuotaMeter::default();
        let percents: Vec<f64> =
            readings.iter().map(|(at, quota)| meter.observe(quota, start + Duration::from_millis(*at))).collect();
        assert_eq!(percents, expected);
    }

    #[test]
    fn use_is_a_percent_of_the_quota_over_the_time_that_passed() {
        check(&[(0, quota(0.5, 0, 7000)), (2000, quota(0.5, 0, 7500))], &[0.0, 50.0]);
        check(&[(0, quota(2.0, 0, 0)), (1000, quota(2.0, 0, 1500))], &[0.0, 75.0]);
        check(&[(0, quota(0.5, 0, 0)), (1000, quota(0.5, 0, 900))], &[0.0, 100.0]);
    }

    #[test]
    fn readings_too_close_repeat_the_last_figure_and_lose_nothing() {
        let readings =
            [(0, quota(1.0, 0, 0)), (1000, quota(1.0, 0, 250)), (1100, quota(1.0, 0, 350)), (2000, quota(1.0, 0, 750))];
        check(&readings, &[0.0, 25.0, 25.0, 50.0]);
    }

    #[test]
    fn another_level_or_a_counter_that_fell_starts_afresh() {
        check(&[(0, quota(1.0, 0, 0)), (1000, quota(1.0, 1, 900))], &[0.0, 0.0]);
        check(&[(0, quota(1.0, 0, 900)), (1000, quota(1.0, 0, 10))], &[0.0, 0.0]);
    }

    #[test]
    fn rates_are_over_the_real_time() {
        let cases = [(4096, 2000, 2048), (4096, 2500, 1638), (10, 0, 0), (u64::MAX, 1, u64::MAX)];
        for (bytes, millis, expected) in cases {
            assert_eq!(rate(bytes, Duration::from_millis(millis)), expected, "{bytes} in {millis} ms");
        }
    }
}
