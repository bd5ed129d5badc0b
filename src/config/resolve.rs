//! From the file as typed to the checked config: every part is judged, and all problems are collected.
//!
//! Owns: the order, and what two parts must agree on. Its submodules each own a part of the file.
//! Never: stops at a problem; what is wrong is reported and left out, and the config is then not served.

mod feed;
mod listener;
mod process;
mod route;
mod source;

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::field::{Field, List};
use super::file::ConfigFile;
use super::place::Places;
use super::problem::{Span, Text, Wrong};
use super::problems::Problems;
use super::surroundings::Surroundings;
use super::values::{Parsed, Shown, Whole};
use super::{Config, nearest};
use crate::limits;

/// The config that `file` says, which holds only where `problems` have no errors.
pub(super) fn resolve(
    file: ConfigFile,
    text: &Text,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> (Config, Places) {
    let cpus = surroundings.cpus.get().min(limits::WORKERS_MAX);
    let workers = whole(file.workers, 1..=limits::WORKERS_MAX, cpus, problems);
    let log = process::log(file.log, problems);
    let admin = process::admin(file.admin, problems);
    let drain = process::drain(file.drain, problems);
    let limits = process::limits(file.limits, surroundings.descriptors, problems);
    let listeners = listener::listeners(file.listener, admin.options.as_ref(), problems);
    let feeds = feed::feeds(file.feed, admin.options.is_some(), problems);
    let routes = route::routes(file.route, &feeds, text, problems);
    let places = Places { admin: admin.place, listeners: listeners.places };
    let config = Config {
        workers: NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN),
        log,
        admin: admin.options,
        drain,
        limits,
        listeners: listeners.options,
        upstreams: Vec::new(),
        feeds: feeds.into_iter().map(|feed| feed.config).collect(),
        routes,
    };
    (config, places)
}

/// A number within `range`.
fn whole(field: Field<Whole>, range: RangeInclusive<usize>, default: usize, problems: &mut Problems) -> usize {
    let Some((span, Whole(value))) = field.read(problems) else { return default };
    within(value, &range, |value| value.to_string(), span, problems);
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A duration within `range`.
fn duration(
    field: Field<Parsed<Duration>>,
    range: RangeInclusive<Duration>,
    default: Duration,
    problems: &mut Problems,
) -> Duration {
    let Some((span, Parsed(value))) = field.read(problems) else { return default };
    bounded_duration(value, range, span, problems);
    value
}

/// Reports a duration out of `range`.
fn bounded_duration(value: Duration, range: RangeInclusive<Duration>, span: Span, problems: &mut Problems) {
    if !range.contains(&value) {
        let what = format!("\"{}\" is out of range", Shown(value));
        let instead = format!("write \"{}\" to \"{}\"", Shown(*range.start()), Shown(*range.end()));
        problems.error(span, Wrong::new(what, instead));
    }
}

/// Reports a number out of `range`, both as `shown`.
fn within(
    value: u64,
    range: &RangeInclusive<usize>,
    shown: impl Fn(u64) -> String,
    span: Span,
    problems: &mut Problems,
) {
    let (least, most) = (*range.start() as u64, *range.end() as u64);
    if !(least..=most).contains(&value) {
        let what = format!("{} is out of range", shown(value));
        problems.error(span, Wrong::new(what, format!("write {} to {}", shown(least), shown(most))));
    }
}

/// Durations that are waited for: never none at all, and never beyond what clocks can take.
const POSITIVE: RangeInclusive<Duration> = Duration::from_millis(1)..=limits::DURATION_MAX;
/// Durations that may be none.
const ANY: RangeInclusive<Duration> = Duration::ZERO..=limits::DURATION_MAX;
/// How often something is said or read.
const INTERVAL: RangeInclusive<Duration> = limits::INTERVAL_MIN..=limits::DURATION_MAX;

/// A list of tables, where one that was written as a single table is told its brackets.
fn tables<T>(name: &str, field: Field<List<T>>, problems: &mut Problems) -> Option<(Span, Vec<Field<T>>)> {
    let field = match field {
        Field::Broken(span, wrong) if wrong.what.starts_with("a table") => {
            Field::Broken(span, Wrong::new(format!("there may be several of `{name}`"), format!("write [[{name}]]")))
        }
        field @ (Field::Absent | Field::Given(..) | Field::Broken(..)) => field,
    };
    field.read(problems).map(|(span, List(items))| (span, items))
}

/// Cuts what there is too much of down to `most`, and says so at the first that is one too many.
fn cut<T>(items: &mut Vec<T>, most: usize, what: &str, place: impl Fn(&T) -> Span, problems: &mut Problems) {
    let count = items.len();
    if let Some(first) = items.get(most) {
        let wrong = Wrong::new(format!("these are {count} {what}, and {most} are served"), "remove some");
        problems.error(place(first), wrong);
    }
    items.truncate(most);
}

/// Reports that `name` is no feed of this config.
fn no_such_feed<'a>(name: &str, span: Span, feeds: impl Iterator<Item = &'a str> + Clone, problems: &mut Problems) {
    let what = format!("there is no feed {}", super::problem::quoted(name));
    let instead = match feeds.clone().next() {
        Some(_) => nearest::write_one_of(name, feeds),
        None => "define it: [feed.NAME] with a `source`".to_owned(),
    };
    problems.absent(span, Wrong::new(what, instead));
}
