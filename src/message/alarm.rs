//! A timer that is asked again and again and seldom rings.
//!
//! Owns: one entry in the runtime's timer, made when something is first waited for. Moving it only when it rings spares that
//! timer at each request and each read. Never: rings early.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// No entry yet, or one that may be set for an earlier moment than is asked for.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Completes when it is `due`.
    pub fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Alarm;

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_it_was_last_asked_to() {
        let mut alarm = Alarm::default();
        let began = Instant::now();
        for (asked, expected) in [(2, 2), (5, 5), (9, 9), (7, 9), (12, 12)] {
            let due = began + Duration::from_secs(asked);
            // Waited for in vain before, for longer and for less.
            for other in [asked + 10, asked.saturating_sub(1).max(10)] {
                let other = began + Duration::from_secs(other);
                let _ = futures_util::poll!(poll_fn(|cx| alarm.poll(cx, other)));
            }
            poll_fn(|cx| alarm.poll(cx, due)).await;
            assert_eq!(began.elapsed().as_secs(), expected);
        }
    }
}
