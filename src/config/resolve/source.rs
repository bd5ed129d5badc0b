//! `source` and `sources` of a feed.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use super::feed::Feed;
use super::{ANY, INTERVAL, cut, dial, duration, no_such_feed};
use crate::config::field::{Field, List, Table};
use crate::config::file::{AlertsFile, FallbackFile, RuleFile, SourceFile, StatsFile};
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::values::{Number, Parsed};
use crate::limits;
use crate::source::{AlertRule, AlertsOptions, Fallback, Options, PollOptions, StatsOptions};

/// A feed's sources, and the feeds that its alerts watch, with where they are named.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) options: Vec<Options>,
    pub(super) watches: Vec<(String, Span)>,
    /// The keys of those that dial nothing, and where their values stand.
    pub(super) undialled: Vec<(&'static str, Span)>,
}

pub(super) fn sources(
    feed: &str,
    header: &Span,
    one: Field<Table<SourceFile>>,
    several: Field<List<Table<SourceFile>>>,
    has_admin: bool,
    problems: &mut Problems,
) -> Sources {
    if one.is_absent() && several.is_absent() {
        let what = format!("feed {} has no source", quoted(feed));
        problems.absent(header.clone(), Wrong::new(what, "add one: source = { stats = {} }"));
    }
    if let (Some(_), Some(span)) = (one.span(), several.span()) {
        problems.error(span, Wrong::new("`sources` stands beside `source`", "put both into `sources`"));
    }
    if let Field::Given(span, List(items)) = &several
        && items.is_empty()
    {
        problems.error(span.clone(), Wrong::new("this list is empty", "write [{ stats = {} }]"));
    }
    let mut sources = Sources::default();
    let mut several = several;
    if let Field::Given(_, List(items)) = &mut several {
        cut(items, limits::SOURCES, "sources", |item| item.span().unwrap_or_default(), problems);
    }
    let mut files: Vec<(Span, Table<SourceFile>)> = one.read(problems).into_iter().collect();
    files.extend(several.values(problems));
    for (span, Table(file)) in files {
        source(&span, file, has_admin, &mut sources, problems);
    }
    sources
}

/// `fallback`: a source that is no part of the feed's own.
pub(super) fn fallback(
    file: Field<Table<FallbackFile>>,
    sources: &Sources,
    problems: &mut Problems,
) -> Option<Fallback> {
    let (span, Table(file)) = file.read(problems)?;
    let FallbackFile { stats, websocket, poll, sse, every, headers, after } = file;
    let after = duration(after, ANY, limits::FALLBACK_AFTER, problems);
    if let (Some((key, _)), true) = (sources.undialled.first(), sources.options.len() == sources.undialled.len()) {
        let what = format!("this would never serve: a source like `{key}` is never down");
        problems.warning(span.clone(), Wrong::new(what, "remove `fallback`"));
    }
    let file =
        SourceFile { stats, websocket, poll, sse, every, headers, alerts: Field::Absent, publish: Field::Absent };
    let mut alone = Sources::default();
    source(&span, file, true, &mut alone, problems);
    alone.options.into_iter().next().map(|source| Fallback { source, after })
}

fn source(span: &Span, file: SourceFile, has_admin: bool, sources: &mut Sources, problems: &mut Problems) {
    let dialled = dial::is_given(&file);
    let given = [file.stats.is_absent(), file.alerts.is_absent(), file.publish.is_absent()];
    match given.iter().filter(|absent| !**absent).count() + dialled {
        1 => {}
        0 => {
            let instead = "write one, as in { websocket = \"ws://app:8000/ws\" }, { poll = \"http://app:8000/stats\" }, \
                { sse = \"http://app:8000/events\" } or { stats = {} }";
            problems.absent(span.clone(), Wrong::new("this source has no kind", instead));
        }
        _ => {
            let instead = "keep one, or list both: sources = [{ ... }, { ... }]";
            problems.error(span.clone(), Wrong::new("a source has one kind, and this has several", instead));
        }
    }
    dial::check_fit(&file, dialled > 0, problems);
    let headers = dial::headers(file.headers, problems);
    let every = duration(file.every, INTERVAL, limits::POLL_EVERY, problems);
    if let Some((span, Table(file))) = file.stats.read(problems) {
        sources.undialled.push(("stats", span));
        sources.options.push(Options::Stats(stats(file, problems)));
    }
    if let Some(Parsed(url)) = file.websocket.value(problems) {
        sources.options.push(Options::Websocket(dial::options(url.0, headers.clone())));
    }
    if let Some(Parsed(url)) = file.poll.value(problems) {
        let dial = dial::options(url.0, headers.clone());
        sources.options.push(Options::Poll(PollOptions { dial, every }));
    }
    if let Some(Parsed(url)) = file.sse.value(problems) {
        sources.options.push(Options::Sse(dial::options(url.0, headers)));
    }
    if let Some((span, Table(file))) = file.alerts.read(problems) {
        let alerts = alerts(&span, file, sources, problems);
        sources.undialled.push(("alerts", span));
        sources.options.push(Options::Alerts(alerts));
    }
    if let Some((span, _)) = file.publish.read(problems) {
        if !has_admin {
            let what = "nobody can publish: the admin listener is off";
            problems.warning(span.clone(), Wrong::new(what, "give [admin] a `listen` address"));
        }
        sources.undialled.push(("publish", span));
        sources.options.push(Options::Publish);
    }
}

fn stats(file: StatsFile, problems: &mut Problems) -> StatsOptions {
    let path = file.path.read(problems).map(|(span, Parsed(path))| {
        if !path.starts_with('/') {
            let what = format!("{} is not an absolute path", quoted(&path));
            problems.error(span, Wrong::new(what, "start it with a slash, as in \"/\""));
        }
        PathBuf::from(path)
    });
    StatsOptions {
        every: duration(file.every, INTERVAL, limits::STATS_EVERY, problems),
        path: path.unwrap_or_else(|| PathBuf::from("/")),
    }
}

fn alerts(span: &Span, file: AlertsFile, sources: &mut Sources, problems: &mut Problems) -> AlertsOptions {
    if file.of.is_absent() {
        let what = "these alerts watch no feed";
        problems.absent(span.clone(), Wrong::new(what, "name one: of = \"...\""));
    }
    let of = file.of.read(problems).map(|(span, Parsed(of))| {
        sources.watches.push((of.clone(), span));
        of
    });
    let example = "{ at = \"/data/cpu/usage\", above = 90 }";
    if file.rules.is_absent() {
        problems.absent(span.clone(), Wrong::new("these alerts have no rules", format!("add rules = [{example}]")));
    }
    let rules = match file.rules.read(problems) {
        Some((span, List(items))) => {
            if items.is_empty() {
                problems.error(span.clone(), Wrong::new("this list is empty", format!("write [{example}]")));
            }
            if items.len() > limits::ALERT_RULES {
                let what = format!("these are {} rules, and {} are allowed", items.len(), limits::ALERT_RULES);
                problems.error(span, Wrong::new(what, "split them between several feeds"));
            }
            items.into_iter().filter_map(|item| rule(item, problems)).collect()
        }
        None => Vec::new(),
    };
    AlertsOptions { of: of.unwrap_or_default(), rules }
}

fn rule(item: Field<Table<RuleFile>>, problems: &mut Problems) -> Option<AlertRule> {
    let (span, Table(file)) = item.read(problems)?;
    if file.at.is_absent() {
        let what = "this rule says nothing to look at";
        problems.absent(span.clone(), Wrong::new(what, "add at = \"/data/...\", a JSON Pointer to a number"));
    }
    if file.above.is_absent() {
        problems.absent(span, Wrong::new("this rule has no threshold", "add above = 90"));
    }
    let at = file.at.value(problems);
    let above = file.above.value(problems);
    let hold = duration(file.for_, ANY, Duration::ZERO, problems);
    let level = file.level.value(problems).map_or_else(|| "warning".to_owned(), |Parsed(level)| level);
    Some(AlertRule { at: at?.0.0, above: above.map(|Number(above)| above)?, hold, level })
}

/// Reports alerts of feeds that don't exist, and those that would end up watching themselves.
pub(super) fn check_watches(feeds: &[Feed], problems: &mut Problems) {
    let names = feeds.iter().map(Feed::name);
    let by_name: HashMap<&str, &Feed> = feeds.iter().map(|feed| (feed.name(), feed)).collect();
    for feed in feeds {
        for (of, span) in &feed.watches {
            if !by_name.contains_key(of.as_str()) {
                no_such_feed(of, span.clone(), names.clone().filter(|name| *name != feed.name()), problems);
            } else if of == feed.name() {
                let what = format!("feed {} would watch itself", quoted(of));
                problems.error(span.clone(), Wrong::new(what, "name another feed"));
            } else if watches(&by_name, of, feed.name()) {
                let what = format!("feeds {} and {} would watch each other", quoted(feed.name()), quoted(of));
                problems.error(span.clone(), Wrong::new(what, "name a feed that does not watch this one"));
            }
        }
    }
}

/// Whether `from` watches `to`, directly or through others.
fn watches(feeds: &HashMap<&str, &Feed>, from: &str, to: &str) -> bool {
    let mut seen = HashSet::new();
    let mut pending = vec![from];
    while let Some(name) = pending.pop() {
        if name == to {
            return true;
        }
        if let Some(feed) = feeds.get(name)
            && seen.insert(name)
        {
            pending.extend(feed.watches.iter().map(|(of, _)| of.as_str()));
        }
    }
    false
}
