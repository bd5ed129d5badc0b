//! A feed's standing: whether its sources are there, as viewers, operators and the fallback's runner are told.
//!
//! Owns: how messages of sources and of the fallback enter the feed, and that a change is said in the one sequence.
//! Never: IO.

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::hub::{Feed, Published, State};
use super::inlet::Rank;
use super::normalize::{Incoming, Outcome};

/// Whether a feed's sources are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// None has stood, and none has fallen.
    Starting,
    /// At least one of them stands.
    Live,
    /// None of them stands.
    Stale,
    /// None of them stands, and the fallback serves.
    Fallback,
}

/// What [`Feed::reports`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    pub standing: Standing,
    /// Since when no source stands: since the feed was made where none has yet. `None` of a feed that is live or can be
    /// published to.
    pub down_since: Option<Instant>,
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// Who publishes over the admin listener.
    Publisher,
    /// The source with the inlet of this id.
    Source(u64),
    Fallback,
}

impl Standing {
    /// As viewers are told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Standing::Starting => "starting",
            Standing::Live => "live",
            Standing::Stale => "stale",
            Standing::Fallback => "fallback",
        }
    }

    /// What viewers are told of a change to `next`; that a feed comes up for the first time is not worth a word.
    pub(super) fn told(self, next: Standing) -> Option<Standing> {
        let is_news = self != next && (self, next) != (Standing::Starting, Standing::Live);
        is_news.then_some(next)
    }
}

impl Speaker {
    fn rank(self) -> Rank {
        match self {
            Speaker::Publisher | Speaker::Source(_) => Rank::Source,
            Speaker::Fallback => Rank::Fallback,
        }
    }
}

impl Feed {
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.report.borrow().standing
    }

    /// Its standing, and each change of it.
    #[must_use]
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }

    pub(super) fn hear(&self, speaker: Speaker, message: Incoming<'_>, received: Timestamp) -> Published {
        self.meters().received(received);
        let outcome = self.normalize(message, received);
        let now = Instant::now();
        let mut state = self.lock();
        let before = state.inlets.report().standing;
        match speaker {
            Speaker::Publisher => state.inlets.stands(None),
            Speaker::Source(id) => state.inlets.stands(Some(id)),
            Speaker::Fallback if !state.inlets.wants_fallback() => return Published::Late,
            Speaker::Fallback if matches!(outcome, Outcome::Keep(_)) => state.inlets.fell_back(),
            // There is nothing to serve yet.
            Speaker::Fallback => {}
        }
        if before != Standing::Live && !state.inlets.wants_fallback() {
            state.pacer.forget_fallback();
        }
        let published = match outcome {
            Outcome::Skip(dropped) => Published::Skipped(dropped),
            Outcome::Keep(envelope) => {
                let ready = state.pacer.offer(envelope, speaker.rank(), now);
                let last = ready.into_iter().map(|(envelope, rank)| state.append(envelope, rank)).last();
                last.map_or(Published::Held, Published::At)
            }
        };
        self.tell(before, &mut state);
        drop(state);
        if published == Published::Held {
            self.wake_pacer();
        }
        published
    }

    pub(super) fn open_inlet(&self) -> u64 {
        self.lock().inlets.open()
    }

    pub(super) fn close_inlet(&self, id: u64) {
        self.change(|state| state.inlets.close(id, Instant::now()));
    }

    pub(super) fn source_stands(&self, id: u64) {
        self.change(|state| {
            state.inlets.stands(Some(id));
            state.pacer.forget_fallback();
        });
    }

    pub(super) fn source_fell(&self, id: u64) {
        self.change(|state| state.inlets.fell(id, Instant::now()));
    }

    pub(super) fn fallback_fell(&self) {
        self.change(|state| state.inlets.fallback_fell());
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        let before = state.inlets.report().standing;
        change(&mut state);
        self.tell(before, &mut state);
    }

    /// Says what has changed, after what changed it.
    fn tell(&self, before: Standing, state: &mut State) {
        let report = state.inlets.report();
        if report.standing == before {
            return;
        }
        if let Some(told) = before.told(report.standing) {
            state.note(told, Timestamp::now());
        }
        self.report.send_replace(report);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Standing;
    use crate::feed::Options;
    use crate::feed::hub::{Feed, Follower, Published};
    use crate::feed::inlet::{Inlet, Rank};
    use crate::feed::log::{Cursor, Next};
    use crate::feed::normalize::Incoming;
    use crate::feed::testing::say;
    use crate::telemetry::FeedMeters;

    struct Drill {
        source: Inlet,
        fallback: Inlet,
        follower: Follower,
        cursor: Cursor,
    }

    impl Drill {
        fn new(min_interval: Duration) -> Drill {
            let options = Options { min_interval, ..Options::named("f") };
            let feed = Arc::new(Feed::try_new(options, false, FeedMeters::unseen()).unwrap());
            let follower = feed.follow();
            let cursor = Cursor::live(follower.log());
            let (source, fallback) = (Inlet::new(&feed, Rank::Source), Inlet::new(&feed, Rank::Fallback));
            Drill { source, fallback, follower, cursor }
        }

        /// What was added to the log of a worker since the last time.
        #[track_caller]
        fn check(&mut self, expected: &[&str], standing: Standing) {
            while self.follower.pull() > 0 {}
            let mut said = Vec::new();
            loop {
                match self.follower.log().next(&self.cursor) {
                    Next::Message(message) => {
                        self.cursor.pass(message.seq());
                        said.push(message.envelope().data().unwrap().into_owned());
                    }
                    Next::Notice(notice) => {
                        self.cursor.tell(notice.seq());
                        said.push(notice.standing().name().to_owned());
                    }
                    Next::Nothing => break,
                    other @ (Next::Older(_) | Next::Behind) => panic!("{other:?}"),
                }
            }
            assert_eq!(said, expected);
            assert_eq!(self.source.feed().standing(), standing);
        }
    }

    const SKIPPED: Incoming<'_> = Incoming::Text(r#"{"type":"ping"}"#);

    #[test]
    fn a_skipped_message_is_a_sign_of_life_of_a_source_and_none_of_the_fallback() {
        let mut drill = Drill::new(Duration::ZERO);
        drill.source.fell();
        drill.check(&["stale"], Standing::Stale);
        drill.fallback.publish(SKIPPED, Timestamp::UNIX_EPOCH);
        drill.fallback.stands();
        drill.check(&[], Standing::Stale);
        assert!(matches!(drill.source.publish(SKIPPED, Timestamp::UNIX_EPOCH), Published::Skipped(_)));
        drill.check(&["live"], Standing::Live);
    }

    #[test]
    fn how_a_feed_stands_is_not_held_back_by_its_interval_nor_a_source_by_the_fallback() {
        let mut drill = Drill::new(Duration::from_secs(3600));
        say(&drill.source, 1);
        drill.source.fell();
        assert_eq!(say(&drill.fallback, 11), Published::Held);
        drill.check(&["1", "stale", "fallback"], Standing::Fallback);
        assert!(matches!(say(&drill.source, 2), Published::At(_)));
        drill.check(&["2", "live"], Standing::Live);
        assert_eq!(drill.source.feed().lock().pacer.next_due(), None);
    }

    #[test]
    fn reports_say_since_when_no_source_stands() {
        let drill = Drill::new(Duration::ZERO);
        let mut reports = drill.source.feed().reports();
        let made = reports.borrow_and_update().down_since.expect("it is not live yet");
        drill.source.stands();
        assert_eq!(reports.borrow_and_update().down_since, None);
        drill.source.stands();
        assert!(!reports.has_changed().unwrap());
        drill.source.fell();
        let fell = reports.borrow_and_update().down_since.expect("it fell");
        assert!(fell >= made);
        say(&drill.fallback, 1);
        let report = *reports.borrow_and_update();
        assert_eq!((report.standing, report.down_since), (Standing::Fallback, Some(fell)));
    }
}
