//! `[feed.NAME]`: a feed's own settings; its sources are in `source`.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{ANY, INTERVAL, POSITIVE, bounded_duration, check_name, cut, duration, source, whole};
use crate::config::FeedConfig;
use crate::config::field::{Field, List, Named, Table};
use crate::config::file::{FeedFile, SkipFile};
use crate::config::problem::{Span, Wrong};
use crate::config::problems::Problems;
use crate::config::values::{DurationOrFalse, Flag, Json, Parsed};
use crate::feed::{Delivery, NormalizeOptions, Options, Skip};
use crate::limits;

/// A feed, as far as it could be read.
pub(super) struct Feed {
    pub(super) config: FeedConfig,
    /// The feeds its alerts watch, and where they are named.
    pub(super) watches: Vec<(String, Span)>,
}

impl Feed {
    pub(super) fn name(&self) -> &str {
        &self.config.feed.name
    }
}

pub(super) fn feeds(file: Field<Named<Table<FeedFile>>>, has_admin: bool, problems: &mut Problems) -> Vec<Feed> {
    let mut feeds = Vec::new();
    let mut files = file.entries(problems);
    cut(&mut files, limits::FEEDS, "feeds", |(name, _)| name.span(), problems);
    for (name, file) in files {
        check_name("a feed", name.get_ref(), &name.span(), problems);
        let header = file.span().unwrap_or_default();
        // A feed that is wrong is there all the same: whoever names it is right, and nothing of it is absent.
        if matches!(file, Field::Broken(..)) {
            problems.flaw(&header);
        }
        let file = file.keys(problems);
        feeds.push(feed(name.into_inner(), &header, file, has_admin, problems));
    }
    source::check_watches(&feeds, problems);
    feeds
}

fn feed(name: String, header: &Span, file: FeedFile, has_admin: bool, problems: &mut Problems) -> Feed {
    let normal = NormalizeOptions::default();
    let normalize = NormalizeOptions {
        type_: type_name(file.type_, problems).unwrap_or(normal.type_),
        skip: skips(file.skip, problems),
        skip_system: flag(file.skip_system, normal.skip_system, problems),
        rename: renames(file.rename, problems),
        key: file.key.value(problems).map(|Parsed(pointer)| pointer.0),
        naive_offset: file.naive_time.value(problems).map_or(normal.naive_offset, |Parsed(offset)| offset.0),
    };
    let default = Delivery::default();
    let delivery = Delivery {
        shape: file.shape.value(problems).map_or(default.shape, |word| word.0),
        greet: flag(file.greet, default.greet, problems),
        keepalive: interval(file.keepalive, problems).unwrap_or(default.keepalive),
        ping: interval(file.ping, problems).unwrap_or(default.ping),
        pong_timeout: duration(file.pong_timeout, POSITIVE, default.pong_timeout, problems),
        notices: default.notices,
    };
    let keys = whole(file.keys, 1..=limits::KEYS_MAX, limits::KEYS, problems);
    let defaults = Options::named(&name);
    let feed = Options {
        normalize,
        keys: NonZeroUsize::new(keys).unwrap_or(NonZeroUsize::MIN),
        snapshot: file.snapshot.value(problems).map_or(defaults.snapshot, |word| word.0),
        history: whole(file.history, 0..=limits::HISTORY_MAX, defaults.history, problems),
        min_interval: duration(file.min_interval, ANY, defaults.min_interval, problems),
        slow: file.slow.value(problems).map_or(defaults.slow, |word| word.0),
        max_message: defaults.max_message,
        share: defaults.share,
        linger: defaults.linger,
        delivery,
        name,
    };
    let sources = source::sources(&feed.name, header, file.source, file.sources, has_admin, problems);
    let config = FeedConfig { feed, sources: sources.options, fallback: None, forward_token: None };
    Feed { config, watches: sources.watches }
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
