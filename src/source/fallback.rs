//! A feed's fallback: a source that runs only while none of the feed's own stands.
//!
//! Owns: when it starts and ends. Never: decides what becomes of its messages; the feed does.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::{Source, SourceError};
use crate::feed::hub::Feed;
use crate::feed::inlet::{Inlet, Rank};
use crate::feed::standing::{Report, Standing};
use crate::telemetry::SourceMeters;
use crate::upstream::Upstreams;

/// Runs a fallback of `feed` each time that no source has stood for `after`, until one does; never ends. `make` gives it
/// anew, so that it begins with nothing from the time before.
pub async fn run(
    feed: Arc<Feed>,
    after: Duration,
    make: impl Fn() -> Result<Source, SourceError>,
    meters: SourceMeters,
    upstreams: Rc<Upstreams>,
) {
    let mut reports = feed.reports();
    loop {
        wanted(&mut reports, after).await;
        tracing::warn!(feed = feed.name(), "no source has stood for {after:?}; the fallback takes over");
        tokio::select! {
            () = serve(&feed, &make, &meters, &upstreams) => {}
            () = recovered(&mut reports) => {}
        }
        meters.up.set(0);
        tracing::info!(feed = feed.name(), "a source stands; the fallback steps back");
    }
}

/// Never ends, though the source may.
async fn serve(
    feed: &Arc<Feed>,
    make: &impl Fn() -> Result<Source, SourceError>,
    meters: &SourceMeters,
    upstreams: &Rc<Upstreams>,
) {
    match make() {
        Ok(source) => source.run(Inlet::new(feed, Rank::Fallback), meters.clone(), Rc::clone(upstreams)).await,
        Err(error) => tracing::error!(feed = feed.name(), %error, "the fallback cannot start"),
    }
    pending().await
}

/// Completes when no source has stood for `after`.
async fn wanted(reports: &mut watch::Receiver<Report>, after: Duration) {
    loop {
        let due = reports.borrow_and_update().down_since.map(|since| since + after);
        let waited = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = reports.changed() => if changed.is_err() {
                pending().await
            },
            () = waited => return,
        }
    }
}

/// Completes when a source stands.
async fn recovered(reports: &mut watch::Receiver<Report>) {
    let live = reports.wait_for(|report| report.standing == Standing::Live).await;
    if live.is_err() {
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::time::{Instant, sleep};

    use super::{Standing, run};
    use crate::feed::Options;
    use crate::feed::hub::{Feed, FeedHub};
    use crate::feed::inlet::{Inlet, Rank};
    use crate::feed::log::{Cursor, Next};
    use crate::feed::normalize::Incoming;
    use crate::limits;
    use crate::shutdown::{Stages, Tasks};
    use crate::source::testing::run_paused;
    use crate::source::{Options as SourceOptions, Source, StatsOptions};
    use crate::telemetry::{FeedMeters, Metrics};
    use crate::upstream::{self, Upstreams};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_serves_once_no_source_has_stood_for_its_time_and_steps_back() {
        run_paused(story());
    }

    async fn story() {
        let start = Instant::now();
        let feed = Arc::new(Feed::try_new(Options::named("f"), false, FeedMeters::unseen()).unwrap());
        let inlet = Inlet::new(&feed, Rank::Source);
        let made = Cell::new(0);
        let make = || {
            made.set(made.get() + 1);
            let options = SourceOptions::Stats(StatsOptions { every: 2 * SECOND, path: "/".into() });
            Source::try_new(&options, &FeedHub::default())
        };
        let metrics = Metrics::new();
        let meters = metrics.source("f", "fallback");
        let up = meters.up.clone();
        let tasks = Tasks::new(Stages::default());
        let upstreams = Rc::new(Upstreams::new(upstream::Shared::new([], &metrics).unwrap(), tasks));
        let say = |text| inlet.publish(Incoming::Text(text), Timestamp::UNIX_EPOCH);
        let mut reports = feed.reports();
        let story = async {
            // The sources never came up, and that they fail again and again puts nothing off.
            while start.elapsed() < 9 * SECOND {
                inlet.fell();
                sleep(SECOND).await;
            }
            assert_eq!((made.get(), feed.standing()), (0, Standing::Stale));
            reports.wait_for(|report| report.standing == Standing::Fallback).await.unwrap();
            let first = start.elapsed() - 10 * SECOND;
            assert!(first >= limits::STATS_SETTLE && first < SECOND, "{first:?}");
            assert_eq!((made.get(), up.get()), (1, 1));
            say("1");
            sleep(SECOND).await;
            assert_eq!((feed.standing(), up.get(), newest(&feed)), (Standing::Live, 0, "1".to_owned()));
            // It is back before the fallback's time is over, and then it is not.
            inlet.fell();
            sleep(9 * SECOND).await;
            say("2");
            sleep(9 * SECOND).await;
            inlet.fell();
            let fell = Instant::now();
            sleep(9 * SECOND).await;
            assert_eq!((made.get(), newest(&feed)), (1, "2".to_owned()));
            reports.wait_for(|report| report.standing == Standing::Fallback).await.unwrap();
            assert!(fell.elapsed() < 11 * SECOND && made.get() == 2, "{:?}", fell.elapsed());
            assert!(newest(&feed).starts_with('{'));
            inlet.stands();
            sleep(SECOND).await;
            assert_eq!((feed.standing(), up.get()), (Standing::Live, 0));
        };
        tokio::select! {
            () = run(Arc::clone(&feed), 10 * SECOND, make, meters, upstreams) => unreachable!("it never ends"),
            () = story => {}
        }
    }

    /// The data of the newest message.
    fn newest(feed: &Arc<Feed>) -> String {
        let follower = feed.follow();
        let mut cursor = Cursor::newest(follower.log(), 1);
        let mut newest = String::new();
        while let Next::Message(message) = follower.log().next(&cursor) {
            cursor.pass(message.seq());
            newest = message.envelope().data().unwrap().into_owned();
        }
        newest
    }
}
