//! From the file as typed to the checked config: every part is judged, and all problems are collected.
//!
//! Owns: the order, and what two parts must agree on. Its submodules each own a part of the file.
//! Never: stops at a problem; what is wrong is reported and left out, and the config is then not served.

mod action;
mod admit;
mod around;
mod auth;
mod authorities;
mod dial;
mod feed;
mod key;
mod limit;
mod listener;
mod needless;
mod normal;
mod open;
mod process;
mod route;
mod session;
mod share;
mod source;
mod upstream;

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::field::{Field, List};
use super::file::ConfigFile;
use super::place::Places;
use super::problem::{Span, Text, Wrong, quoted};
use super::problems::Problems;
use super::surroundings::Surroundings;
use super::values::{Parsed, Shown, Size, Whole, in_units};
use super::{Config, nearest};
use crate::limits;
use crate::route::{Action, Options};
use action::Known;

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
    let trusts_nobody = match &file.trusted_proxies {
        Field::Absent => true,
        Field::Given(_, List(items)) => items.is_empty(),
        Field::Broken(..) => false,
    };
    let trusted_proxies = process::trusted_proxies(file.trusted_proxies, problems);
    let listeners = listener::listeners(file.listener, admin.options.as_ref(), trusts_nobody, problems);
    let upstreams = upstream::upstreams(file.upstream, problems);
    let feeds = feed::feeds(file.feed, admin.options.is_some(), problems);
    let auths = auth::auths(file.auth, text, problems);
    let named_limits = limit::limits(file.limit, problems);
    let known =
        Known { feeds: &feeds, upstreams: &upstreams, auths: &auths, named_limits: &named_limits, limits: &limits };
    let routes = route::routes(file.route, &known, text, problems);
    check_used(&known, &routes.options, problems);
    needless::check(&known, &routes.options, problems);
    open::check(&listeners.options, &listeners.places, &routes.options, problems);
    let places = Places {
        admin: admin.place,
        listeners: listeners.places,
        folders: routes.folders,
        auths: auths.iter().map(|auth| auth.key_place.clone()).collect(),
    };
    let config = Config {
        workers: NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN),
        log,
        admin: admin.options,
        drain,
        limits,
        trusted_proxies,
        listeners: listeners.options,
        upstreams: upstreams.into_iter().map(|upstream| upstream.options).collect(),
        auths: auths.into_iter().map(|auth| auth.options).collect(),
        limit: named_limits.into_iter().map(|limit| limit.options).collect(),
        feeds: feeds.into_iter().map(|feed| feed.config).collect(),
        routes: routes.options,
    };
    (config, places)
}

/// Reports what no route names, where everything else is right.
fn check_used(known: &Known<'_>, routes: &[Options], problems: &mut Problems) {
    if problems.have_errors() {
        return;
    }
    let mut unused = |place: &Span, name: &str, what: &str, key: &str, is_used: &dyn Fn(&Options) -> bool| {
        if !routes.iter().any(is_used) {
            let what = format!("no route {what} {}", quoted(name));
            let instead = format!("name it in one ({key} = \"{name}\"), or remove it");
            problems.warning(place.clone(), Wrong::new(what, instead));
        }
    };
    for upstream in known.upstreams {
        let name = &upstream.options.name;
        unused(&upstream.place, name, "forwards to", "proxy", &|route| match &route.action {
            Action::Proxy { upstream } | Action::Session { upstream, .. } => upstream == name,
            Action::Feed { .. }
            | Action::Page { .. }
            | Action::Respond(_)
            | Action::Ticket { .. }
            | Action::Files(_)
            | Action::Redirect(_) => false,
        });
    }
    for auth in known.auths {
        let name = &auth.options.name;
        unused(&auth.place, name, "asks for a token of", "auth", &|route| {
            route.auth.as_ref() == Some(name) || matches!(&route.action, Action::Ticket { auth } if auth == name)
        });
    }
    for limit in known.named_limits {
        let name = &limit.options.name;
        unused(&limit.place, name, "is limited by", "limit", &|route| route.limit.as_ref() == Some(name));
    }
}

/// A number within `range`.
fn whole(field: Field<Whole>, range: RangeInclusive<usize>, default: usize, problems: &mut Problems) -> usize {
    let Some((span, Whole(value))) = field.read(problems) else { return default };
    within(value, &range, |value| value.to_string(), span, problems);
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A size within `range`.
fn size(field: Field<Size>, range: RangeInclusive<usize>, default: usize, problems: &mut Problems) -> usize {
    let Some((span, Size(value))) = field.read(problems) else { return default };
    within(value, &range, shown_size, span, problems);
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A size as the config writes it.
fn shown_size(bytes: u64) -> String {
    in_units(bytes).map_or_else(|| bytes.to_string(), |size| format!("\"{size}\""))
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

/// The longest name of a feed, an upstream, an auth or a limit.
const NAME_LENGTH: usize = 64;

/// Reports a name that can't be that of `what`, a thing with an article.
fn check_name(what: &str, name: &str, span: &Span, problems: &mut Problems) {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > NAME_LENGTH || !name.bytes().all(is_name) {
        let what = format!("{} can't be the name of {what}", quoted(name));
        let instead = format!("use 1 to {NAME_LENGTH} letters, digits, `-` and `_`");
        problems.error(span.clone(), Wrong::new(what, instead));
    }
}

/// Reports that `name` is no feed of this config.
fn no_such_feed<'a>(name: &str, span: Span, feeds: impl Iterator<Item = &'a str> + Clone, problems: &mut Problems) {
    let what = format!("there is no feed {}", quoted(name));
    let instead = match feeds.clone().next() {
        Some(_) => nearest::write_one_of(name, feeds),
        None => "define it: [feed.NAME] with a `source`".to_owned(),
    };
    problems.absent(span, Wrong::new(what, instead));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for (bytes, expected) in [(0, "0"), (1025, "1025"), (8192, "\"8KiB\""), (1 << 20, "\"1MiB\"")] {
            assert_eq!(shown_size(bytes), expected);
        }
    }
}
