//! What a config makes: everything bound and ready, of which nothing is in use yet.
//!
//! Owns: that another config is had whole or not at all, and what it takes over from the one before. Never: serves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::doors::Doors;
use super::fill::{self, Filled};
use super::{BindError, keep};
use crate::config::{Config, FeedConfig};
use crate::feed::branches::Starts;
use crate::feed::hub::FeedHub;
use crate::guard::{AuthOptions, Wardens};
use crate::route::table::Kept;
use crate::route::{self, Table};
use crate::source;
use crate::telemetry::Metrics;
use crate::upstream;
use crate::worker::Bound;

/// All that is shared and is made of one config.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) feeds: Vec<FeedConfig>,
    routes: Vec<route::Options>,
    pub(super) hub: Arc<FeedHub>,
    pub(super) wardens: Arc<Wardens>,
    pub(super) upstreams: Arc<upstream::Shared>,
    pub(super) table: Arc<Table>,
    pub(super) doors: Doors,
}

/// What is to begin with it.
#[derive(Debug)]
pub(super) struct Beginnings {
    /// Feeds that are filled anew.
    pub(super) filled: Vec<Filled>,
    pub(super) bound: Vec<Bound>,
}

impl Made {
    /// What an empty config makes, and what asks to have branches filled.
    ///
    /// # Errors
    /// If there can be no TLS.
    pub(super) fn nothing(metrics: &Metrics) -> Result<(Made, Starts), BindError> {
        let (hub, starts) = FeedHub::new([]);
        let made = Made {
            feeds: Vec::new(),
            routes: Vec::new(),
            hub: Arc::new(hub),
            wardens: Arc::default(),
            upstreams: upstream::Shared::new([], metrics)?,
            table: Arc::default(),
            doors: Doors::none()?,
        };
        Ok((made, starts))
    }

    /// What `config` makes, with all of `self` that is still the same. Nothing of `self` changes.
    ///
    /// # Errors
    /// All that cannot be had.
    pub(super) fn after(&self, config: &Config, metrics: &Metrics) -> Result<(Made, Beginnings), Vec<BindError>> {
        let mut errors = Vec::new();
        let wardens = Wardens::after(&self.wardens, &config.limit, &config.auths, metrics);
        let wardens = collect(&mut errors, wardens.map_err(|error| vec![error.into()]));
        let doors = collect(&mut errors, self.doors.after(config));
        let (Some(wardens), Some((doors, bound))) = (wardens, doors) else { return Err(errors) };
        // What is shown in the metrics as soon as it is made is made last: little is left that it could be in vain for.
        let alone = |error: BindError| vec![error];
        let upstreams = self.upstreams.after(upstreams(config), metrics).map_err(|error| alone(error.into()))?;
        let hub = fill::hub(&self.hub, &self.feeds, config, metrics).map_err(alone)?;
        let filled = fill::sources(config, &hub, self.filled(config, &hub))?;
        let table = self.table_after(config, &hub, &wardens, metrics);
        let made = Made {
            feeds: config.feeds.clone(),
            routes: config.routes.clone(),
            hub: Arc::new(hub),
            wardens: Arc::new(wardens),
            upstreams,
            table: Arc::new(table),
            doors,
        };
        Ok((made, Beginnings { filled, bound }))
    }

    /// Nothing is opened any more by routes that `now` does not have, or has otherwise.
    pub(super) fn retire(&self, now: &Made) {
        let stay: HashSet<_> = now.table.lasting().iter().map(|lasting| Arc::as_ptr(&lasting.meters)).collect();
        let gone = self.table.lasting().iter().filter(|before| !stay.contains(&Arc::as_ptr(&before.meters)));
        gone.for_each(|before| before.meters.retire());
    }

    /// The auths of both whose tokens are judged otherwise though the config says the same: their key files have changed.
    pub(super) fn rekeyed(&self, now: &Made, auths: &[AuthOptions]) -> Vec<String> {
        let changed = auths.iter().filter(|auth| !now.wardens.lets_in_as(&self.wardens, &auth.name));
        changed.map(|auth| format!("auth {}", auth.name)).collect()
    }

    /// Tells whether a feed of `config`, which is in `hub`, is filled already as it is to be.
    fn filled<'a>(&'a self, config: &'a Config, hub: &FeedHub) -> impl Fn(&FeedConfig) -> bool + use<'a> {
        let names = config.feeds.iter().map(|feed| feed.feed.name.as_str());
        let stays: HashSet<&str> = names.filter(|name| self.has_feed(name, hub)).collect();
        let known: HashMap<&str, &FeedConfig> =
            self.feeds.iter().map(|before| (before.feed.name.as_str(), before)).collect();
        move |now| {
            let name = now.feed.name.as_str();
            let is_same = |before: &&FeedConfig| keep::filling_stays(before, now, |feed| stays.contains(feed));
            stays.contains(name) && known.get(name).is_some_and(is_same)
        }
    }

    /// Whether the feed of this name is one and the same in `hub`.
    fn has_feed(&self, name: &str, hub: &FeedHub) -> bool {
        self.hub.find(name).zip(hub.find(name)).is_some_and(|(before, now)| before.is(now))
    }

    fn table_after(&self, config: &Config, hub: &FeedHub, wardens: &Wardens, metrics: &Metrics) -> Table {
        let known: HashMap<_, _> =
            self.routes.iter().zip(self.table.lasting()).map(|both| ((&both.0.host, &both.0.path), both)).collect();
        let kept = |now: &route::Options| {
            let Some((before, lasting)) = known.get(&(&now.host, &now.path)) else { return Kept::default() };
            let same_feed = |feed: &str| self.has_feed(feed, hub);
            let same_auth = |auth: &str| wardens.lets_in_as(&self.wardens, auth);
            let stays = keep::sockets_stay(before, now, same_feed, same_auth);
            Kept { meters: stays.then(|| Arc::clone(&lasting.meters)), open: Some(lasting.open.clone()) }
        };
        Table::new(&config.routes, wardens, metrics, |feed| watchers(&config.feeds, feed), kept)
    }
}

/// The outcome, or nothing and one error more.
fn collect<T>(errors: &mut Vec<BindError>, outcome: Result<T, Vec<BindError>>) -> Option<T> {
    outcome.map_err(|some| errors.extend(some)).ok()
}

/// Those that the config names, those that routes ask before they let a request pass, those that have key sets, and those
/// that sources dial.
fn upstreams(config: &Config) -> impl Iterator<Item = &upstream::Options> {
    let asked = config.routes.iter().filter_map(|route| Some(&route.auth_request.as_ref()?.upstream));
    let keys = config.auths.iter().filter_map(AuthOptions::upstream);
    let sources = config.feeds.iter().flat_map(|feed| {
        let fallback = feed.fallback.iter().map(|fallback| &fallback.source);
        feed.sources.iter().chain(fallback).filter_map(source::Options::dial)
    });
    config.upstreams.iter().chain(asked).chain(keys).chain(sources.map(|dial| &dial.upstream))
}

/// The feeds whose alerts watch `feed`.
fn watchers(feeds: &[FeedConfig], feed: &str) -> Vec<String> {
    let watches = |source: &source::Options| matches!(source, source::Options::Alerts(alerts) if alerts.of == feed);
    feeds.iter().filter(|other| other.sources.iter().any(watches)).map(|other| other.feed.name.clone()).collect()
}
