//! The open sockets and event streams, as operators see them, and as they are told to close.
//!
//! Owns: each worker's list of its own, kept on its thread, and the questions about it that come from elsewhere. Never:
//! takes a lock or counts in what messages pass through; a socket is told to close by waking its task.

mod leaving;

use std::cell::RefCell;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use jiff::{SignedDuration, Timestamp};
use slab::Slab;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::metrics::RouteMeters;
use crate::limits;

pub use leaving::leave;

/// An open socket's place in the list, given back on drop. It stays on the thread that it was taken on.
#[derive(Debug)]
pub struct Listed {
    watch: Watch,
    _here: PhantomData<Rc<()>>,
}

/// Tells one socket that it is to close.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    number: u64,
    slot: usize,
}

/// What is known of one socket. There is one of these a socket.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    /// Milliseconds after [`START`].
    pub(super) since: u64,
    pub(super) meters: Arc<RouteMeters>,
    /// What few have.
    rare: Option<Box<Rare>>,
    task: Option<Waker>,
    pub(super) client: IpAddr,
    pub(super) mode: Mode,
    told: Option<Order>,
}

#[derive(Debug, Default)]
struct Rare {
    /// Where it is another than the route's own.
    path: Option<Box<str>>,
    subject: Option<Arc<str>>,
}

/// Who wants a socket closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Operator,
    /// Another config is in use, with which it could not have been opened as it was.
    Config,
}

/// How a socket is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As all WebSockets of its route are.
    Own,
    Tunnel,
    /// Server-sent events.
    Events,
}

/// What operators are shown of one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Greater for those that came later.
    pub number: u64,
    pub client: IpAddr,
    /// As configured.
    pub route: String,
    /// `feed`, `session`, `tunnel` or `events`.
    pub mode: &'static str,
    /// Without its query.
    pub path: String,
    pub subject: Option<Arc<str>>,
    pub since: Timestamp,
}

/// A question about one worker's sockets.
#[derive(Debug)]
pub enum Inquiry {
    /// Those after the number `after`, the oldest first, at most `limit`.
    List { after: u64, limit: usize, answer: oneshot::Sender<Vec<Shown>> },
    /// Have this one close; the answer is whether it is there.
    Close { number: u64, answer: oneshot::Sender<bool> },
}

/// The sockets of all workers.
#[derive(Debug, Clone, Default)]
pub struct Sockets(Vec<mpsc::Sender<Inquiry>>);

/// A worker does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a worker is too busy to answer; ask again")]
pub struct Busy;

thread_local! {
    static OPEN: RefCell<Slab<Entry>> = const { RefCell::new(Slab::new()) };
}

static LAST: AtomicU64 = AtomicU64::new(0);
static START: LazyLock<(Instant, Timestamp)> = LazyLock::new(|| (Instant::now(), Timestamp::now()));
/// Tells this process's numbers from an earlier one's.
static BOOT: LazyLock<String> = LazyLock::new(|| format!("{:08x}", RandomState::new().hash_one("sockets") as u32));

/// What operators call the socket of this number: `<boot>-<number>`.
#[must_use]
pub fn id(number: u64) -> String {
    format!("{}-{number}", *BOOT)
}

/// The number of the socket that operators call `id`; `None` where it is none of this process's.
#[must_use]
pub fn number(id: &str) -> Option<u64> {
    let (boot, number) = id.split_once('-')?;
    number.parse().ok().filter(|_| boot == *BOOT)
}

/// Where questions for one worker are put, and come out.
#[must_use]
pub fn desk() -> (mpsc::Sender<Inquiry>, mpsc::Receiver<Inquiry>) {
    mpsc::channel(limits::INQUIRIES)
}

/// Answers for the thread that this runs on.
pub async fn answer_all(mut inquiries: mpsc::Receiver<Inquiry>) {
    while let Some(inquiry) = inquiries.recv().await {
        // Whoever asked may have gone.
        match inquiry {
            Inquiry::List { after, limit, answer } => drop(answer.send(list(after, limit))),
            Inquiry::Close { number, answer } => drop(answer.send(close(number))),
        }
    }
}

impl Listed {
    /// Lists a socket that opens now, as this thread's.
    #[must_use]
    pub fn open(meters: &Arc<RouteMeters>, mode: Mode, client: IpAddr, path: &str) -> Listed {
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let rare = (path != meters.route()).then(|| Box::new(Rare { path: Some(path.into()), subject: None }));
        // It may have been on its way here while its route went.
        let told = meters.is_retired().then_some(Order::Config);
        let meters = Arc::clone(meters);
        let entry = Entry { number, since: now(), meters, rare, task: None, client, mode, told };
        let slot = OPEN.with_borrow_mut(|open| {
            if open.len() == open.capacity() {
                // By a quarter: to double would keep room for as many again.
                open.reserve_exact(open.len() / 4 + 16);
            }
            open.insert(entry)
        });
        Listed { watch: Watch { number, slot }, _here: PhantomData }
    }

    /// Of whom its token speaks.
    pub fn set_subject(&mut self, subject: Option<&Arc<str>>) {
        self.watch.look(|entry| match (subject, &mut entry.rare) {
            (None, None) => {}
            (subject, rare) => rare.get_or_insert_default().subject = subject.cloned(),
        });
    }

    /// To wait with while it is open.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch
    }

    /// Takes it off the list.
    pub(super) fn leave(&self) -> Option<Entry> {
        let Watch { number, slot } = self.watch;
        let take = |open: &mut Slab<Entry>| {
            open.get(slot).is_some_and(|entry| entry.number == number).then(|| open.remove(slot))
        };
        // While the thread ends, the list may have gone before.
        OPEN.try_with(|open| take(&mut open.borrow_mut())).ok().flatten()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

impl Watch {
    /// Completes when it is to be closed.
    pub fn poll_told(self, cx: &Context<'_>) -> Poll<Order> {
        let told = self.look(|entry| {
            if entry.told.is_none() && !entry.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                entry.task = Some(cx.waker().clone());
            }
            entry.told
        });
        told.flatten().map_or(Poll::Pending, Poll::Ready)
    }

    /// The same, without waiting.
    #[must_use]
    pub fn has_been_told(self) -> bool {
        self.look(|entry| entry.told.is_some()).unwrap_or_default()
    }

    /// Completes when it is to be closed.
    pub async fn told(self) -> Order {
        poll_fn(|cx| self.poll_told(cx)).await
    }

    fn look<T>(self, then: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        OPEN.with_borrow_mut(|open| open.get_mut(self.slot).filter(|entry| entry.number == self.number).map(then))
    }
}

impl Entry {
    /// Without its query.
    pub(super) fn path(&self) -> &str {
        let own = self.rare.as_ref().and_then(|rare| rare.path.as_deref());
        own.unwrap_or_else(|| self.meters.route())
    }

    fn shown(&self) -> Shown {
        let since = SignedDuration::from_millis(i64::try_from(self.since).unwrap_or(i64::MAX));
        Shown {
            number: self.number,
            client: self.client,
            route: self.meters.route().to_owned(),
            mode: match self.mode {
                Mode::Own => self.meters.mode(),
                Mode::Tunnel => "tunnel",
                Mode::Events => "events",
            },
            path: self.path().to_owned(),
            subject: self.rare.as_ref().and_then(|rare| rare.subject.clone()),
            since: START.1.checked_add(since).unwrap_or(Timestamp::MAX),
        }
    }
}

impl Sockets {
    #[must_use]
    pub fn new(desks: Vec<mpsc::Sender<Inquiry>>) -> Sockets {
        Sockets(desks)
    }

    /// Those after the number `after`, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// If a worker does not answer in time.
    pub async fn list(&self, after: u64, limit: usize) -> Result<Vec<Shown>, Busy> {
        let mut all = self.ask(|answer| Inquiry::List { after, limit, answer }).await?.concat();
        all.sort_unstable_by_key(|shown| shown.number);
        all.truncate(limit);
        Ok(all)
    }

    /// Has one close; gives whether it is there.
    ///
    /// # Errors
    /// If a worker does not answer in time.
    pub async fn close(&self, number: u64) -> Result<bool, Busy> {
        Ok(self.ask(|answer| Inquiry::Close { number, answer }).await?.contains(&true))
    }

    /// Asks all workers; one that has ended has no sockets.
    async fn ask<T>(&self, inquiry: impl Fn(oneshot::Sender<T>) -> Inquiry) -> Result<Vec<T>, Busy> {
        let mut asked = Vec::with_capacity(self.0.len());
        for desk in &self.0 {
            let (answer, answered) = oneshot::channel();
            match desk.try_send(inquiry(answer)) {
                Ok(()) => asked.push(answered),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(Busy),
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
        let all = async {
            let mut answers = Vec::with_capacity(asked.len());
            for answered in asked {
                answers.extend(answered.await.ok());
            }
            answers
        };
        timeout(limits::INQUIRY, all).await.map_err(|_elapsed| Busy)
    }
}

/// Milliseconds after [`START`].
pub(super) fn now() -> u64 {
    u64::try_from(START.0.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn list(after: u64, limit: usize) -> Vec<Shown> {
    OPEN.with_borrow(|open| {
        let later = open.iter().map(|(slot, entry)| (entry.number, slot)).filter(|(number, _)| *number > after);
        let mut found: Vec<_> = later.collect();
        if limit < found.len() {
            found.select_nth_unstable(limit);
            found.truncate(limit);
        }
        found.iter().filter_map(|(_, slot)| Some(open.get(*slot)?.shown())).collect()
    })
}

fn close(number: u64) -> bool {
    let task = OPEN.with_borrow_mut(|open| {
        let (_, entry) = open.iter_mut().find(|(_, entry)| entry.number == number)?;
        entry.told = Some(Order::Operator);
        Some(entry.task.take())
    });
    // Outside: whoever is woken may look at the list.
    task.map(|task| task.into_iter().for_each(Waker::wake)).is_some()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::telemetry::Metrics;

    fn open(metrics: &Metrics, path: &str) -> Listed {
        Listed::open(&Arc::new(metrics.route("/ws")), Mode::Own, [127, 0, 0, 1].into(), path)
    }

    /// The numbers that are listed after that of `after`.
    fn numbers(after: &Listed, limit: usize) -> Vec<u64> {
        let mut numbers: Vec<u64> = list(after.watch.number, limit).iter().map(|shown| shown.number).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn what_is_kept_of_each_socket_is_small() {
        assert!(size_of::<Entry>() <= 72, "{}", size_of::<Entry>());
        assert!(size_of::<Listed>() <= 16, "{}", size_of::<Listed>());
    }

    #[test]
    fn those_that_came_first_are_told_of_first_and_no_more_than_are_asked_for() {
        let metrics = Metrics::new();
        let first = open(&metrics, "/ws");
        let others: Vec<_> = (0..5).map(|_| open(&metrics, "/ws/below")).collect();
        let all: Vec<u64> = others.iter().map(|one| one.watch.number).collect();
        assert_eq!(numbers(&first, 9), all);
        assert_eq!(numbers(&first, 2), all[..2]);
        assert_eq!(numbers(&others[3], 2), all[4..]);
        drop(others);
        assert_eq!(numbers(&first, 9), [] as [u64; 0]);
    }

    #[test]
    fn one_is_told_to_close_and_no_other_not_even_in_its_place() {
        let metrics = Metrics::new();
        let (one, other) = (open(&metrics, "/ws"), open(&metrics, "/ws"));
        let watch = one.watch();
        assert!(close(watch.number));
        assert!(watch.told().now_or_never().is_some() && other.watch().told().now_or_never().is_none());
        drop(one);
        assert!(!close(watch.number));
        let next = open(&metrics, "/ws");
        assert_eq!(next.watch.slot, watch.slot);
        assert!(!watch.has_been_told() && !next.watch().has_been_told());
    }

    #[test]
    fn an_id_is_of_this_process_alone() {
        assert_eq!(number(&id(7)), Some(7));
        for wrong in ["7", "-7", "00000000-", "x-7", "", &format!("{}x", id(7)), &format!(" {}", id(7))] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_answer_is_not_waited_for() {
        let (desk, inquiries) = desk();
        let sockets = Sockets::new(vec![desk]);
        let began = Instant::now();
        assert_eq!(sockets.list(0, 1).await, Err(Busy));
        assert_eq!(began.elapsed().as_secs(), limits::INQUIRY.as_secs());
        for _ in 1..limits::INQUIRIES {
            assert!(sockets.close(1).now_or_never().is_none());
        }
        assert_eq!(sockets.close(1).now_or_never(), Some(Err(Busy)), "too many wait");
        drop(inquiries);
        assert_eq!(sockets.close(1).await, Ok(false), "a worker that has ended holds none");
    }
}
