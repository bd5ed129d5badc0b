//! Waiting for what a load's sockets do, on their own thread.

use std::time::{Duration, Instant};

use super::Outcome;

/// For whatever is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn wait_for(what: &str, mut done: impl FnMut() -> bool) -> Outcome<()> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > PATIENCE {
            return Err(format!("waited {} s for {what}", PATIENCE.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
