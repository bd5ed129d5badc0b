//! `share`, `linger` and `forward_token` of a feed, and what goes with a feed that is split.

use std::time::Duration;

use super::feed::Feed;
use super::source::Sources;
use super::{ANY, duration};
use crate::config::choice::{OneOf, ShareBy};
use crate::config::field::{Field, List};
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::values::Parsed;
use crate::feed::options::Share;
use crate::guard::ForwardToken;
use crate::limits;
use crate::route::PathPattern;

/// How a feed is split among its viewers.
pub(super) struct Sharing {
    pub(super) share: Share,
    pub(super) linger: Duration,
    pub(super) forward_token: Option<ForwardToken>,
}

/// Whether viewers of one feed may have upstream sockets of their own.
pub(super) fn is_split(share: Share) -> bool {
    share != Share::default()
}

pub(super) fn share(
    words: Field<List<OneOf<ShareBy>>>,
    linger: Field<Parsed<Duration>>,
    token: Field<Parsed<ForwardToken>>,
    problems: &mut Problems,
) -> Sharing {
    let is_broken = matches!(words, Field::Broken(..));
    let mut share = Share::default();
    for (_, OneOf(word)) in words.values(problems) {
        match word {
            ShareBy::Path => share.path = true,
            ShareBy::Query => share.query = true,
            ShareBy::Subject => share.subject = true,
        }
    }
    if let Some(span) = linger.right(problems).filter(|_| !is_split(share) && !is_broken) {
        let what = "`linger` changes nothing: everyone shares this feed";
        problems.warning(span, Wrong::new(what, "remove it, or say what splits it: share = [\"query\"]"));
    }
    let linger = duration(linger, ANY, limits::LINGER, problems);
    let forward_token = token.read(problems).map(|(span, Parsed(token))| {
        if !share.subject && !is_broken {
            let what = "a token is one viewer's own, and this feed's upstream socket is not";
            problems.error(span, Wrong::new(what, "add share = [\"subject\"], or remove `forward_token`"));
        }
        token
    });
    Sharing { share, linger, forward_token }
}

/// Reports the sources of a split feed that can't be had for each part of it.
pub(super) fn check_sources(share: Share, sources: &Sources, problems: &mut Problems) {
    if !is_split(share) {
        return;
    }
    for (kind, span) in &sources.undialled {
        let what = format!("`{kind}` is the same for everyone, and this feed is split by `share`");
        let instead = "remove `share`, or write a source that is dialled: `websocket`, `poll` or `sse`";
        problems.error(span.clone(), Wrong::new(what, instead));
    }
}

/// Reports alerts of feeds that are split.
pub(super) fn check_watches(feeds: &[Feed], problems: &mut Problems) {
    for (of, span) in feeds.iter().flat_map(|feed| &feed.watches) {
        if feeds.iter().any(|feed| feed.name() == of && is_split(feed.config.feed.share)) {
            let what =
                format!("feed {} is split by its `share`, and alerts watch one that everyone shares", quoted(of));
            problems.error(span.clone(), Wrong::new(what, "name another feed"));
        }
    }
}

/// Reports a route, whose table starts at `header`, that lets viewers without a subject to a feed that is split by
/// subject.
pub(super) fn check_route(
    feed: &Feed,
    header: &Span,
    place: Span,
    path: &PathPattern,
    has_auth: bool,
    problems: &mut Problems,
) {
    // A key there that was refused may be `auth` misspelt.
    if feed.config.feed.share.subject && !has_auth && !problems.is_flawed(header) {
        let (name, path) = (quoted(feed.name()), quoted(&path.to_string()));
        let what = format!("feed {name} is split by subject, and the route {path} asks for no token");
        problems.absent(place, Wrong::new(what, "add auth = \"...\", the name of an [auth.NAME]"));
    }
}
