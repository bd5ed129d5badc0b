//! nginx's times, sizes, rates and texts with variables, and how this project's config writes them.

use super::scope::Scope;
use crate::config::in_units;
use crate::limits;

/// A time of nginx in milliseconds: `30`, `30s`, `1h30m`, `1y`.
pub(super) fn millis(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let scale: u64 = match rest.get(..unit)?.trim() {
            "ms" => 1,
            "" | "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "M" => 30 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return None,
        };
        rest = rest.get(unit..)?;
        total = total.checked_add(number.checked_mul(scale)?)?;
    }
    (!text.is_empty()).then_some(total)
}

/// Milliseconds as the config writes them; at most the longest duration it takes.
pub(super) fn duration(millis: u64) -> String {
    let most = u64::try_from(limits::DURATION_MAX.as_millis()).unwrap_or(u64::MAX);
    match millis.min(most) {
        0 => "0s".to_owned(),
        millis if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        millis if millis >= 120_000 && millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        millis if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

/// A size of nginx in bytes: `1024`, `8k`, `10m`, `1g`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// Bytes as the config writes them.
pub(super) fn size(bytes: u64) -> String {
    in_units(bytes).unwrap_or_else(|| format!("{bytes}B"))
}

/// A rate of nginx, `10r/s` or `30r/m`, as the config writes it.
pub(super) fn rate(text: &str) -> Option<String> {
    let (number, unit) = text.split_once("r/")?;
    number.parse::<u32>().ok().filter(|number| (1..=limits::RATE_MAX).contains(number))?;
    match unit {
        "s" => Some(format!("{number}/s")),
        "m" => Some(format!("{number}/min")),
        _ => None,
    }
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// Its name, without `$` and braces.
    Variable(String),
}

/// A text cut into what stands for itself and what stands for something else. `${UPPER_CASE}` is of the environment,
/// where a container's start fills it in: it stays as it is, since our config reads it the same way.
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, braced, remaining) = match after.strip_prefix('{') {
            // Never closed: no text of ours may hold it.
            Some(inside) => inside.split_once('}').map_or((inside, true, ""), |(name, after)| (name, true, after)),
            None => {
                let end = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
                (after.get(..end).unwrap_or_default(), false, after.get(end..).unwrap_or_default())
            }
        };
        rest = remaining;
        if braced && is_of_environment(name) {
            plain.push_str(&format!("${{{name}}}"));
        } else if name.is_empty() && !braced {
            // A regex or a price.
            plain.push('$');
        } else {
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Variable(name.to_owned()));
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}

fn is_of_environment(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// How often a variable may be set to a text with variables.
const SET_DEPTH: usize = 4;

/// The text with what `set` gave its variables; other variables stay.
pub(super) fn settled(text: &str, scope: &Scope<'_>) -> Vec<Part> {
    let mut settled = parts(text);
    let mut filled = 0;
    for _ in 0..SET_DEPTH {
        let mut next = Vec::new();
        let mut changed = false;
        for part in settled {
            match part {
                Part::Variable(name) => match scope.set_to(&name) {
                    Some(value) if filled + value.len() <= limits::IMPORT_TEXT => {
                        changed = true;
                        // An empty one goes round in circles too.
                        filled += value.len().max(1);
                        next.extend(parts(value));
                    }
                    Some(_) | None => next.push(Part::Variable(name)),
                },
                Part::Text(_) => next.push(part),
            }
        }
        settled = next;
        if !changed {
            break;
        }
    }
    settled
}

/// The text, if it is the same for all requests.
pub(super) fn constant(text: &str, scope: &Scope<'_>) -> Option<String> {
    settled(text, scope).into_iter().try_fold(String::new(), |mut whole, part| match part {
        Part::Text(text) => {
            whole.push_str(&text);
            Some(whole)
        }
        Part::Variable(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::syntax::{Directive, Place};
    use super::*;

    #[test]
    fn times_are_written_as_durations() {
        for (text, expected) in [
            ("30", Some("30s")),
            ("65", Some("65s")),
            ("1m", Some("60s")),
            ("10m", Some("10m")),
            ("500ms", Some("500ms")),
            ("1h30m", Some("90m")),
            ("1d", Some("24h")),
            ("1y", Some("8760h")),
            ("9y", Some("8784h")),
            ("0", Some("0s")),
            ("", None),
            ("soon", None),
            ("1x", None),
            ("99999999999999999999", None),
            ("18446744073709551615y", None),
            ("1é", None),
        ] {
            assert_eq!(millis(text).map(duration).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_binary_in_both() {
        for (text, expected) in [
            ("20m", Some("20MiB")),
            ("8K", Some("8KiB")),
            ("1g", Some("1GiB")),
            ("1500", Some("1500B")),
            ("0", Some("0B")),
            ("", None),
            ("10mb", None),
            ("18446744073709551615g", None),
        ] {
            assert_eq!(bytes(text).map(size).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn rates_have_a_unit() {
        for (text, expected) in [
            ("10r/s", Some("10/s")),
            ("30r/m", Some("30/min")),
            ("0r/s", None),
            ("r/s", None),
            ("10", None),
            ("1000001r/s", None),
        ] {
            assert_eq!(rate(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_set_gives_is_filled_in_up_to_a_limit() {
        let set = |name: &str, value: String| Directive {
            id: 0,
            name: "set".to_owned(),
            args: vec![name.to_owned(), value],
            place: Place::default(),
            block: None,
        };
        let block = [
            set("$app", "http://${host_part}:80".to_owned()),
            set("$host_part", "app".to_owned()),
            set("$round", "$round$round".to_owned()),
            set("$large", "x".repeat(limits::IMPORT_TEXT / 2)),
        ];
        let scope = Scope::default().with(&block);
        assert_eq!(constant("$app/x", &scope).as_deref(), Some("http://app:80/x"));
        assert_eq!(constant("$round", &scope), None);
        assert_eq!(constant("$large$large", &scope).map(|text| text.len()), Some(limits::IMPORT_TEXT));
        assert_eq!(constant("$large$large$large", &scope), None);
    }

    #[test]
    fn variables_are_told_from_text() {
        let shown = |text: &str| {
            let parts = parts(text).into_iter().map(|part| match part {
                Part::Text(text) => text,
                Part::Variable(name) => format!("<{name}>"),
            });
            parts.collect::<Vec<_>>().join("|")
        };
        assert_eq!(shown("https://$host$request_uri"), "https://|<host>|<request_uri>");
        assert_eq!(shown("${a}b$"), "<a>|b$");
        assert_eq!(shown("http://${APP_HOST}:8000"), "http://${APP_HOST}:8000");
        assert_eq!(shown("x${a"), "x|<a>");
        assert_eq!(shown("${}x"), "<>|x");
        assert_eq!(shown(""), "");
    }
}
