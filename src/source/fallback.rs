//! A feed's fallback: a source that runs only while none of the feed's own stands.
//!
//! Owns: when it starts and ends. Never: decides what becomes of its messages; the feed does.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::{Source, SourceError};
use crate::feed::hub::Feed;
use crate::feed::inlet::{Inlet, Rank};
use crate::feed::standing::{Report, Standing};

/// Runs a fallback of `feed` each time that no source has stood for `after`, until one does; never ends. `make` gives it
/// anew, so that it begins with nothing from the time before.
pub async fn run(feed: Arc<Feed>, after: Duration, make: impl Fn() -> Result<Source, SourceError>, up: Gauge) {
    let mut reports = feed.reports();
    loop {
        wanted(&mut reports, after).await;
        tracing::warn!(feed = feed.name(), "no source has stood for {after:?}; the fallback takes over");
        tokio::select! {
            () = serve(&feed, &make, &up) => {}
            () = recovered(&mut reports) => {}
        }
        up.set(0);
        tracing::info!(feed = feed.name(), "a source stands; the fallback steps back");
    }
}

/// Never ends, though the source may.
async fn serve(feed: &Arc<Feed>, make: &impl Fn() -> Result<Source, SourceError>, up: &Gauge) {
    match make() {
        Ok(source) => source.run(Inlet::new(feed, Rank::Fallback), up.clone()).await,
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
