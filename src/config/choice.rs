//! Values that are one of a few words.
//!
//! Owns: the words of each, and [`OneOf`], which names the nearest where another was written.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::field::SEPARATOR;
use super::nearest;
use super::problem::quoted;
use crate::feed::{Shape, Slow, Snapshot};
use crate::net::tls::MinVersion;
use crate::telemetry::LogFormat;
use crate::upstream::Balance;

/// A type that the config writes as one of a few words.
pub(super) trait Choice: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

/// One of the words of `T`.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneOf<T>(pub T);

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}

impl Choice for tracing::Level {
    const WORDS: &'static [(&'static str, tracing::Level)] = &[
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
}

impl Choice for MinVersion {
    const WORDS: &'static [(&'static str, MinVersion)] = &[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
}

impl Choice for Shape {
    const WORDS: &'static [(&'static str, Shape)] =
        &[("envelope", Shape::Envelope), ("mirrored", Shape::Mirrored), ("raw", Shape::Raw)];
}

impl Choice for Snapshot {
    const WORDS: &'static [(&'static str, Snapshot)] =
        &[("last", Snapshot::Last), ("history", Snapshot::History), ("none", Snapshot::None)];
}

impl Choice for Slow {
    const WORDS: &'static [(&'static str, Slow)] = &[("conflate", Slow::Conflate), ("close", Slow::Close)];
}

impl Choice for Balance {
    const WORDS: &'static [(&'static str, Balance)] =
        &[("least_conn", Balance::LeastConn), ("round_robin", Balance::RoundRobin), ("client_ip", Balance::ClientIp)];
}

/// The words of `T`.
fn words<T: Choice>() -> impl Iterator<Item = &'static str> + Clone {
    T::WORDS.iter().map(|&(word, _)| word)
}

impl<'de, T: Choice> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor<T>(PhantomData<T>);
        impl<T: Choice> Visitor<'_> for WordVisitor<T> {
            type Value = OneOf<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (index, word) in words::<T>().enumerate() {
                    write!(f, "{}\"{word}\"", if index == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                match T::WORDS.iter().find(|(word, _)| *word == text) {
                    Some(&(_, value)) => Ok(OneOf(value)),
                    None => {
                        let instead = nearest::write_one_of(text, words::<T>());
                        Err(E::custom(format_args!("{} is not known here{SEPARATOR}{instead}", quoted(text))))
                    }
                }
            }
        }
        deserializer.deserialize_str(WordVisitor(PhantomData))
    }
}

impl<T: Choice> JsonSchema for OneOf<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(words::<T>().collect::<Vec<_>>().join("Or"))
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": words::<T>().collect::<Vec<_>>() })
    }
}
