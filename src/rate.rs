//! How often something may happen.
//!
//! Owns: [`Rate`], and [`Bucket`], which holds one thing to it. Never: reads a clock.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::LazyLock;
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

/// Holds one thing to a [`Rate`]: a whole `count` at once, then one each `per / count` (GCRA: all that is kept is when what
/// was taken will be given back).
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// Nanoseconds after [`START`].
    back: u64,
    rate: Rate,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new(rate: Rate) -> Bucket {
        Bucket { back: 0, rate }
    }

    /// Takes one; `false` where there is none now.
    pub fn take(&mut self, now: Instant) -> bool {
        let now = u64::try_from(now.saturating_duration_since(*START).as_nanos()).unwrap_or(u64::MAX);
        let whole = u64::try_from(self.rate.per.duration().as_nanos()).unwrap_or(u64::MAX);
        let back = self.back.max(now).saturating_add(whole / u64::from(self.rate.count.get()));
        let given = back - now <= whole;
        if given {
            self.back = back;
        }
        given
    }
}

/// What buckets count from: earlier than any moment that they are asked at.
static START: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Per::Second.duration()).unwrap_or(now)
});

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
    use std::num::NonZeroU32;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Bucket, Per, Rate};

    fn bucket(count: u32, per: Per) -> Bucket {
        Bucket::new(Rate { count: NonZeroU32::new(count).unwrap(), per })
    }

    /// How many are given at once.
    fn drain(bucket: &mut Bucket, now: Instant) -> usize {
        (0..1000).take_while(|_| bucket.take(now)).count()
    }

    #[test]
    fn a_bucket_is_small() {
        assert!(size_of::<Bucket>() <= 16, "{}", size_of::<Bucket>());
    }

    #[test]
    fn a_whole_count_may_come_at_once_and_then_one_at_a_time() {
        let now = *super::START + Duration::from_secs(9);
        for (count, per) in [(20, Per::Second), (30, Per::Minute), (7, Per::Hour), (1, Per::Second)] {
            let mut bucket = bucket(count, per);
            let each = per.duration() / count;
            assert_eq!(drain(&mut bucket, now), count as usize);
            assert_eq!(drain(&mut bucket, now + each - Duration::from_millis(1)), 0);
            assert_eq!(drain(&mut bucket, now + each), 1);
            assert_eq!(drain(&mut bucket, now + each * 4), 3.min(count as usize));
            assert_eq!(drain(&mut bucket, now + per.duration() * 9), count as usize);
        }
    }

    #[test]
    fn what_was_refused_costs_nothing() {
        let now = Instant::now();
        let mut bucket = bucket(2, Per::Second);
        assert_eq!(drain(&mut bucket, now), 2);
        assert!((0..100).all(|_| !bucket.take(now)));
        assert!(bucket.take(now + Duration::from_millis(500)));
    }
}
