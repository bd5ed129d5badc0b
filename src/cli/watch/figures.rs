//! Numbers as a table has room for them: short figures, sparklines, ages.

use std::time::Duration;

use ratatui::symbols::bar;

const BARS: [&str; 8] = [
    bar::ONE_EIGHTH,
    bar::ONE_QUARTER,
    bar::THREE_EIGHTHS,
    bar::HALF,
    bar::FIVE_EIGHTHS,
    bar::THREE_QUARTERS,
    bar::SEVEN_EIGHTHS,
    bar::FULL,
];

/// At most nine characters: two decimals at most, and a prefix from a million on, or a ten thousand with decimals.
#[must_use]
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e7 || size < 1e4 {
        return trimmed(value, "");
    }
    let prefixes = [(1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P")];
    let fitting = prefixes.iter().rev().find(|(unit, _)| size >= *unit);
    match fitting {
        Some((unit, prefix)) if size / unit < 1e4 => trimmed(value / unit, prefix),
        Some(_) | None => format!("{value:.1e}"),
    }
}

fn trimmed(value: f64, prefix: &str) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // A small negative number must not become `-0`.
    let text = if text == "-0" { "0" } else { text };
    format!("{text}{prefix}")
}

/// The last `width` points as bars, between the least and the greatest of them; equal ones are all low.
#[must_use]
pub fn sparkline(points: impl DoubleEndedIterator<Item = f64>, width: usize) -> String {
    let mut shown: Vec<f64> = points.rev().take(width).collect();
    shown.reverse();
    let least = shown.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = shown.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    shown.iter().map(|value| level(*value, least, greatest)).collect()
}

fn level(value: f64, least: f64, greatest: f64) -> &'static str {
    // Halves first: the span of two huge numbers is no number.
    let share = (value / 2.0 - least / 2.0) / (greatest / 2.0 - least / 2.0);
    // Eight thresholds instead of a cast: what is no number is below all of them.
    let reached = BARS.iter().zip(0_u8..8).rev().find(|(_, step)| share >= f64::from(*step) / 7.5);
    reached.map_or(BARS[0], |(bar, _)| bar)
}

/// How long ago: `0.4 s`, `12 s`, `3 min`, `5 h`.
#[must_use]
pub fn age(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(figure(value), expected);
    }

    #[test]
    fn figures_are_short_and_say_what_matters() {
        check(0.0, "0");
        check(-0.001, "0");
        check(12.0, "12");
        check(12.345, "12.35");
        check(-3.1, "-3.1");
        check(1_234_567.0, "1234567");
        check(9999.994, "9999.99");
        check(12_345.6, "12.35k");
        check(-12_345_678.0, "-12.35M");
        check(5e18, "5000P");
        check(1e300, "1.0e300");
        for value in [1e-300, f64::MAX, f64::MIN, -9_999_999.0, -9999.994, -9_999_999_999.9, 99_999.999, -9.999e18] {
            assert!(figure(value).chars().count() <= 9, "{value}: {}", figure(value));
        }
    }

    #[track_caller]
    fn spark(points: &[f64], width: usize, expected: &str) {
        assert_eq!(sparkline(points.iter().copied(), width), expected);
    }

    #[test]
    fn a_sparkline_spans_what_it_shows() {
        spark(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 60, "▁▂▃▄▅▆▇█");
        spark(&[100.0, 0.0, 1.0], 2, "▁█");
        spark(&[5.0, 5.0], 60, "▁▁");
        spark(&[f64::MIN, f64::MAX, 0.0], 60, "▁█▄");
        spark(&[1.0], 0, "");
        spark(&[], 10, "");
    }

    #[test]
    fn ages_lose_their_decimals() {
        let told = [400, 9_999, 12_000, 180_000, 7_200_000].map(|ms| age(Duration::from_millis(ms)));
        assert_eq!(told, ["0.4 s", "10.0 s", "12 s", "3 min", "2 h"]);
    }
}
