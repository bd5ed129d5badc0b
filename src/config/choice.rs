//! Values that are one of a few words.
//!
//! Owns: the words of each, and [`OneOf`], which names the nearest where another was written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de;

use super::nearest;
use super::problem::{Wrong, quoted};
use super::values::carried;
use super::visit::read;
use crate::feed::{Shape, Slow, Snapshot};
use crate::guard::Algorithm;
use crate::handler::Held;
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

impl Choice for Held {
    const WORDS: &'static [(&'static str, Held)] = &[("queue", Held::Queue), ("refuse", Held::Refuse)];
}

/// One word of `share`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShareBy {
    Path,
    Query,
    Subject,
}

impl Choice for ShareBy {
    const WORDS: &'static [(&'static str, ShareBy)] =
        &[("path", ShareBy::Path), ("query", ShareBy::Query), ("subject", ShareBy::Subject)];
}

impl Choice for Algorithm {
    const WORDS: &'static [(&'static str, Algorithm)] = &Algorithm::NAMES;
}

/// The word for `value`.
pub(super) fn word<T: Choice + PartialEq>(value: T) -> &'static str {
    T::WORDS.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// The words of `T`.
fn words<T: Choice>() -> impl Iterator<Item = &'static str> + Clone {
    T::WORDS.iter().map(|&(word, _)| word)
}

read!(['de, T: Choice] OneOf<T>, deserialize_str, &expected::<T>(), {
    fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOf<T>, E> {
        let known = T::WORDS.iter().find(|(word, _)| *word == text);
        known.map(|&(_, value)| OneOf(value)).ok_or_else(|| {
            carried(&Wrong::new(format!("{} is not known here", quoted(text)), nearest::write_one_of(text, words::<T>())))
        })
    }
});

/// The words of `T`, each in quotes.
fn expected<T: Choice>() -> String {
    words::<T>().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

impl<T: Choice> JsonSchema for OneOf<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(words::<T>().collect::<Vec<_>>().join("Or"))
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": words::<T>().collect::<Vec<_>>() })
    }
}
