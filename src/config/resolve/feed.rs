//! `[feed.NAME]`: a feed's own settings; its sources are in `source`.

use std::num::NonZeroUsize;

use super::normal::{self, DeliveryKeys, NormalKeys};
use super::{ANY, check_name, cut, duration, share, size, source, whole};
use crate::config::FeedConfig;
use crate::config::field::{Field, Named, Table};
use crate::config::file::FeedFile;
use crate::config::problem::{Span, Wrong};
use crate::config::problems::Problems;
use crate::config::values::DurationOrFalse;
use crate::feed::Options;
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
    share::check_watches(&feeds, problems);
    feeds
}

fn feed(name: String, header: &Span, file: FeedFile, has_admin: bool, problems: &mut Problems) -> Feed {
    let normalize = normal::normalize(
        NormalKeys {
            type_: file.type_,
            skip: file.skip,
            skip_system: file.skip_system,
            rename: file.rename,
            key: file.key,
            naive_time: file.naive_time,
        },
        problems,
    );
    if let (Some(span), Field::Given(_, DurationOrFalse(None))) = (file.pong_timeout.right(problems), &file.ping) {
        let what = "`pong_timeout` changes nothing: no pings are sent";
        problems.warning(span, Wrong::new(what, "remove it, or give `ping` a time"));
    }
    let delivery = normal::delivery(
        DeliveryKeys {
            shape: file.shape,
            greet: file.greet,
            keepalive: file.keepalive,
            ping: file.ping,
            pong_timeout: file.pong_timeout,
            notices: file.notices,
        },
        problems,
    );
    let sharing = share::share(file.share, file.linger, file.forward_token, problems);
    let keys = whole(file.keys, 1..=limits::KEYS_MAX, limits::KEYS, problems);
    let defaults = Options::named(&name);
    let feed = Options {
        normalize,
        keys: NonZeroUsize::new(keys).unwrap_or(NonZeroUsize::MIN),
        snapshot: file.snapshot.value(problems).map_or(defaults.snapshot, |word| word.0),
        history: whole(file.history, 0..=limits::HISTORY_MAX, defaults.history, problems),
        min_interval: duration(file.min_interval, ANY, defaults.min_interval, problems),
        slow: file.slow.value(problems).map_or(defaults.slow, |word| word.0),
        max_message: size(file.max_message, 1..=limits::MAX_MESSAGE_MAX, defaults.max_message, problems),
        share: sharing.share,
        linger: sharing.linger,
        delivery,
        name,
    };
    let sources = source::sources(&feed.name, header, file.source, file.sources, has_admin, problems);
    let fallback = source::fallback(file.fallback, &sources, problems);
    share::check_sources(sharing.share, &sources, problems);
    let config = FeedConfig { feed, sources: sources.options, fallback, forward_token: sharing.forward_token };
    Feed { config, watches: sources.watches }
}
