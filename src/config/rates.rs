//! Rates, as the config writes them.
//!
//! Owns: the units, and what is said of a text that is no rate.

use std::num::NonZeroU32;

use super::problem::{Wrong, quoted};
use super::values::FromText;
use crate::limits;
use crate::rate::{Per, Rate};

impl FromText for Rate {
    const EXPECTED: &'static str = "a rate, as in \"30/min\", \"100/s\" or \"1000/h\"";
    const EXAMPLES: &'static [&'static str] = &["30/min", "100/s", "1000/h"];

    fn from_text(text: &str) -> Result<Rate, Wrong> {
        let wrong = |remedy: String| Wrong::new(format!("{} is not a rate", quoted(text)), remedy);
        let (count, unit) = match text.split_once('/') {
            Some((count, unit)) => (count.trim(), Some(unit.trim())),
            None => (text.trim(), None),
        };
        let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(wrong(format!("write {}", Self::EXPECTED)));
        }
        let per = match unit {
            Some("s") => Per::Second,
            Some("min") => Per::Minute,
            Some("h") => Per::Hour,
            Some("sec" | "second" | "S") => return Err(wrong(format!("write \"{count}/s\""))),
            Some("m" | "minute" | "Min" | "M") => return Err(wrong(format!("write \"{count}/min\""))),
            Some("hour" | "H") => return Err(wrong(format!("write \"{count}/h\""))),
            None | Some("") => return Err(wrong(format!("say in how long, as in \"{count}/min\""))),
            Some(_) => return Err(wrong(format!("write {}", Self::EXPECTED))),
        };
        match count.parse().ok().filter(|&count| count <= limits::RATE_MAX) {
            Some(count) => NonZeroU32::new(count).map(|count| Rate { count, per }).ok_or_else(|| {
                let instead = "write 1 or more; to let nobody in, write deny = [\"0.0.0.0/0\", \"::/0\"] in the route";
                Wrong::new(format!("{} would let nothing through", quoted(text)), instead)
            }),
            None => Err(Wrong::new(
                format!("{} is out of range", quoted(text)),
                format!("write 1 to {} in that time, or leave it out", limits::RATE_MAX),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let actual = Rate::from_text(text).map(|rate| rate.to_string());
        match (actual, expected) {
            (Ok(actual), Ok(expected)) => assert_eq!(actual, expected),
            (Err(wrong), Err(instead)) => assert!(wrong.instead.contains(instead), "{text}: {wrong:?}"),
            (actual, _) => panic!("{text}: {actual:?}"),
        }
    }

    #[test]
    fn a_rate_is_so_many_in_so_long() {
        check("30/min", Ok("30/min"));
        check("100/s", Ok("100/s"));
        check(" 10 / h ", Ok("10/h"));
        check("1000000/s", Ok("1000000/s"));
        check("30", Err("\"30/min\""));
        check("30/", Err("\"30/min\""));
        check("30/m", Err("write \"30/min\""));
        check("5/second", Err("write \"5/s\""));
        check("5/hour", Err("write \"5/h\""));
        for text in ["", "/s", "a/s", "-1/s", "1.5/s", "10r/s", "1/day", "1/s/s", "٣/s"] {
            check(text, Err("a rate, as in"));
        }
    }

    #[test]
    fn a_rate_lets_something_through_and_has_a_bound() {
        check("0/s", Err("write 1 or more"));
        check("1000001/s", Err("write 1 to 1000000"));
        check("99999999999/s", Err("write 1 to 1000000"));
    }
}
