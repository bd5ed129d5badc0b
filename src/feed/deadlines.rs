//! When each viewer of a roster falls due.
//!
//! Owns: the order of the deadlines, and the wait for the first of them. Never: takes one back: a viewer knows which of its
//! deadlines counts, and the others are left out when they come up or grow too many.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::pulse::Stamp;
use crate::limits;

/// Deadlines, by the viewers' places in their roster. There is one of 16 bytes a viewer, and some that count no more.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: RefCell<BinaryHeap<Reverse<(Stamp, usize)>>>,
    /// There is a new first one.
    sooner: Notify,
}

impl Deadlines {
    /// Adds one.
    pub(super) fn add(&self, due: Stamp, place: usize) {
        let mut heap = self.heap.borrow_mut();
        if heap.peek().is_none_or(|Reverse((first, _))| due < *first) {
            self.sooner.notify_one();
        }
        heap.push(Reverse((due, place)));
    }

    /// Whether too many of them count no more, of `viewers` that may each have one that does.
    pub(super) fn is_overgrown(&self, viewers: usize) -> bool {
        self.heap.borrow().len() > 2 * viewers + limits::STALE_DEADLINES
    }

    /// Forgets all but these.
    pub(super) fn keep(&self, deadlines: impl Iterator<Item = (Stamp, usize)>) {
        *self.heap.borrow_mut() = deadlines.map(Reverse).collect();
        self.sooner.notify_one();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.borrow().len()
    }

    /// Completes when the first one is past, and takes it off. One waits at a time.
    pub(super) async fn next(&self) -> (Stamp, usize) {
        loop {
            let first = self.heap.borrow().peek().map(|Reverse((due, _))| due.instant());
            match first {
                Some(due) if due <= Instant::now() => {
                    let passed = self.heap.borrow_mut().pop();
                    if let Some(Reverse(passed)) = passed {
                        return passed;
                    }
                }
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.sooner.notified() => {}
                },
                None => self.sooner.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::{Instant, advance};

    use super::{Deadlines, Stamp};
    use crate::limits;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(seconds: u32) -> Stamp {
        Stamp::not_before(Instant::now() + SECOND * seconds)
    }

    #[test]
    fn what_is_kept_of_each_viewer_is_small() {
        assert!(size_of::<(Stamp, usize)>() <= 16);
    }

    #[tokio::test(start_paused = true)]
    async fn they_come_in_their_order_whatever_the_one_they_were_added_in() {
        let deadlines = Deadlines::default();
        let (began, due) = (Instant::now(), [after(3), after(1), after(2)]);
        (0..).zip(due).for_each(|(place, due)| deadlines.add(due, place));
        for (place, seconds) in [(1, 1), (2, 2), (0, 3)] {
            assert_eq!(deadlines.next().await, (due[place], place));
            let waited = began.elapsed();
            assert!(waited >= SECOND * seconds && waited < SECOND * seconds + Duration::from_millis(3), "{waited:?}");
        }
        assert!(deadlines.next().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_added_before_the_first_is_not_slept_over() {
        let deadlines = Deadlines::default();
        let began = Instant::now();
        deadlines.add(after(60), 0);
        let (next, ()) = tokio::join!(deadlines.next(), async {
            tokio::task::yield_now().await;
            deadlines.add(after(1), 1);
        });
        assert_eq!((next.1, began.elapsed().as_secs()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_count_no_more_are_forgotten_before_they_are_many() {
        let deadlines = Deadlines::default();
        let viewers = 10;
        let (stale, counts) = (after(1), after(2));
        for _ in 0..2 * viewers + limits::STALE_DEADLINES {
            assert!(!deadlines.is_overgrown(viewers));
            deadlines.add(stale, 3);
        }
        deadlines.add(counts, 3);
        assert!(deadlines.is_overgrown(viewers));
        deadlines.keep([(counts, 3)].into_iter());
        assert!(!deadlines.is_overgrown(0));
        advance(2 * SECOND).await;
        assert_eq!(deadlines.next().await, (counts, 3));
        assert!(deadlines.next().now_or_never().is_none());
    }
}
