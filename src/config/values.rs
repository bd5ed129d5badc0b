//! The single values of the config's mirror: text, numbers, durations, sizes.
//!
//! Owns: what each is written like, and what is said where it is written otherwise. Never: looks at another value.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected};

use super::field::SEPARATOR;
use super::problem::{Wrong, quoted};
use super::visit::read;
use crate::limits;

/// Something that is written as text in quotes.
pub(super) trait FromText: Sized {
    /// What is expected, with an example.
    const EXPECTED: &'static str;
    /// Texts that are right, for the schema.
    const EXAMPLES: &'static [&'static str];

    /// Whether it may be a secret, whose text is never shown.
    const SECRET: bool = false;
    /// Whether it is a URL: what may be secret in one is not shown, a user's name and password and the query.
    const IS_URL: bool = false;

    /// # Errors
    /// What is wrong with the text.
    fn from_text(text: &str) -> Result<Self, Wrong>;
}

/// Text that is read as `T`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parsed<T>(pub T);

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag(pub bool);

/// A whole number that is not negative.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole(pub u64);

/// Any number but the infinite ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub f64);

/// Bytes: `"64KiB"`, or a whole number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub u64);

/// A duration, or `false`: off.
#[derive(Debug, Clone, Copy)]
pub(super) struct DurationOrFalse(pub Option<Duration>);

/// Any value that JSON can say.
#[derive(Debug, Clone)]
pub(super) struct Json(pub serde_json::Value);

/// A text that is never shown. Not `Secret` itself, which knows nothing of files.
#[derive(Clone)]
pub(super) struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `wrong` as an error that serde carries to [`super::field::Field`].
pub(super) fn carried<E: de::Error>(wrong: &Wrong) -> E {
    E::custom(format_args!("{}{SEPARATOR}{}", wrong.what, wrong.instead))
}

impl FromText for String {
    const EXPECTED: &'static str = "text in quotes";
    const EXAMPLES: &'static [&'static str] = &[];

    fn from_text(text: &str) -> Result<String, Wrong> {
        Ok(text.to_owned())
    }
}

impl FromText for Duration {
    const EXPECTED: &'static str = "a duration, as in \"500ms\", \"5s\", \"1m\" or \"1h\"";
    const EXAMPLES: &'static [&'static str] = &["500ms", "5s", "1m", "1h"];

    fn from_text(text: &str) -> Result<Duration, Wrong> {
        let wrong = |remedy: String| Wrong::new(format!("{} is not a duration", quoted(text)), remedy);
        let (number, unit) = number_and_unit(text);
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            "" if !number.is_empty() => return Err(wrong(format!("add a unit, as in \"{number}s\""))),
            _ => return Err(wrong(format!("write {}", Self::EXPECTED))),
        };
        let number: u64 = number.parse().map_err(|_| wrong(format!("write {}", Self::EXPECTED)))?;
        number.checked_mul(millis).map(Duration::from_millis).filter(|&value| value <= limits::DURATION_MAX).ok_or_else(
            || {
                let days = limits::DURATION_MAX.as_secs() / (24 * 3600);
                Wrong::new(format!("{} is longer than {days} days", quoted(text)), "write a shorter duration")
            },
        )
    }
}

/// The digits a text starts with, and the rest of it.
fn number_and_unit(text: &str) -> (&str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (number, unit.trim())
}

impl Size {
    const EXPECTED: &'static str = "a size, as in \"64KiB\", \"10MiB\" or a number of bytes";

    fn from_text(text: &str) -> Result<Size, Wrong> {
        let wrong = |remedy: &str| Wrong::new(format!("{} is not a size", quoted(text)), remedy);
        let (number, unit) = number_and_unit(text);
        let scale: u64 = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "K" | "k" | "KB" | "kB" | "kb" | "kib" => return Err(wrong(&format!("write \"{number}KiB\""))),
            "M" | "m" | "MB" | "mB" | "mb" | "mib" => return Err(wrong(&format!("write \"{number}MiB\""))),
            "G" | "g" | "GB" | "gB" | "gb" | "gib" => return Err(wrong(&format!("write \"{number}GiB\""))),
            _ => return Err(wrong(&format!("write {}", Self::EXPECTED))),
        };
        let number: u64 = number.parse().map_err(|_| wrong(&format!("write {}", Self::EXPECTED)))?;
        number.checked_mul(scale).map(Size).ok_or_else(|| wrong("write a smaller size"))
    }
}

read!(['de, T: FromText] Parsed<T>, deserialize_str, T::EXPECTED, {
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Parsed<T>, E> {
        T::from_text(text).map(Parsed).map_err(|wrong| carried(&wrong))
    }
});

read!(['de] Flag, deserialize_bool, "true or false", {
    fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
        Ok(Flag(value))
    }
});

read!(['de] Hidden, deserialize_str, "text in quotes", {
    fn visit_str<E>(self, text: &str) -> Result<Hidden, E> {
        Ok(Hidden(text.to_owned()))
    }
});

read!(['de] Whole, deserialize_u64, "a whole number of 0 or more", {
    fn visit_u64<E>(self, value: u64) -> Result<Whole, E> {
        Ok(Whole(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Whole, E> {
        u64::try_from(value).map(Whole).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }
});

read!(['de] Number, deserialize_f64, "a number", {
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
        if value.is_finite() { Ok(Number(value)) } else { Err(E::invalid_value(Unexpected::Float(value), &self)) }
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
        // Only a threshold is compared with it: past 2^53 the nearest float is near enough.
        #[expect(clippy::cast_precision_loss, reason = "a threshold may be rounded")]
        Ok(Number(value as f64))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
        #[expect(clippy::cast_precision_loss, reason = "a threshold may be rounded")]
        Ok(Number(value as f64))
    }
});

read!(['de] Size, deserialize_any, Size::EXPECTED, {
    fn visit_u64<E>(self, value: u64) -> Result<Size, E> {
        Ok(Size(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Size, E> {
        u64::try_from(value).map(Size).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        Size::from_text(text).map_err(|wrong| carried(&wrong))
    }
});

read!(['de] DurationOrFalse, deserialize_any, "a duration, as in \"5s\", or false", {
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<DurationOrFalse, E> {
        if value { Err(E::invalid_value(Unexpected::Bool(true), &self)) } else { Ok(DurationOrFalse(None)) }
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<DurationOrFalse, E> {
        Duration::from_text(text).map(|value| DurationOrFalse(Some(value))).map_err(|wrong| carried(&wrong))
    }
});

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        to_json(value).map(Json).ok_or_else(|| {
            carried(&Wrong::new("JSON has no such number", "write a number that is neither inf nor nan"))
        })
    }
}

/// `None` for the floats that JSON has no way to write.
fn to_json(value: toml::Value) -> Option<serde_json::Value> {
    Some(match value {
        toml::Value::String(text) => serde_json::Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Value::Number(serde_json::Number::from_f64(number)?),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => serde_json::Value::String(time.to_string()),
        toml::Value::Array(items) => serde_json::Value::Array(items.into_iter().map(to_json).collect::<Option<_>>()?),
        toml::Value::Table(table) => serde_json::Value::Object(
            table.into_iter().map(|(key, value)| Some((key, to_json(value)?))).collect::<Option<_>>()?,
        ),
    })
}

impl<T: FromText> JsonSchema for Parsed<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed(T::EXPECTED)
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "string" });
        if !T::EXAMPLES.is_empty() {
            schema.insert("examples".to_owned(), T::EXAMPLES.into());
        }
        if T::SECRET {
            // As for `Hidden`.
            schema.insert("writeOnly".to_owned(), true.into());
        }
        if T::IS_URL {
            // This too is read by the loader.
            schema.insert("format".to_owned(), "uri".into());
        }
        schema
    }
}

/// The schema of a type that is the same wherever it stands.
macro_rules! schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(Flag, "Flag", { "type": "boolean" });
// `writeOnly` is also how the loader knows what never to show.
schema!(Hidden, "Hidden", { "type": "string", "writeOnly": true });
schema!(Whole, "Whole", { "type": "integer", "minimum": 0 });
schema!(Number, "Number", { "type": "number" });
schema!(Size, "Size", { "type": ["string", "integer"], "minimum": 0, "examples": ["64KiB", "10MiB", 512] });
schema!(DurationOrFalse, "DurationOrFalse", { "anyOf": [{ "type": "string" }, { "const": false }], "examples": ["5s", false] });
schema!(Json, "Json", true);

/// A duration as the config writes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown(pub Duration);

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0s"),
            millis if millis.is_multiple_of(3_600_000) => write!(f, "{}h", millis / 3_600_000),
            millis if millis.is_multiple_of(60_000) => write!(f, "{}m", millis / 60_000),
            millis if millis.is_multiple_of(1000) => write!(f, "{}s", millis / 1000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

/// A size in the largest unit that it is whole numbers of, as in `64KiB`; `None` if that is bytes.
#[must_use]
pub fn in_units(bytes: u64) -> Option<String> {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let (unit, scale) = units.into_iter().find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale))?;
    Some(format!("{}{unit}", bytes / scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn duration(text: &str, expected: Result<u64, &str>) {
        let actual = Duration::from_text(text).map(|value| u64::try_from(value.as_millis()).unwrap());
        assert_eq!(
            actual.map_err(|wrong| format!("{}; {}", wrong.what, wrong.instead)),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn durations_have_a_unit() {
        duration("100ms", Ok(100));
        duration("0s", Ok(0));
        duration("5s", Ok(5000));
        duration("1m", Ok(60_000));
        duration("2 h", Ok(7_200_000));
        duration("5", Err("`5` is not a duration; add a unit, as in \"5s\""));
        let example = "write a duration, as in \"500ms\", \"5s\", \"1m\" or \"1h\"";
        for wrong in ["", "s", "-5s", "1.5s", "5 seconds", "5S", "1d", "٣s"] {
            duration(wrong, Err(&format!("`{wrong}` is not a duration; {example}")));
        }
        duration("99999999999999999999s", Err(&format!("`99999999999999999999s` is not a duration; {example}")));
    }

    #[test]
    fn durations_end_at_their_limit() {
        let hours = limits::DURATION_MAX.as_secs() / 3600;
        duration(&format!("{hours}h"), Ok(hours * 3_600_000));
        let longer = format!("{}h", hours + 1);
        duration(&longer, Err(&format!("`{longer}` is longer than 366 days; write a shorter duration")));
        duration(
            "18446744073709551615h",
            Err("`18446744073709551615h` is longer than 366 days; write a shorter duration"),
        );
    }

    #[track_caller]
    fn size(text: &str, expected: Result<u64, &str>) {
        let actual = Size::from_text(text).map(|size| size.0);
        assert_eq!(
            actual.map_err(|wrong| format!("{}; {}", wrong.what, wrong.instead)),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn sizes_are_binary() {
        size("64KiB", Ok(65_536));
        size("1 MiB", Ok(1_048_576));
        size("2GiB", Ok(2_147_483_648));
        size("512", Ok(512));
        size("512B", Ok(512));
        size("10MB", Err("`10MB` is not a size; write \"10MiB\""));
        size("10k", Err("`10k` is not a size; write \"10KiB\""));
        size("big", Err("`big` is not a size; write a size, as in \"64KiB\", \"10MiB\" or a number of bytes"));
        size("18446744073709551615KiB", Err("`18446744073709551615KiB` is not a size; write a smaller size"));
    }

    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for text in ["1KiB", "1500KiB", "64MiB", "3GiB"] {
            assert_eq!(in_units(Size::from_text(text).unwrap().0).as_deref(), Some(text));
        }
        for bytes in [0, 1, 1023, 1025] {
            assert_eq!(in_units(bytes), None, "{bytes}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["0s", "1500ms", "5s", "90s", "1m", "2h"] {
            assert_eq!(Shown(Duration::from_text(text).unwrap()).to_string(), text);
        }
    }
}
