//! The shape of `system_stats`, and how its numbers are rounded.
//!
//! Owns: the order of the members, on which viewers' eyes rely. Never: a number that is not finite.

use serde::Serialize;

/// One message, flat: the envelope's `data` is made from its members, and the mirrored shape keeps them at the top.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    #[serde(rename = "type")]
    pub(super) type_: &'static str,
    pub(super) host: &'a str,
    pub(super) cpu: Cpu,
    pub(super) memory: Memory,
    pub(super) disk: Disk,
    pub(super) network: Network,
    pub(super) uptime_s: u64,
}

/// Percents, and the load of the last 1, 5 and 15 minutes.
#[derive(Debug, Serialize)]
pub(super) struct Cpu {
    pub(super) usage: f64,
    pub(super) cores: Vec<f64>,
    pub(super) load: [f64; 3],
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Memory {
    pub(super) percent: f64,
    pub(super) used_gb: f64,
    pub(super) total_gb: f64,
    pub(super) swap_percent: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Disk {
    pub(super) percent: f64,
    pub(super) used_gb: f64,
    pub(super) total_gb: f64,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Network {
    pub(super) rx_bytes_per_s: u64,
    pub(super) tx_bytes_per_s: u64,
}

/// So many bytes out of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) used: u64,
    pub(super) total: u64,
}

impl Share {
    /// 0-100; 0 of nothing.
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    pub(super) fn percent(self) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        percent(100.0 * self.used as f64 / self.total as f64)
    }
}

impl Memory {
    pub(super) fn new(ram: Share, swap: Share) -> Memory {
        Memory { percent: ram.percent(), used_gb: gb(ram.used), total_gb: gb(ram.total), swap_percent: swap.percent() }
    }
}

impl Disk {
    /// As `df` has it: what is reserved for root is neither used nor available, and so not part of the percent.
    pub(super) fn new(block: u64, blocks: u64, free: u64, available: u64) -> Disk {
        let used = blocks.saturating_sub(free);
        let share = Share { used, total: used.saturating_add(available) };
        Disk {
            percent: share.percent(),
            used_gb: gb(used.saturating_mul(block)),
            total_gb: gb(blocks.saturating_mul(block)),
        }
    }
}

/// Between 0 and 100, with two decimals.
pub(super) fn percent(value: f64) -> f64 {
    hundredths(value).clamp(0.0, 100.0)
}

/// Two decimals; 0 for what is not finite.
pub(super) fn hundredths(value: f64) -> f64 {
    if value.is_finite() { (value * 100.0).round() / 100.0 } else { 0.0 }
}

/// GiB with two decimals.
#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn gb(bytes: u64) -> f64 {
    hundredths(bytes as f64 / (1024.0 * 1024.0 * 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_share(used: u64, total: u64, expected: f64) {
        assert_eq!(Share { used, total }.percent(), expected, "{used} of {total}");
    }

    #[test]
    fn shares_are_percents_between_0_and_100() {
        check_share(1, 3, 33.33);
        check_share(2, 3, 66.67);
        check_share(0, 0, 0.0);
        check_share(5, 0, 0.0);
        check_share(9, 3, 100.0);
        check_share(u64::MAX, u64::MAX, 100.0);
    }

    #[test]
    fn what_is_not_finite_is_0() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert_eq!(percent(value).to_bits(), 0.0f64.to_bits(), "{value}");
        }
        assert_eq!(percent(100.4), 100.0);
        assert_eq!(hundredths(1.005_1), 1.01);
    }

    #[test]
    fn a_disk_is_as_full_as_df_says() {
        // 10 GiB in blocks of 4 KiB, of which 1 GiB is free and half of that kept for root.
        let (blocks, gib) = (10 << 18, 1 << 18);
        let disk = Disk::new(4096, blocks, gib, gib / 2);
        let expected = Disk { percent: 94.74, used_gb: 9.0, total_gb: 10.0 };
        assert_eq!(disk, expected);
        assert_eq!(Disk::new(4096, 0, 5, 0).percent, 0.0);
        assert_eq!(Disk::new(u64::MAX, u64::MAX, 0, u64::MAX).percent, 100.0);
    }
}
