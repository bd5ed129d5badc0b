//! What tests of readers share: a log far longer than one turn, and counting turns.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

use super::branch::Forward;
use super::hub::Feed;
use super::normalize::Incoming;
use super::plan::Plan;
use super::roster::Roster;
use super::seat::Wish;
use super::select::from_query;
use super::{Delivery, Options};
use crate::admission::Credential;
use crate::limits;
use crate::secret::Secret;
use crate::telemetry::{AccessLog, FeedMeters, Metrics, SocketRecord};

/// Messages of the type `a` in a [`long`] log; one of the type `b` follows.
pub(crate) const LONG: usize = 30_000;
/// The fewest turns in which they are passed.
pub(crate) const TURNS: usize = LONG / limits::WALK_MESSAGES;

/// A feed with these options, and its roster on a worker.
pub(crate) fn roster(options: Options) -> (Arc<Feed>, Rc<Roster>) {
    let feed = Arc::new(Feed::try_new(options, true, FeedMeters::unseen()).expect("no pointers"));
    let scratch = Rc::new(RefCell::new(vec![0; limits::READ_SIZE].into()));
    let roster = Roster::new(&feed, scratch);
    (feed, roster)
}

/// A worker that has caught up with a long feed.
pub(crate) fn long() -> (Arc<Feed>, Rc<Roster>) {
    let (feed, _) = roster(Options { history: 2 * LONG, ..Options::named("f") });
    for _ in 0..LONG {
        feed.publish(Incoming::Text(r#"{"type":"a","data":1}"#), Timestamp::UNIX_EPOCH);
    }
    feed.publish(Incoming::Text(r#"{"type":"b","data":1}"#), Timestamp::UNIX_EPOCH);
    let scratch = Rc::new(RefCell::new(vec![0; limits::READ_SIZE].into()));
    let roster = Roster::new(&feed, scratch);
    (feed, roster)
}

/// More at once than can be on its way to a worker.
pub(crate) fn overrun(feed: &Feed) {
    for number in 0..=limits::HANDOFF_MESSAGES {
        feed.publish(Incoming::Text(&number.to_string()), Timestamp::UNIX_EPOCH);
    }
}

/// Runs `work` on a worker's kind of runtime, whose time goes on only where all wait.
pub(crate) fn on_worker<F: Future>(work: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build_local(Default::default()).expect("a runtime");
    runtime.block_on(work)
}

/// A token of this user that expires this many seconds after the Unix epoch.
pub(crate) fn credential(auth: &str, subject: &str, token: &str, expires: i64) -> Credential {
    let expires = Timestamp::from_second(expires).expect("a time");
    Credential { auth: auth.into(), subject: subject.into(), token: Arc::new(Secret::new(token.to_owned())), expires }
}

/// As a config that sets this and nothing else has it.
pub(crate) fn plan(options: Options, forward: Option<Forward>) -> Plan {
    Plan::try_new(options, false, forward, FeedMeters::unseen()).expect("no pointers")
}

/// What a viewer that named this in its URL wishes.
pub(crate) fn wish(query: &str) -> Wish {
    let query = from_query(query).expect("a query");
    Wish { selection: query.selection, last: query.last, deflate: false }
}

pub(crate) fn quiet() -> Arc<Delivery> {
    Arc::new(Delivery { greet: false, keepalive: None, ping: None, ..Delivery::default() })
}

/// A record that nobody reads.
pub(crate) fn record() -> SocketRecord {
    SocketRecord::open(&AccessLog::off(), &Arc::new(Metrics::new().route("/f")), [127, 0, 0, 1].into(), "/f")
}

/// Runs `work`, and counts in how many turns.
pub(crate) async fn in_turns<F: Future>(turns: &Cell<usize>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| {
        turns.set(turns.get() + 1);
        work.as_mut().poll(cx)
    })
    .await
}
