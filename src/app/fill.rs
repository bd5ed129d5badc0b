//! What fills feeds: the sources of each, and what releases the messages that it paces.
//!
//! Owns: that a feed which everyone shares is filled for as long as a config names it, and a branch until it ends. Never:
//! decides when a branch begins or ends; its viewers do.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join_all;

use super::made::Made;
use super::{BindError, keep};
use crate::config::{Config, FeedConfig};
use crate::feed::branch::Forward;
use crate::feed::hub::{Feed, FeedHub, Planned, Stem};
use crate::feed::inlet::{Inlet, Rank};
use crate::feed::plan::Plan;
use crate::guard::ForwardToken;
use crate::shutdown::{Running, Tasks};
use crate::source::{self, Fallback, Source, fallback};
use crate::telemetry::{Metrics, SourceMeters};
use crate::upstream::Upstreams;

/// A feed that everyone shares, and the sources that fill it.
pub(super) type Filled = (Arc<Feed>, Vec<Source>);

/// Runs what fills feeds.
#[derive(Debug)]
pub(super) struct Filler {
    now: Now,
    running: RefCell<HashMap<String, (Arc<Feed>, Running)>>,
    metrics: Arc<Metrics>,
    tasks: Tasks,
}

/// What the config in use gives it; shared with what runs over several.
type Now = Rc<RefCell<Means>>;

#[derive(Debug)]
struct Means {
    feeds: HashMap<String, FeedConfig>,
    hub: Arc<FeedHub>,
    upstreams: Rc<Upstreams>,
}

/// What serves while every source is down.
#[derive(Debug)]
struct Standby {
    options: Fallback,
    meters: SourceMeters,
    now: Now,
}

impl Filler {
    /// One that fills nothing yet. `upstreams` are this thread's, with those that sources dial among them.
    pub(super) fn new(made: &Made, metrics: &Arc<Metrics>, upstreams: &Rc<Upstreams>, tasks: &Tasks) -> Filler {
        let means = Means { feeds: HashMap::new(), hub: Arc::clone(&made.hub), upstreams: Rc::clone(upstreams) };
        Filler {
            now: Rc::new(RefCell::new(means)),
            running: RefCell::default(),
            metrics: Arc::clone(metrics),
            tasks: tasks.clone(),
        }
    }

    /// Fills the feeds of `made` from now on: those of `filled` anew, others as before, and what is no more not at all.
    pub(super) fn turn_to(&self, made: &Made, upstreams: &Rc<Upstreams>, filled: Vec<Filled>) {
        let feeds = made.feeds.iter().map(|config| (config.feed.name.clone(), config.clone())).collect();
        let means = Means { feeds, hub: Arc::clone(&made.hub), upstreams: Rc::clone(upstreams) };
        let before = self.now.replace(means);
        let mut running = self.running.borrow_mut();
        running.retain(|name, (feed, _)| {
            let stays = made.hub.get(name).is_some_and(|now| Arc::ptr_eq(now, feed));
            let anew = filled.iter().any(|(anew, _)| Arc::ptr_eq(anew, feed));
            if stays && anew {
                // Should it be what serves, it does so no longer.
                Inlet::new(feed, Rank::Fallback).fell();
            }
            stays && !anew
        });
        for (name, config) in &before.feeds {
            let same = before.hub.find(name).zip(made.hub.find(name)).is_some_and(|(before, now)| before.is(now));
            // The branches of one that stays run on.
            let runs_on = running.contains_key(name) || same && config.feed.share.splits();
            if !runs_on {
                self.forget(name, config);
            }
        }
        for (feed, sources) in filled {
            let name = feed.name().to_owned();
            let work = self.whole(&feed, sources);
            running.insert(name, (feed, self.tasks.spawn_running(work)));
        }
    }

    /// What filled a feed before is not shown any more; what fills it now shows itself.
    fn forget(&self, name: &str, config: &FeedConfig) {
        for source in source::names(&config.sources).iter().map(String::as_str).chain([FALLBACK]) {
            self.metrics.forget_source(name, source);
        }
    }

    /// Fills a feed that everyone shares; never ends.
    fn whole(&self, feed: &Arc<Feed>, sources: Vec<Source>) -> impl Future<Output = ()> + use<> {
        let meters = |source: &str| self.metrics.source(feed.name(), source);
        let sources = sources.into_iter().zip(self.names(feed)).map(|(source, name)| (meters(&name), source)).collect();
        let standby = self.standby(feed, || meters(FALLBACK));
        run_feed(Arc::clone(feed), sources, standby, Rc::clone(&self.now.borrow().upstreams))
    }

    /// Fills this branch; never ends.
    pub(super) fn branch(&self, feed: Arc<Feed>) -> impl Future<Output = ()> + use<> {
        let (mut sources, mut parts) = (Vec::new(), Vec::new());
        let mut meters = |source: &str| {
            let (meters, part) = self.metrics.branch_source(feed.name(), source);
            parts.push(part);
            meters
        };
        let names = self.names(&feed);
        let now = self.now.borrow();
        let options = now.feeds.get(feed.name()).into_iter().flat_map(|config| &config.sources);
        for (options, name) in options.zip(names) {
            match Source::try_new(options, &now.hub) {
                Ok(source) => sources.push((meters(&name), source)),
                Err(error) => tracing::error!(feed = feed.name(), %error, "a source of a branch cannot start"),
            }
        }
        let standby = self.standby(&feed, || meters(FALLBACK));
        let upstreams = Rc::clone(&now.upstreams);
        async move {
            // They count for as long as the branch is filled.
            let _parts = parts;
            run_feed(feed, sources, standby, upstreams).await;
        }
    }

    /// What the metrics call its sources.
    fn names(&self, feed: &Feed) -> Vec<String> {
        self.now.borrow().feeds.get(feed.name()).map_or_else(Vec::new, |config| source::names(&config.sources))
    }

    fn standby(&self, feed: &Feed, meters: impl FnOnce() -> SourceMeters) -> Option<Standby> {
        let options = self.now.borrow().feeds.get(feed.name())?.fallback.clone()?;
        Some(Standby { options, meters: meters(), now: Rc::clone(&self.now) })
    }
}

/// As the metrics name it.
const FALLBACK: &str = "fallback";

/// Every feed as the config has it; those of `feeds`, which are in `before`, that are still the same stay.
pub(super) fn hub(
    before: &FeedHub,
    feeds: &[FeedConfig],
    config: &Config,
    metrics: &Metrics,
) -> Result<FeedHub, BindError> {
    let plan = |now: &FeedConfig| {
        let name = &now.feed.name;
        if feeds.iter().any(|known| known.feed.name == *name && keep::feed_stays(known, now)) {
            return Ok(Planned::Kept(name.clone()));
        }
        let forward = now.forward_token.as_ref().map(|forward| match forward {
            ForwardToken::Header => Forward::Header,
            ForwardToken::Query(name) => Forward::Query(name.clone()),
        });
        let plan = Plan::try_new(now.feed.clone(), keep::publishes(now), forward, metrics.feed(name));
        plan.map(|plan| Planned::New(Box::new(plan))).map_err(|error| BindError::Pointer { feed: name.clone(), error })
    };
    Ok(before.after(config.feeds.iter().map(plan).collect::<Result<Vec<_>, _>>()?))
}

/// The sources of the feeds that everyone shares and that are not `is_filled` already. Those of branches are made as they
/// begin; that they can be is known here.
pub(super) fn sources(
    config: &Config,
    hub: &FeedHub,
    is_filled: impl Fn(&FeedConfig) -> bool,
) -> Result<Vec<Filled>, Vec<BindError>> {
    let (mut filled, mut errors) = (Vec::new(), Vec::new());
    for config in config.feeds.iter().filter(|config| !is_filled(config)) {
        let name = &config.feed.name;
        let make =
            |options| Source::try_new(options, hub).map_err(|error| BindError::Source { feed: name.clone(), error });
        let made = config.sources.iter().map(make).collect::<Result<Vec<_>, _>>();
        // It is made anew each time that it runs; that it can be is to be known now.
        let standby = config.fallback.iter().try_for_each(|fallback| make(&fallback.source).map(drop));
        match (made, standby, hub.find(name)) {
            (Ok(made), Ok(()), Some(Stem::Whole(feed))) => filled.push((Arc::clone(feed), made)),
            (Ok(_), Ok(()), Some(Stem::Split(_)) | None) => {}
            (made, standby, _) => errors.extend([made.err(), standby.err()].into_iter().flatten()),
        }
    }
    if errors.is_empty() { Ok(filled) } else { Err(errors) }
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
        if let Some(Standby { options: Fallback { source, after }, meters, now }) = standby {
            let make = || Source::try_new(&source, &now.borrow().hub);
            fallback::run(Arc::clone(&feed), after, make, meters, Rc::clone(&upstreams)).await;
        }
    };
    tokio::join!(sources, standby, feed.run_pacer());
}
