//! What feeds and sessions have in common: how messages become envelopes, and how those are told.

use std::time::Duration;

use super::{INTERVAL, POSITIVE, bounded_duration, duration};
use crate::config::choice::OneOf;
use crate::config::field::{Field, List, Named, Table};
use crate::config::file::SkipFile;
use crate::config::problem::{Span, Wrong};
use crate::config::problems::Problems;
use crate::config::texts::{Pointer, ZoneOffset};
use crate::config::values::{DurationOrFalse, Flag, Json, Parsed};
use crate::feed::{Delivery, NormalizeOptions, Shape, Skip};

/// The keys about what a message is.
pub(super) struct NormalKeys {
    pub(super) type_: Field<Parsed<String>>,
    pub(super) skip: Field<List<Table<SkipFile>>>,
    pub(super) skip_system: Field<Flag>,
    pub(super) rename: Field<Named<Parsed<String>>>,
    pub(super) key: Field<Parsed<Pointer>>,
    pub(super) naive_time: Field<Parsed<ZoneOffset>>,
}

/// The keys about how it is told.
pub(super) struct DeliveryKeys {
    pub(super) shape: Field<OneOf<Shape>>,
    pub(super) greet: Field<Flag>,
    pub(super) keepalive: Field<DurationOrFalse>,
    pub(super) ping: Field<DurationOrFalse>,
    pub(super) pong_timeout: Field<Parsed<Duration>>,
    pub(super) notices: Field<Flag>,
}

pub(super) fn normalize(keys: NormalKeys, problems: &mut Problems) -> NormalizeOptions {
    let default = NormalizeOptions::default();
    NormalizeOptions {
        type_: type_name(keys.type_, problems).unwrap_or(default.type_),
        skip: skips(keys.skip, problems),
        skip_system: flag(keys.skip_system, default.skip_system, problems),
        rename: renames(keys.rename, problems),
        key: keys.key.value(problems).map(|Parsed(pointer)| pointer.0),
        naive_offset: keys.naive_time.value(problems).map_or(default.naive_offset, |Parsed(offset)| offset.0),
    }
}

pub(super) fn delivery(keys: DeliveryKeys, problems: &mut Problems) -> Delivery {
    let default = Delivery::default();
    Delivery {
        shape: keys.shape.value(problems).map_or(default.shape, |word| word.0),
        greet: flag(keys.greet, default.greet, problems),
        keepalive: interval(keys.keepalive, problems).unwrap_or(default.keepalive),
        ping: interval(keys.ping, problems).unwrap_or(default.ping),
        pong_timeout: duration(keys.pong_timeout, POSITIVE, default.pong_timeout, problems),
        notices: flag(keys.notices, default.notices, problems),
    }
}

pub(super) fn flag(field: Field<Flag>, default: bool, problems: &mut Problems) -> bool {
    field.value(problems).map_or(default, |Flag(value)| value)
}

/// A keepalive or ping: `Some(None)` is off, `None` is not set (or wrong, which was reported).
pub(super) fn interval(field: Field<DurationOrFalse>, problems: &mut Problems) -> Option<Option<Duration>> {
    let (span, DurationOrFalse(value)) = field.read(problems)?;
    match value {
        Some(Duration::ZERO) => problems.error(span, Wrong::new("\"0s\" would be without end", "write false: off")),
        Some(every) => bounded_duration(every, INTERVAL, span, problems),
        None => {}
    }
    Some(value)
}

/// A message type: not empty.
fn type_name(field: Field<Parsed<String>>, problems: &mut Problems) -> Option<String> {
    let (span, Parsed(name)) = field.read(problems)?;
    if name.is_empty() {
        problems.error(span, Wrong::new("a type is never empty", "write a name, as in \"dashboard_stats\""));
    }
    Some(name)
}

fn renames(file: Field<Named<Parsed<String>>>, problems: &mut Problems) -> Vec<(String, String)> {
    let entries = file.entries(problems);
    entries.into_iter().filter_map(|(old, new)| Some((old.into_inner(), type_name(new, problems)?))).collect()
}

fn skips(file: Field<List<Table<SkipFile>>>, problems: &mut Problems) -> Vec<Skip> {
    file.values(problems).into_iter().filter_map(|(span, Table(file))| skip(&span, file, problems)).collect()
}

fn skip(span: &Span, file: SkipFile, problems: &mut Problems) -> Option<Skip> {
    let instead = "write { type = \"...\" }, or { at = \"/...\", equals = ... }";
    let given = (!file.type_.is_absent(), !file.at.is_absent(), !file.equals.is_absent());
    let type_ = type_name(file.type_, problems);
    let at = file.at.value(problems);
    let equals = file.equals.value(problems);
    match given {
        (true, false, false) => return type_.map(Skip::Type),
        (false, true, true) => {}
        (false, false, false) => problems.absent(span.clone(), Wrong::new("this says nothing to skip", instead)),
        (true, _, _) => problems.error(span.clone(), Wrong::new("`type` stands beside `at` or `equals`", instead)),
        (false, true, false) => problems.absent(span.clone(), Wrong::new("`at` is without `equals`", instead)),
        (false, false, true) => problems.absent(span.clone(), Wrong::new("`equals` is without `at`", instead)),
    }
    match (at, equals) {
        (Some(Parsed(at)), Some(Json(equals))) => Some(Skip::At { at: at.0, equals }),
        (_, None) | (None, _) => None,
    }
}
