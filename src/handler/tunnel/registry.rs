//! The tunnels of one worker: the buffer that they share, and their way out in a drain.
//!
//! Never: wakes a tunnel but to tell it to leave.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use crate::limits;
use crate::shutdown;

/// One worker's tunnels.
#[derive(Debug)]
pub struct Tunnels {
    open: RefCell<Slab<Rc<Notice>>>,
    scratch: RefCell<Box<[u8]>>,
    draining: Cell<bool>,
}

/// A tunnel's place among them, given back on drop.
#[derive(Debug)]
pub struct Seat {
    tunnels: Rc<Tunnels>,
    notice: Rc<Notice>,
    slot: usize,
}

/// What tells one tunnel to leave.
#[derive(Default)]
struct Notice {
    given: Cell<bool>,
    task: Cell<Option<Waker>>,
}

impl Tunnels {
    #[must_use]
    pub fn new() -> Rc<Tunnels> {
        let scratch = RefCell::new(vec![0; limits::TUNNEL_READ].into());
        Rc::new(Tunnels { open: RefCell::default(), scratch, draining: Cell::new(false) })
    }

    /// A place for a tunnel that opens. One whose upgrade was under way as the drain began leaves at once.
    #[must_use]
    pub fn seat(tunnels: &Rc<Tunnels>) -> Seat {
        let notice = Rc::new(Notice { given: Cell::new(tunnels.draining.get()), task: Cell::default() });
        let slot = tunnels.open.borrow_mut().insert(Rc::clone(&notice));
        Seat { tunnels: Rc::clone(tunnels), notice, slot }
    }

    /// Ends every tunnel, in random order over `spread`.
    pub async fn drain(self: Rc<Self>, spread: Duration) {
        self.draining.set(true);
        let mut leaving: Vec<_> = self.open.borrow().iter().map(|(_, notice)| Rc::clone(notice)).collect();
        shutdown::shuffle(&mut leaving);
        let start = Instant::now();
        let pause = spread / u32::try_from(leaving.len()).unwrap_or(u32::MAX).max(1);
        for (place, notice) in leaving.into_iter().enumerate() {
            tokio::time::sleep_until(start + pause * u32::try_from(place).unwrap_or(u32::MAX)).await;
            notice.give();
        }
    }

    /// Lends the buffer that all read into.
    pub(in crate::handler) fn with_scratch<T>(&self, then: impl FnOnce(&mut [u8]) -> T) -> T {
        then(&mut self.scratch.borrow_mut())
    }
}

impl Seat {
    #[must_use]
    pub fn tunnels(&self) -> &Rc<Tunnels> {
        &self.tunnels
    }

    #[must_use]
    pub fn is_told_to_leave(&self) -> bool {
        self.notice.given.get()
    }

    /// Has the task woken when it is told.
    pub fn wait(&self, cx: &Context<'_>) {
        let known = self.notice.task.take().filter(|known| known.will_wake(cx.waker()));
        self.notice.task.set(Some(known.unwrap_or_else(|| cx.waker().clone())));
    }
}

impl Notice {
    fn give(&self) {
        self.given.set(true);
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.tunnels.open.borrow_mut().remove(self.slot);
        // The waker would keep the task's memory.
        self.notice.task.take();
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice").field("given", &self.given).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    async fn told(seat: &Seat) -> Instant {
        poll_fn(|cx| {
            seat.wait(cx);
            if seat.is_told_to_leave() { Poll::Ready(Instant::now()) } else { Poll::Pending }
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_tells_each_in_its_turn_and_those_that_come_late_at_once() {
        let tunnels = Tunnels::new();
        let seats: Vec<_> = (0..4).map(|_| Tunnels::seat(&tunnels)).collect();
        let start = Instant::now();
        let draining = Rc::clone(&tunnels).drain(Duration::from_secs(4));
        let ((), mut at) = tokio::join!(draining, async {
            let mut at = Vec::new();
            for seat in &seats {
                at.push(told(seat).await);
            }
            at
        });
        at.sort();
        assert_eq!(at.last().unwrap().duration_since(start).as_secs(), 3);
        assert!(Tunnels::seat(&tunnels).is_told_to_leave());
        drop(seats);
        assert!(tunnels.open.borrow().is_empty());
    }
}
