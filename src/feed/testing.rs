//! What tests of readers share: a log far longer than one turn, counting turns, and a source that restarts.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::branch::Forward;
use super::hub::{Feed, Published};
use super::inlet::{Inlet, Rank};
use super::normalize::Incoming;
use super::plan::Plan;
use super::roster::Roster;
use super::seat::Wish;
use super::select::from_query;
use super::{Delivery, Options};
use crate::admission::{Credential, Whose};
use crate::limits;
use crate::secret::Secret;
use crate::telemetry::sockets::{Listed, Mode};
use crate::telemetry::{AccessLog, FeedMeters, Metrics, SocketRecord};
pub(crate) use crate::testing::run_paused as on_worker;

/// Messages of the type `a` in a [`long`] log; one of the type `b` follows.
pub(crate) const LONG: usize = 30_000;
/// The fewest turns in which they are passed.
pub(crate) const TURNS: usize = LONG / limits::WALK_MESSAGES;

/// A feed with these options, and its roster on a worker.
pub(crate) fn roster(options: Options) -> (Arc<Feed>, Rc<Roster>) {
    let feed = Arc::new(Feed::try_new(options, true, FeedMeters::unseen()).expect("no pointers"));
    let roster = worker(&feed);
    (feed, roster)
}

/// The feed's roster on one more worker, which has all that there is.
pub(crate) fn worker(feed: &Arc<Feed>) -> Rc<Roster> {
    let scratch = Rc::new(RefCell::new(vec![0; limits::READ_SIZE].into()));
    Roster::new(feed, scratch)
}

/// A worker that has caught up with a long feed.
pub(crate) fn long() -> (Arc<Feed>, Rc<Roster>) {
    let (feed, _) = roster(Options { history: 2 * LONG, ..Options::named("f") });
    for _ in 0..LONG {
        feed.publish(Incoming::Text(r#"{"type":"a","data":1}"#), Timestamp::UNIX_EPOCH);
    }
    feed.publish(Incoming::Text(r#"{"type":"b","data":1}"#), Timestamp::UNIX_EPOCH);
    let roster = worker(&feed);
    (feed, roster)
}

/// More at once than can be on its way to a worker.
pub(crate) fn overrun(feed: &Feed) {
    for number in 0..=limits::HANDOFF_MESSAGES {
        feed.publish(Incoming::Text(&number.to_string()), Timestamp::UNIX_EPOCH);
    }
}

/// A token of this user that expires this many seconds after the Unix epoch.
pub(crate) fn credential(auth: &str, subject: &str, token: &str, expires: i64) -> Credential {
    let expires = Timestamp::from_second(expires).expect("a time");
    Credential { auth: auth.into(), subject: subject.into(), token: Arc::new(Secret::new(token.to_owned())), expires }
}

/// Whoever is there, where that does not matter.
pub(crate) fn somebody() -> Whose {
    Whose::of(None, std::net::IpAddr::from([192, 0, 2, 1]))
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
    notices(true)
}

/// [`quiet`], perhaps even of how the feed stands.
pub(crate) fn notices(notices: bool) -> Arc<Delivery> {
    Arc::new(Delivery { greet: false, keepalive: None, ping: None, notices, ..Delivery::default() })
}

/// A feed whose one source has said `1`, perhaps has fallen since, and a worker that has all of it.
pub(crate) fn sourced(fell: bool) -> (Inlet, Rc<Roster>) {
    let feed = Feed::try_new(Options::named("f"), false, FeedMeters::unseen()).expect("no pointers");
    let inlet = Inlet::new(&Arc::new(feed), Rank::Source);
    say(&inlet, 1);
    if fell {
        inlet.fell();
    }
    let roster = worker(inlet.feed());
    (inlet, roster)
}

pub(crate) fn say(inlet: &Inlet, number: u32) -> Published {
    inlet.publish(Incoming::Text(&number.to_string()), Timestamp::UNIX_EPOCH)
}

/// The standing that a message of ours tells, or the value that one of the feed carries.
pub(crate) fn told(text: &[u8]) -> String {
    let message: serde_json::Value = serde_json::from_slice(text).expect("JSON");
    match message["upstream"].as_str() {
        Some(standing) => {
            assert_eq!((&message["type"], message.get("data")), (&"keepalive".into(), Some(&serde_json::Value::Null)));
            standing.to_owned()
        }
        None => message["data"].to_string(),
    }
}

/// What the next short WebSocket frame tells.
pub(crate) async fn told_next(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.expect("a frame");
    assert!(head[0] == 0x81 && head[1] < 126, "{head:?}");
    let mut payload = vec![0; usize::from(head[1])];
    stream.read_exact(&mut payload).await.expect("a payload");
    told(&payload)
}

/// Everything that can become of a [`sourced`] feed that has not fallen; `next` gives what a viewer is told next, that
/// came before and is told of all (`notices`), or of the values alone.
pub(crate) async fn restart(inlet: &Inlet, notices: bool, mut next: impl AsyncFnMut() -> String) {
    let fallback = Inlet::new(inlet.feed(), Rank::Fallback);
    let mut expect = async |expected: &[&str]| {
        for one in expected.iter().filter(|one| notices || one.parse::<u32>().is_ok()) {
            assert_eq!(next().await, *one);
        }
    };
    expect(&["1"]).await;
    inlet.fell();
    inlet.fell();
    expect(&["stale"]).await;
    say(&fallback, 11);
    expect(&["11", "fallback"]).await;
    say(&fallback, 12);
    inlet.fell();
    expect(&["12"]).await;
    say(inlet, 2);
    expect(&["2", "live"]).await;
    assert_eq!(say(&fallback, 13), Published::Late);
    inlet.stands();
    say(inlet, 3);
    expect(&["3"]).await;
    inlet.fell();
    inlet.stands();
    say(inlet, 4);
    expect(&["stale", "live", "4"]).await;
}

/// An event stream's place in the list.
pub(crate) fn listed() -> Listed {
    Listed::open(&Arc::new(Metrics::new().route("/f")), Mode::Events, [127, 0, 0, 1].into(), "/f")
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
