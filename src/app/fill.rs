//! What fills feeds: the sources of each, and what releases the messages that it paces.
//!
//! Owns: that a feed which everyone shares is filled for as long as the process runs, and a branch until it ends. Never:
//! decides when a branch begins or ends; its viewers do.

use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join_all;

use super::BindError;
use crate::config::{Config, FeedConfig};
use crate::feed::branch::Forward;
use crate::feed::branches::Starts;
use crate::feed::hub::{Feed, FeedHub, Stem};
use crate::feed::inlet::{Inlet, Rank};
use crate::feed::plan::Plan;
use crate::guard::ForwardToken;
use crate::source::{self, Fallback, Source, fallback};
use crate::telemetry::{Metrics, SourceMeters};
use crate::upstream::Upstreams;

/// A feed that everyone shares, and the sources that fill it.
pub(super) type Filled = (Arc<Feed>, Vec<Source>);

/// Runs what fills feeds.
#[derive(Debug)]
pub(super) struct Filler {
    feeds: HashMap<String, FeedConfig>,
    hub: Arc<FeedHub>,
    metrics: Arc<Metrics>,
    upstreams: Rc<Upstreams>,
}

/// What serves while every source is down.
#[derive(Debug)]
struct Standby {
    options: Fallback,
    meters: SourceMeters,
    hub: Arc<FeedHub>,
}

impl Filler {
    /// `upstreams` are this thread's, with those that sources dial among them.
    pub(super) fn new(
        feeds: Vec<FeedConfig>,
        hub: &Arc<FeedHub>,
        metrics: &Arc<Metrics>,
        upstreams: &Rc<Upstreams>,
    ) -> Filler {
        let feeds = feeds.into_iter().map(|config| (config.feed.name.clone(), config)).collect();
        Filler { feeds, hub: Arc::clone(hub), metrics: Arc::clone(metrics), upstreams: Rc::clone(upstreams) }
    }

    /// Fills a feed that everyone shares; never ends.
    pub(super) fn whole(&self, (feed, sources): Filled) -> impl Future<Output = ()> + use<> {
        let meters = |source: &str| self.metrics.source(feed.name(), source);
        let sources =
            sources.into_iter().zip(self.names(&feed)).map(|(source, name)| (meters(&name), source)).collect();
        let standby = self.standby(&feed, || meters(FALLBACK));
        run_feed(feed, sources, standby, Rc::clone(&self.upstreams))
    }

    /// Fills this branch; never ends.
    pub(super) fn branch(&self, feed: Arc<Feed>) -> impl Future<Output = ()> + use<> {
        let (mut sources, mut parts) = (Vec::new(), Vec::new());
        let mut meters = |source: &str| {
            let (meters, part) = self.metrics.branch_source(feed.name(), source);
            parts.push(part);
            meters
        };
        let options = self.feeds.get(feed.name()).into_iter().flat_map(|config| &config.sources);
        for (options, name) in options.zip(self.names(&feed)) {
            match Source::try_new(options, &self.hub) {
                Ok(source) => sources.push((meters(&name), source)),
                Err(error) => tracing::error!(feed = feed.name(), %error, "a source of a branch cannot start"),
            }
        }
        let standby = self.standby(&feed, || meters(FALLBACK));
        let upstreams = Rc::clone(&self.upstreams);
        async move {
            // They count for as long as the branch is filled.
            let _parts = parts;
            run_feed(feed, sources, standby, upstreams).await;
        }
    }

    /// What the metrics call its sources.
    fn names(&self, feed: &Feed) -> Vec<String> {
        self.feeds.get(feed.name()).map_or_else(Vec::new, |config| source::names(&config.sources))
    }

    fn standby(&self, feed: &Feed, meters: impl FnOnce() -> SourceMeters) -> Option<Standby> {
        let options = self.feeds.get(feed.name())?.fallback.clone()?;
        Some(Standby { options, meters: meters(), hub: Arc::clone(&self.hub) })
    }
}

/// As the metrics name it.
const FALLBACK: &str = "fallback";

/// Every feed as the config has it.
pub(super) fn hub(config: &Config, metrics: &Metrics) -> Result<(FeedHub, Starts), BindError> {
    let plan = |FeedConfig { feed, sources, forward_token, .. }: &FeedConfig| {
        let publishes = sources.iter().any(|source| matches!(source, source::Options::Publish));
        let forward = forward_token.as_ref().map(|forward| match forward {
            ForwardToken::Header => Forward::Header,
            ForwardToken::Query(name) => Forward::Query(name.clone()),
        });
        Plan::try_new(feed.clone(), publishes, forward, metrics.feed(&feed.name))
            .map_err(|error| BindError::Pointer { feed: feed.name.clone(), error })
    };
    Ok(FeedHub::new(config.feeds.iter().map(plan).collect::<Result<Vec<_>, _>>()?))
}

/// The sources of the feeds that everyone shares. Those of branches are made as they begin; that they can be is known here.
pub(super) fn sources(config: &Config, hub: &FeedHub) -> Result<Vec<Filled>, BindError> {
    let mut filled = Vec::new();
    for FeedConfig { feed, sources, fallback, .. } in &config.feeds {
        let make = |options| {
            Source::try_new(options, hub).map_err(|error| BindError::Source { feed: feed.name.clone(), error })
        };
        let made = sources.iter().map(make).collect::<Result<Vec<_>, _>>()?;
        // It is made anew each time that it runs; that it can be is to be known now.
        fallback.iter().try_for_each(|fallback| make(&fallback.source).map(drop))?;
        match hub.find(&feed.name) {
            Some(Stem::Whole(feed)) => filled.push((Arc::clone(feed), made)),
            Some(Stem::Split(_)) | None => {}
        }
    }
    Ok(filled)
}

/// Runs all that fills a feed: its sources, its pacer, and what serves while the sources are down; never ends.
async fn run_feed(
    feed: Arc<Feed>,
    sources: Vec<(SourceMeters, Source)>,
    standby: Option<Standby>,
    upstreams: Rc<Upstreams>,
) {
    let run = |(meters, source): (SourceMeters, Source)| {
        source.run(Inlet::new(&feed, Rank::Source), meters, Rc::clone(&upstreams))
    };
    let sources = join_all(sources.into_iter().map(run));
    let standby = async {
        if let Some(Standby { options: Fallback { source, after }, meters, hub }) = standby {
            let make = || Source::try_new(&source, &hub);
            fallback::run(Arc::clone(&feed), after, make, meters, Rc::clone(&upstreams)).await;
        }
    };
    tokio::join!(sources, standby, feed.run_pacer());
}
