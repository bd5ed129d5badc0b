//! How the sockets of this thread leave that another config has no place for.
//!
//! Owns: that they leave in random order over a window. Never: judges which; whoever knows the routes does.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{OPEN, Order, Watch};
use crate::shutdown;
use crate::telemetry::RouteMeters;

/// Tells all sockets of this thread to close that are open as this begins and that `is_to_leave` says of, by their route and
/// client, in random order over `spread`.
pub async fn leave(spread: Duration, is_to_leave: impl Fn(&Arc<RouteMeters>, IpAddr) -> bool) {
    let mut leaving: Vec<Watch> = OPEN.with_borrow(|open| {
        let of = open.iter().filter(|(_, entry)| entry.told.is_none() && is_to_leave(&entry.meters, entry.client));
        of.map(|(slot, entry)| Watch { number: entry.number, slot }).collect()
    });
    shutdown::shuffle(&mut leaving);
    let start = Instant::now();
    let pause = spread / u32::try_from(leaving.len()).unwrap_or(u32::MAX).max(1);
    for (place, watch) in (0..).zip(leaving) {
        sleep_until(start + pause * place).await;
        // Outside of the look: whoever is woken may look at the list.
        let task = watch.look(|entry| {
            entry.told.get_or_insert(Order::Config);
            entry.task.take()
        });
        task.flatten().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::super::{Listed, Mode};
    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test(start_paused = true)]
    async fn those_of_a_route_that_went_leave_over_the_window_and_no_others() {
        let metrics = Metrics::new();
        let (gone, stays) = (Arc::new(metrics.route("/gone")), Arc::new(metrics.route("/stays")));
        let open = |meters: &Arc<RouteMeters>| Listed::open(meters, Mode::Own, Ipv4Addr::LOCALHOST.into(), "/");
        let (leaving, staying): (Vec<_>, Vec<_>) = (0..10).map(|_| (open(&gone), open(&stays))).unzip();
        let told = |all: &[Listed]| all.iter().filter(|one| one.watch().has_been_told()).count();
        gone.retire();
        let mut work = Box::pin(leave(Duration::from_secs(10), |meters, _| meters.is_retired()));
        for left in 1..10 {
            assert!(work.as_mut().now_or_never().is_none());
            assert_eq!(told(&leaving), left);
            advance(Duration::from_secs(1)).await;
        }
        work.await;
        assert_eq!((told(&leaving), told(&staying)), (10, 0));
        assert_eq!(leaving[0].watch().told().now_or_never(), Some(Order::Config));
        assert_eq!(open(&gone).watch().told().now_or_never(), Some(Order::Config), "it came too late");
    }
}
