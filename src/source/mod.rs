//! Sources: where a feed's messages come from.
//!
//! Owns: running each source and counting whether it delivers. Never: knows who watches.

pub mod alerts;
pub mod fallback;
pub mod options;
pub mod stats;

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
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

    /// As the metrics name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Source::Stats { .. } => "stats",
            Source::Alerts { .. } => "alerts",
            Source::Dial(Dial::Websocket(_)) => "websocket",
            Source::Dial(Dial::Poll(_)) => "poll",
            Source::Dial(Dial::Sse(_)) => "sse",
            Source::Publish => "publish",
        }
    }

    /// Fills the feed; never ends unless there is nothing to run.
    pub async fn run(self, inlet: Inlet, up: Gauge) {
        match self {
            Source::Stats { sampler, options } => run_stats(sampler, &options, &inlet, &up).await,
            Source::Alerts { rules, of } => run_alerts(rules, &of, &inlet, &up).await,
            Source::Dial(dial) => drop((dial, inlet)),
            Source::Publish => drop(up.set(1)),
        }
    }
}

/// The first message comes once there is something to compare with; then one each interval, read off this thread.
async fn run_stats(mut sampler: Box<Sampler>, options: &StatsOptions, inlet: &Inlet, up: &Gauge) {
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
                up.set(1);
            }
            Err(error) => {
                up.set(0);
                inlet.fell();
                tracing::error!(feed = inlet.feed().name(), %error, "reading the host's statistics failed; the feed stays as it is");
                return;
            }
        }
    }
}

/// Judges each message of the other feed as it comes.
async fn run_alerts(mut rules: Rules, of: &Arc<Feed>, inlet: &Inlet, up: &Gauge) {
    let mut follower = of.follow();
    let handoff = follower.handoff();
    let mut cursor = Cursor::newest(follower.log(), 1);
    up.set(1);
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
