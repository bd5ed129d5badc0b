//! How often something may happen.
//!
//! Owns: [`Rate`], and the [`Bucket`] that holds one thing to it. Never: reads a clock.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// So many in so long, as in `30/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub per: Per,
}

/// The unit of time of a [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Second,
    Minute,
    Hour,
}

/// Holds one thing to a [`Rate`]: as many at once as its unit of time allows, then one for each part of it that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// What fills the bucket by one.
    each: Duration,
    /// What fills it whole.
    all: Duration,
    /// When it will be full again; `None` while it never was less.
    full: Option<Instant>,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new(rate: Rate) -> Bucket {
        let all = rate.per.duration();
        Bucket { each: all / rate.count.get(), all, full: None }
    }

    /// Whether one more may happen at `now`, which is then counted.
    pub fn take(&mut self, now: Instant) -> bool {
        let full = self.full.map_or(now, |full| full.max(now)) + self.each;
        let may = full <= now + self.all;
        if may {
            self.full = Some(full);
        }
        may
    }
}

impl Per {
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Per::Second => 1,
            Per::Minute => 60,
            Per::Hour => 3600,
        })
    }
}

/// As the config writes it.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            Per::Second => "s",
            Per::Minute => "min",
            Per::Hour => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one at each of these milliseconds.
    #[track_caller]
    fn check(count: u32, per: Per, at: &[u64], expected: &[bool]) {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate { count: NonZeroU32::new(count).unwrap(), per });
        let got: Vec<bool> = at.iter().map(|at| bucket.take(start + Duration::from_millis(*at))).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn so_many_at_once_and_then_one_at_a_time() {
        check(2, Per::Second, &[0, 0, 0, 499, 500, 501, 1000], &[true, true, false, false, true, false, true]);
        check(3, Per::Second, &[0, 0, 0, 0, 334, 334], &[true, true, true, false, true, false]);
        check(1, Per::Minute, &[0, 59_999, 60_000], &[true, false, true]);
        check(60, Per::Hour, &[0; 61], &[[true; 60].as_slice(), &[false]].concat());
    }

    #[test]
    fn a_pause_fills_it_and_never_more() {
        check(2, Per::Second, &[0, 0, 9000, 9000, 9000], &[true, true, true, true, false]);
    }
}
