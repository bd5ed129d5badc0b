//! Sources: where a feed's messages come from.
//!
//! Owns: running each source and counting whether it delivers. What dials is kept by `dialing` and read by `websocket`, `poll`
//! and `sse`. Never: knows who watches.

pub mod alerts;
pub mod backoff;
mod dialing;
mod failure;
pub mod fallback;
mod line;
pub mod options;
mod poll;
mod request;
mod socket;
mod sse;
pub mod stats;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod websocket;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

pub use options::{AlertRule, AlertsOptions, DialOptions, Fallback, Options, PollOptions, StatsOptions};

use crate::feed::Shape;
use crate::feed::hub::{Feed, FeedHub};
use crate::feed::inlet::Inlet;
use crate::feed::log::{Cursor, Next};
use crate::feed::message::Encoding;
use crate::feed::normalize::Incoming;
use crate::limits;
use crate::shutdown;
use crate::telemetry::SourceMeters;
use crate::upstream::Upstreams;
use alerts::Rules;
use stats::{Roots, Sampler};

/// A source that is ready to run.
#[derive(Debug)]
pub enum Source {
    Stats {
        sampler: Box<Sampler>,
        options: StatsOptions,
    },
    Dial(Dial),
    Alerts {
        rules: Rules,
        of: Arc<Feed>,
    },
    /// Nothing runs: the admin listener publishes.
    Publish,
}

/// A source that dials.
#[derive(Debug)]
pub enum Dial {
    Websocket(DialOptions),
    Poll(PollOptions),
    Sse(DialOptions),
}

/// For whom a source dials: no client in particular.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Why a source cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the host's statistics cannot be read: {0}")]
    Stats(#[from] stats::StatsError),
    #[error("alerts watch the feed `{0}`, which does not exist")]
    NoFeed(String),
}

impl Source {
    /// Takes what the source needs, and the first reading that later ones are compared with.
    ///
    /// # Errors
    /// If the statistics cannot be read at all, or the feed to watch is not in `hub`.
    pub fn try_new(options: &Options, hub: &FeedHub) -> Result<Source, SourceError> {
        Ok(match options {
            Options::Stats(options) => Source::Stats {
                sampler: Box::new(Sampler::try_new(&options.path, Roots::default())?),
                options: options.clone(),
            },
            Options::Alerts(options) => Source::Alerts {
                rules: Rules::new(options.rules.clone(), limits::ALERT_SUBJECTS),
                of: Arc::clone(hub.get(&options.of).ok_or_else(|| SourceError::NoFeed(options.of.clone()))?),
            },
            Options::Websocket(options) => Source::Dial(Dial::Websocket(options.clone())),
            Options::Poll(options) => Source::Dial(Dial::Poll(options.clone())),
            Options::Sse(options) => Source::Dial(Dial::Sse(options.clone())),
            Options::Publish => Source::Publish,
        })
    }

    /// Fills the feed; never ends unless there is nothing to run.
    /// `upstreams` are this thread's, with those of the sources among them.
    pub async fn run(self, inlet: Inlet, meters: SourceMeters, upstreams: Rc<Upstreams>) {
        match self {
            Source::Stats { sampler, options } => run_stats(sampler, &options, &inlet, &meters).await,
            Source::Alerts { rules, of } => run_alerts(rules, &of, &inlet, &meters).await,
            Source::Dial(dial) => dialing::run(&dial, &inlet, &meters, &upstreams).await,
            Source::Publish => drop(meters.up.set(1)),
        }
    }
}

/// What the metrics call each of one feed's `sources`: its kind, and where there are several of a kind their place among
/// those, as in `websocket_2`.
#[must_use]
pub fn names(sources: &[Options]) -> Vec<String> {
    let count = |among: &[Options], kind| among.iter().filter(|other| other.kind() == kind).count();
    let name = |(place, options): (usize, &Options)| {
        let kind = options.kind();
        let before = count(sources.get(..place).unwrap_or_default(), kind);
        if count(sources, kind) > 1 { format!("{kind}_{}", before + 1) } else { kind.to_owned() }
    };
    sources.iter().enumerate().map(name).collect()
}

/// The first message comes once there is something to compare with; then one each interval, read off this thread.
async fn run_stats(mut sampler: Box<Sampler>, options: &StatsOptions, inlet: &Inlet, meters: &SourceMeters) {
    let mut ticks = interval_at(Instant::now() + limits::STATS_SETTLE, options.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let sample = move || {
            let text = sampler.sample(Instant::now());
            (sampler, text)
        };
        let read: io::Result<_> = shutdown::blocking(sample).await;
        match read {
            Ok((back, text)) => {
                sampler = back;
                inlet.publish(Incoming::Text(&text), Timestamp::now());
                meters.up.set(1);
            }
            Err(error) => {
                meters.up.set(0);
                inlet.fell();
                tracing::error!(feed = inlet.feed().name(), %error, "reading the host's statistics failed; the feed stays as it is");
                return;
            }
        }
    }
}

/// Judges each message of the other feed as it comes.
async fn run_alerts(mut rules: Rules, of: &Arc<Feed>, inlet: &Inlet, meters: &SourceMeters) {
    let mut follower = of.follow();
    let handoff = follower.handoff();
    let mut cursor = Cursor::newest(follower.log(), 1);
    meters.up.set(1);
    inlet.stands();
    loop {
        loop {
            match follower.log().next(&cursor) {
                Next::Message(message) => {
                    cursor.pass(message.seq());
                    let text = message.with_encoding(Shape::Envelope, Encoding::text);
                    let text = std::str::from_utf8(&text).unwrap_or_default();
                    let now = Timestamp::now();
                    for said in rules.observe(message.envelope().key(), text, now) {
                        inlet.publish(Incoming::Text(&said), now);
                    }
                }
                Next::Older(seq) => cursor.pass(seq),
                Next::Notice(notice) => cursor.tell(notice.seq()),
                Next::Behind => cursor.conflate(follower.log()),
                Next::Nothing => break,
            }
        }
        if follower.pull() == 0 {
            handoff.arrived().await;
        }
    }
}
