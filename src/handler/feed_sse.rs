//! A feed as server-sent events (WHATWG HTML, section 9.2).
//!
//! Owns: the response and its stream, which pulls from the worker's log after its own cursor. Never: queues; an event
//! is taken from the log when the connection has room for it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::FeedDoor;
use super::feed_ws::bad_query;
use crate::admission::Admission;
use crate::feed::audience::Audience;
use crate::feed::log::{Cursor, Next};
use crate::feed::message::sse_block;
use crate::feed::notice::Notice;
use crate::feed::pass::Pass;
use crate::feed::roster::{PullPermit, Roster};
use crate::feed::seat::first_cursor;
use crate::feed::system::system;
use crate::feed::turn::Turn;
use crate::feed::{Delivery, Slow, select};
use crate::limits;
use crate::message::{Body, respond};
use crate::shutdown;
use crate::telemetry::sockets::Listed;

/// One viewer's event stream.
struct Events {
    roster: Rc<Roster>,
    _permit: PullPermit,
    delivery: Arc<Delivery>,
    audience: Rc<Audience>,
    cursor: Cursor,
    /// A paced viewer reads up to here, until its next tick.
    open: u64,
    tick: Option<(Instant, Duration)>,
    greeted: bool,
    spoken: Instant,
    turn: Turn,
    /// Its last turn was too short: that it is behind is not its own doing.
    unfinished: bool,
    /// Its turn to leave, once a drain has begun.
    leave: Option<Instant>,
    /// What it was admitted with, where that is anything.
    pass: Option<Box<Pass>>,
    listed: Listed,
}

/// Answers with the stream.
#[must_use]
pub fn open(
    door: &FeedDoor,
    roster: &Rc<Roster>,
    parts: &Parts,
    admission: &Rc<Admission>,
    mut listed: Listed,
) -> Response<Body> {
    listed.set_subject(admission.subject());
    let query = match select::from_query(parts.uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return bad_query(&error),
    };
    let every = query.selection.every;
    let selection = match query.selection.interned(roster.feed().field_sets()) {
        Ok(selection) => selection,
        Err(error) => return bad_query(&error),
    };
    let now = Instant::now();
    let cursor = resume(roster, parts).unwrap_or_else(|| first_cursor(roster, query.last));
    let head = roster.log().head();
    let events = Events {
        audience: roster.audiences().join(door.delivery.shape, false, &selection),
        _permit: roster.pull_permit(),
        roster: Rc::clone(roster),
        delivery: Arc::clone(&door.delivery),
        cursor,
        open: if every.is_some() { head } else { u64::MAX },
        tick: every.map(|every| (now + every, every)),
        greeted: false,
        spoken: now,
        turn: Turn::at(now),
        unfinished: false,
        leave: None,
        pass: Pass::to(roster.feed(), admission, now, Timestamp::now),
        listed,
    };
    let pieces = stream::unfold(events, |mut events| async { Some((events.next().await?, events)) });
    let mut response = respond::empty(StatusCode::OK);
    *response.body_mut() = Body::stream(pieces);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx in front would otherwise hold events back until its buffer is full.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// After the event that the client saw last, where this process sent it.
fn resume(roster: &Roster, parts: &Parts) -> Option<Cursor> {
    let id = parts.headers.get("last-event-id")?.to_str().ok()?;
    Some(Cursor::after(&roster.log(), roster.feed().seq_of(id)?))
}

impl Events {
    /// The next piece to send; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            let mut first = self.greeting();
            // The snapshot is that of the moment in which the viewer came.
            if let Read::Piece(piece) = self.read() {
                first.extend_from_slice(&piece);
            }
            return Some(first.into());
        }
        let roster = Rc::clone(&self.roster);
        let watch = self.listed.watch();
        loop {
            if self.turn.is_over() {
                tokio::task::yield_now().await;
                self.turn = Turn::at(Instant::now());
            }
            let now = Instant::now();
            if self.leave.is_some_and(|leave| leave <= now) || self.has_expired(now) || watch.has_been_told() {
                return None;
            }
            match self.read() {
                Read::Piece(piece) => {
                    self.spoken = now;
                    return Some(piece);
                }
                Read::TooSlow => return None,
                Read::Nothing if self.turn.is_over() => continue,
                Read::Nothing => {}
            }
            let keepalive = self.delivery.keepalive.map(|keepalive| self.spoken + keepalive);
            let tick = self.tick.map(|(at, _)| at);
            let expiry = self.pass.as_ref().and_then(|pass| pass.next_look());
            tokio::select! {
                biased;
                () = roster.changed().notified(), if tick.is_none() => {}
                () = roster.noticed().notified(), if tick.is_some() => {}
                () = sleep_until(tick.unwrap_or(now)), if tick.is_some() => self.take_tick(),
                () = sleep_until(keepalive.unwrap_or(now)), if keepalive.is_some() => {
                    self.spoken = Instant::now();
                    return Some(Bytes::from_static(b": keepalive\n\n"));
                }
                () = roster.draining(), if self.leave.is_none() => self.leave = Some(roster.turn_to_leave()),
                () = sleep_until(self.leave.unwrap_or(now)), if self.leave.is_some() => {}
                () = sleep_until(expiry.unwrap_or(now)), if expiry.is_some() => {}
                _order = watch.told() => {}
            }
        }
    }

    /// What the log has after the cursor, as far as the turn goes, several events at a time up to one buffer's worth.
    fn read(&mut self) -> Read {
        let roster = Rc::clone(&self.roster);
        let (feed, log) = (roster.feed(), roster.log());
        let mut piece = Piece::default();
        let unfinished = std::mem::take(&mut self.unfinished);
        while piece.bytes < limits::SSE_PIECE {
            match log.next(&self.cursor) {
                Next::Nothing => break,
                // It is to miss what comes between two of its ticks.
                Next::Behind if self.tick.is_some() => self.cursor.conflate(&log),
                Next::Behind if feed.options().slow == Slow::Close && !unfinished && !log.excuses(&self.cursor) => {
                    return Read::TooSlow;
                }
                Next::Behind => {
                    feed.meters().conflated.inc();
                    self.cursor.conflate(&log);
                }
                Next::Message(message) if message.seq() > self.open => {
                    let Some(notice) = log.untold(&self.cursor) else { break };
                    self.tell(notice, &mut piece);
                }
                Next::Notice(notice) => self.tell(notice, &mut piece),
                Next::Message(_) | Next::Older(_) if !self.turn.pass() => {
                    self.unfinished = true;
                    break;
                }
                Next::Older(seq) => self.cursor.pass(seq),
                Next::Message(message) => {
                    self.cursor.pass(message.seq());
                    // An event stream is text.
                    if !self.audience.wants(message) || message.envelope().is_binary() {
                        continue;
                    }
                    let block = self.audience.with_encoding(message, |encoding| {
                        encoding.block(&feed.id(message.seq()), message.envelope().type_()).clone()
                    });
                    feed.meters().sent(1, block.len() as u64);
                    piece.push(block);
                }
            }
        }
        piece.finish()
    }

    /// Says how the feed stands, where the route does.
    fn tell(&mut self, notice: &Notice, piece: &mut Piece) {
        self.cursor.tell(notice.seq());
        if self.delivery.notices {
            piece.push(notice.block().clone());
        }
    }

    fn has_expired(&mut self, now: Instant) -> bool {
        self.pass.as_mut().is_some_and(|pass| pass.has_expired(now, Timestamp::now))
    }

    fn take_tick(&mut self) {
        let Some((at, every)) = self.tick else { return };
        self.tick = Some((Instant::now().max(at + every), every));
        let log = self.roster.log();
        self.open = log.head();
        self.cursor.conflate(&log);
    }

    /// How soon to come back after a cut, different for each viewer, and `connected` where the route greets.
    fn greeting(&self) -> Vec<u8> {
        let mut text = format!("retry: {}\n", shutdown::random_millis(limits::SSE_RETRY)).into_bytes();
        if self.delivery.greet {
            text.extend_from_slice(&sse_block(None, "connected", &system("connected", None, &[], Timestamp::now())));
        } else {
            text.push(b'\n');
        }
        text
    }
}

enum Read {
    Piece(Bytes),
    Nothing,
    TooSlow,
}

/// Events that are sent at once. One alone is not copied.
#[derive(Default)]
struct Piece {
    first: Option<Bytes>,
    joined: BytesMut,
    bytes: usize,
}

impl Piece {
    fn push(&mut self, block: Bytes) {
        self.bytes += block.len();
        match self.first.take() {
            None if self.joined.is_empty() => self.first = Some(block),
            None => self.joined.extend_from_slice(&block),
            Some(before) => {
                self.joined.extend_from_slice(&before);
                self.joined.extend_from_slice(&block);
            }
        }
    }

    fn finish(self) -> Read {
        match self.first {
            Some(block) => Read::Piece(block),
            None if self.joined.is_empty() => Read::Nothing,
            None => Read::Piece(self.joined.freeze()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use http::Request;
    use http_body_util::BodyExt;

    use super::open;
    use crate::feed::roster::Roster;
    use crate::feed::testing::{
        LONG, TURNS, in_turns, listed, long, notices, overrun, quiet, restart, roster, say, sourced, told,
    };
    use crate::feed::{Options, Slow};
    use crate::handler::FeedDoor;
    use crate::message::Body;

    #[tokio::test]
    async fn where_the_slow_are_closed_one_that_kept_up_reads_on_after_its_worker_did_not() {
        let (feed, roster) = roster(Options { history: 1, slow: Slow::Close, ..Options::named("f") });
        let door = FeedDoor::at("/f", "f", quiet());
        let (parts, ()) = Request::get("/f").body(()).unwrap().into_parts();
        let mut body = open(&door, &roster, &parts, &Rc::default(), listed()).into_body();
        body.frame().await.unwrap().unwrap();
        overrun(&feed);
        let read = async { body.frame().await.map(|frame| frame.unwrap().into_data().unwrap()) };
        let event = tokio::select! {
            () = Rc::clone(&roster).run() => unreachable!("it never ends"),
            event = read => event.expect("it is not ended"),
        };
        assert!(event.starts_with(b"id: "), "{event:?}");
    }

    #[tokio::test]
    async fn a_long_history_is_walked_in_turns_with_others() {
        let (_feed, roster) = long();
        let door = FeedDoor::at("/f", "f", quiet());
        let (parts, ()) = Request::get(format!("/f?types=b&last={LONG}")).body(()).unwrap().into_parts();
        let mut body = open(&door, &roster, &parts, &Rc::default(), listed()).into_body();
        let greeting = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(!greeting.windows(8).any(|part| part == b"event: b"), "{greeting:?}");
        let turns = Cell::new(0);
        let event = in_turns(&turns, body.frame()).await.unwrap().unwrap().into_data().unwrap();
        assert!(event.starts_with(b"id: ") && turns.get() + 1 >= TURNS, "{} turns", turns.get());
    }

    /// An event stream at `path`.
    fn view(roster: &Rc<Roster>, notices_wanted: bool, path: &str) -> Events {
        let door = FeedDoor::at("/f", "f", notices(notices_wanted));
        let (parts, ()) = Request::get(path).body(()).unwrap().into_parts();
        Events { body: open(&door, roster, &parts, &Rc::default(), listed()).into_body(), unread: String::new() }
    }

    struct Events {
        body: Body,
        unread: String,
    }

    impl Events {
        /// What the next event tells. Those of the feed have an id, ours have none.
        async fn told(&mut self) -> String {
            loop {
                while let Some((event, rest)) = self.unread.split_once("\n\n") {
                    let event = event.to_owned();
                    self.unread = rest.to_owned();
                    if let Some((head, data)) = event.split_once("\ndata: ") {
                        let told = told(data.as_bytes());
                        assert_eq!(head == "event: keepalive", told.parse::<u32>().is_err(), "{event}");
                        return told;
                    }
                }
                let piece = self.body.frame().await.unwrap().unwrap().into_data().unwrap();
                self.unread.push_str(std::str::from_utf8(&piece).unwrap());
            }
        }
    }

    #[tokio::test]
    async fn how_the_feed_stands_is_told_where_the_route_says_so() {
        for wanted in [true, false] {
            let (inlet, roster) = sourced(false);
            let mut viewer = view(&roster, wanted, "/f");
            tokio::select! {
                () = Rc::clone(&roster).run() => unreachable!("it never ends"),
                () = restart(&inlet, wanted, async || viewer.told().await) => {}
            }
        }
    }

    #[tokio::test]
    async fn one_that_comes_later_is_told_after_the_snapshot() {
        let (inlet, roster) = sourced(true);
        let mut viewer = view(&roster, true, "/f");
        let story = async {
            assert_eq!([viewer.told().await, viewer.told().await], ["1", "stale"]);
            say(&inlet, 2);
            assert_eq!([viewer.told().await, viewer.told().await], ["2", "live"]);
        };
        tokio::select! {
            () = Rc::clone(&roster).run() => unreachable!("it never ends"),
            () = story => {}
        }
    }

    #[tokio::test]
    async fn how_the_feed_stands_waits_for_no_tick() {
        let (inlet, roster) = sourced(false);
        let mut viewer = view(&roster, true, "/f?every=1h&types=message,other");
        let story = async {
            assert_eq!(viewer.told().await, "1");
            inlet.fell();
            assert_eq!(viewer.told().await, "stale");
            say(&inlet, 2);
            assert_eq!(viewer.told().await, "live");
        };
        tokio::select! {
            () = Rc::clone(&roster).run() => unreachable!("it never ends"),
            () = story => {}
        }
    }
}
