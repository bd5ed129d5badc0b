//! Times as backends write them, and as envelopes do: RFC 3339, UTC, milliseconds, `Z`.
//!
//! Owns: which texts and numbers count as a time. A date alone and a number in quotes do not: they are as likely a
//! day or an id. Never: a clock.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::json;

/// Unix numbers from here on are milliseconds: as seconds this is the year 5138, as milliseconds 1973.
const MILLISECONDS_FROM: i128 = 100_000_000_000;
/// 0000-01-01T00:00:00Z, in Unix nanoseconds: RFC 3339 has no year before it.
const YEAR_ZERO: i128 = -62_167_219_200 * NANOS;
const NANOS: i128 = 1_000_000_000;
/// Decimal places of a second that are kept.
const PLACES: usize = 9;

/// The time that a JSON value says, years 0000 to 9999; `None` if it says none.
///
/// `value` is raw JSON text: a string of RFC 3339 or ISO 8601 (date and time, `T` or a space between, a fraction of
/// any length, `Z`, `+09:00`, `+0900`, `+09` or nothing), or a number of Unix seconds or milliseconds, fractions
/// included. A text without a zone is `naive_offset` seconds east of UTC.
#[must_use]
pub fn parse(value: &str, naive_offset: i32) -> Option<Timestamp> {
    let timestamp = match json::string(value) {
        Some(text) => civil(&text, naive_offset)?,
        None => unix(value)?,
    };
    (timestamp.as_nanosecond() >= YEAR_ZERO).then_some(timestamp)
}

/// Writes `2026-02-15T12:30:45.123Z`: always 24 bytes, what is below a millisecond cut off.
pub fn write(timestamp: Timestamp, out: &mut Vec<u8>) {
    let at = Offset::UTC.to_datetime(timestamp);
    digits(out, i32::from(at.year().max(0)), 1000);
    for (separator, part) in
        [(b'-', at.month()), (b'-', at.day()), (b'T', at.hour()), (b':', at.minute()), (b':', at.second())]
    {
        out.push(separator);
        digits(out, i32::from(part), 10);
    }
    out.push(b'.');
    digits(out, at.subsec_nanosecond() / 1_000_000, 100);
    out.push(b'Z');
}

/// What [`write()`] writes, as a text.
#[must_use]
pub fn text(timestamp: Timestamp) -> String {
    let mut out = Vec::with_capacity(24);
    write(timestamp, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Writes `number` with leading zeros, as many digits as `place` (a power of ten) has.
fn digits(out: &mut Vec<u8>, number: i32, mut place: i32) {
    while place > 0 {
        out.push(b'0' + u8::try_from(number / place % 10).unwrap_or(0));
        place /= 10;
    }
}

/// A date and a time of day, RFC 3339 section 5.6 and the ISO 8601 forms beside it that backends write.
fn civil(text: &str, naive_offset: i32) -> Option<Timestamp> {
    let mut rest = Reader(text.as_bytes());
    let year = rest.number(4)?;
    rest.skip(b"-").then_some(())?;
    let month = rest.number(2)?;
    rest.skip(b"-").then_some(())?;
    let day = rest.number(2)?;
    rest.skip(b"Tt ").then_some(())?;
    let hour = rest.number(2)?;
    rest.skip(b":").then_some(())?;
    let minute = rest.number(2)?;
    let (mut second, mut nanos) = (0, 0);
    if rest.skip(b":") {
        second = rest.number(2)?;
        if rest.skip(b".,") {
            nanos = rest.fraction()?;
        }
    }
    let offset = rest.zone(naive_offset)?;
    if second == 60 {
        second = 59; // a leap second: the clock that wrote it goes on, and so do we
    }
    let small = |part: i32| i8::try_from(part).ok();
    let at = DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        nanos,
    );
    Offset::from_seconds(offset).ok()?.to_timestamp(at.ok()?).ok()
}

/// What of a time's text is still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// Takes one byte if it is one of `these`.
    fn skip(&mut self, these: &[u8]) -> bool {
        match self.0.split_first() {
            Some((byte, rest)) if these.contains(byte) => {
                self.0 = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    fn digit(&mut self) -> Option<i32> {
        let (byte, rest) = self.0.split_first()?;
        byte.is_ascii_digit().then(|| {
            self.0 = rest;
            i32::from(byte - b'0')
        })
    }

    /// Exactly `count` digits.
    fn number(&mut self, count: usize) -> Option<i32> {
        (0..count).try_fold(0, |sum, _| Some(sum * 10 + self.digit()?))
    }

    /// One digit or more after the point, as nanoseconds; what is finer is cut off.
    fn fraction(&mut self) -> Option<i32> {
        let mut nanos = self.digit()? * 100_000_000;
        let mut place = 10_000_000;
        while let Some(digit) = self.digit() {
            nanos += digit * place;
            place /= 10;
        }
        Some(nanos)
    }

    /// The zone up to the end, as seconds east of UTC.
    fn zone(&mut self, naive_offset: i32) -> Option<i32> {
        let sign = match self.0.first() {
            None => return Some(naive_offset),
            Some(b'Z' | b'z') => {
                return (self.0.len() == 1).then_some(0);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.0 = self.0.get(1..)?;
        let hours = self.number(2)?;
        let colon = self.skip(b":");
        let minutes = if self.0.is_empty() && !colon { 0 } else { self.number(2)? };
        let fits = self.0.is_empty() && hours <= 23 && minutes <= 59;
        fits.then_some(sign * (hours * 3600 + minutes * 60))
    }
}

/// A JSON number of Unix seconds or milliseconds. Read digit by digit: an `f64` would turn `.123` into `.1229`.
fn unix(number: &str) -> Option<Timestamp> {
    let (negative, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let scaled = nine_places(whole.bytes().chain(fraction.bytes()), point)?;
    let nanos = if scaled < MILLISECONDS_FROM * NANOS { scaled } else { scaled / 1000 };
    Timestamp::from_nanosecond(if negative { -nanos } else { nanos }).ok()
}

/// The number whose digits are `digits` with the point after the `point`th of them, times 10^9, the rest cut off.
/// `None` where it is too large for any time.
fn nine_places(digits: impl Iterator<Item = u8>, point: i32) -> Option<i128> {
    let wanted = i64::from(point) + i64::try_from(PLACES).ok()?;
    let (mut sum, mut taken) = (0i128, 0i64);
    for digit in digits {
        if taken >= wanted {
            return Some(sum);
        }
        sum = sum.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        taken += 1;
    }
    if sum == 0 {
        return Some(0);
    }
    let missing = u32::try_from(wanted - taken).ok()?;
    10i128.checked_pow(missing)?.checked_mul(sum)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{parse, text};

    #[track_caller]
    fn check(value: &str, expected: Option<&str>) {
        assert_eq!(parse(value, 0).map(text).as_deref(), expected, "{value}");
    }

    #[test]
    fn rfc_3339_and_iso_8601_are_times() {
        for (value, expected) in [
            ("2026-02-15T12:30:45Z", "2026-02-15T12:30:45.000Z"),
            ("2025-11-10T12:30:45.123456", "2025-11-10T12:30:45.123Z"),
            ("2025-11-10 12:30:45.9", "2025-11-10T12:30:45.900Z"),
            ("2025-11-10t12:30:45,5z", "2025-11-10T12:30:45.500Z"),
            ("2025-11-10T12:30:45.99999999999999999999999Z", "2025-11-10T12:30:45.999Z"),
            ("2025-11-10T12:30Z", "2025-11-10T12:30:00.000Z"),
            ("2026-01-01T00:30:00+09:00", "2025-12-31T15:30:00.000Z"),
            ("2026-01-01T00:30:00+0900", "2025-12-31T15:30:00.000Z"),
            ("2026-01-01T00:30:00+09", "2025-12-31T15:30:00.000Z"),
            ("2026-01-01T00:30:00-05:30", "2026-01-01T06:00:00.000Z"),
            ("2026-01-01T00:30:00-00:00", "2026-01-01T00:30:00.000Z"),
            ("2026-01-01T00:30:00\\u002B09:00", "2025-12-31T15:30:00.000Z"),
            ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.500Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("9999-12-30T00:00:00Z", "9999-12-30T00:00:00.000Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
        ] {
            check(&format!("\"{value}\""), Some(expected));
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        for value in [
            "",
            "now",
            "2026-02-15",
            "2026-02-15T",
            "2026-02-15T12",
            "2026-02-15T12:30:45.Z",
            "2026-02-15T12:30:45 Z",
            "2026-02-15T12:30:45Zx",
            "2026-02-15T12:30:45+9:00",
            "2026-02-15T12:30:45+09:",
            "2026-02-15T12:30:45+24:00",
            "2026-02-15T12:30:45+09:60",
            "2026-02-15T24:00:00Z",
            "2026-02-15T12:60:00Z",
            "2026-02-15T12:30:61Z",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "26-02-15T00:00:00Z",
            "-2026-02-15T12:30:45Z",
            " 2026-02-15T12:30:45Z",
            "2026-02-15T12:30:45+09:00[Asia/Seoul]",
            "1739622645",
            "0000-01-01T00:00:00+09:00",
            "9999-12-31T23:59:59-12:00",
            "2026-02-15T12:30:45\u{661}",
            "\\ud800",
        ] {
            check(&format!("\"{value}\""), None);
        }
    }

    #[test]
    fn unix_seconds_and_milliseconds_are_times() {
        for (value, expected) in [
            ("1739622645", "2025-02-15T12:30:45.000Z"),
            ("1739622645.123", "2025-02-15T12:30:45.123Z"),
            ("1739622645.123999999999999999999", "2025-02-15T12:30:45.123Z"),
            ("1739622645123", "2025-02-15T12:30:45.123Z"),
            ("1739622645123.9", "2025-02-15T12:30:45.123Z"),
            ("1.739622645123e9", "2025-02-15T12:30:45.123Z"),
            ("1.739622645123E+12", "2025-02-15T12:30:45.123Z"),
            ("17396226450e-1", "2025-02-15T12:30:45.000Z"),
            ("0", "1970-01-01T00:00:00.000Z"),
            ("0e999999999", "1970-01-01T00:00:00.000Z"),
            ("1e-999999999", "1970-01-01T00:00:00.000Z"),
            ("-0.001", "1969-12-31T23:59:59.999Z"),
            ("99999999999", "5138-11-16T09:46:39.000Z"),
            ("100000000000", "1973-03-03T09:46:40.000Z"),
            ("-62167219200", "0000-01-01T00:00:00.000Z"),
        ] {
            check(value, Some(expected));
        }
    }

    #[test]
    fn other_values_are_no_times_and_none_panics() {
        let long = "9".repeat(5000);
        for value in [
            "null",
            "true",
            "{}",
            "[]",
            "1739622645123456",
            "1739622645123456789",
            "1e999999999",
            "1e99999999999",
            "1e30",
            "-62167219201",
            &long,
        ] {
            check(value, None);
        }
        check(&format!("0.{long}"), Some("1970-01-01T00:00:00.999Z"));
    }

    #[test]
    fn a_text_without_a_zone_is_in_the_one_given() {
        let parsed = |value, offset| parse(value, offset).map(text);
        let naive = "\"2026-01-01T00:30:00\"";
        assert_eq!(parsed(naive, 9 * 3600).as_deref(), Some("2025-12-31T15:30:00.000Z"));
        assert_eq!(parsed(naive, -3600).as_deref(), Some("2026-01-01T01:30:00.000Z"));
        assert_eq!(parsed("\"2026-01-01T00:30:00Z\"", 9 * 3600).as_deref(), Some("2026-01-01T00:30:00.000Z"));
        assert_eq!(parsed("0", 9 * 3600).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(parsed(naive, i32::MAX), None);
    }

    #[test]
    fn every_time_is_written_in_24_bytes() {
        for timestamp in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
            assert_eq!(text(timestamp).len(), 24);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(ms in -62_167_219_200_000i64..253_402_207_200_000) {
            let timestamp = Timestamp::from_millisecond(ms).unwrap();
            proptest::prop_assert_eq!(parse(&format!("\"{}\"", text(timestamp)), 0), Some(timestamp));
        }

        #[test]
        fn no_value_panics(value in "[-+0-9.eETZ:\" ]{0,40}", offset in proptest::num::i32::ANY) {
            let _ = parse(&value, offset);
            let _ = parse(&format!("\"{value}\""), offset);
        }
    }
}
