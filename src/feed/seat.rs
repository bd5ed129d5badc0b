//! A seat: what a feed knows of one WebSocket viewer, whichever way its bytes travel.
//!
//! Owns: the cursor, the audience, what waits to be written, the deadlines, and the answers to what the viewer says.
//! Never: does IO of its own; it writes into a [`Sink`] and is told what was heard and what time it is.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::audience::Audience;
use super::command::{self, Command};
pub use super::farewell::{Farewell, Tally};
use super::log::{Cursor, Log, Next};
use super::notice::Notice;
use super::options::{Delivery, Slow, Snapshot};
use super::outgoing::{Flow, Outgoing, Sink};
use super::pass::{self, Pass};
use super::pulse::{Due, Pulse};
use super::roster::Roster;
use super::select::Selection;
use super::turn::{Progress, Turn};
pub use super::wish::{Wish, first_cursor};
use crate::admission::Admission;
use crate::limits;
use crate::ws::{CloseCode, CloseFrame, Message, Violation, close, frame};

/// One WebSocket viewer.
#[derive(Debug)]
pub struct Seat {
    roster: Rc<Roster>,
    delivery: Arc<Delivery>,
    audience: Rc<Audience>,
    cursor: Cursor,
    out: Outgoing,
    pulse: Pulse,
    /// What it was admitted with, where that is anything.
    pass: Option<Box<Pass>>,
    ending: Option<Box<Farewell>>,
    /// The peer's close has come, or it may be gone without one.
    heard_close: bool,
    /// The peer broke the protocol: it is told so, and what it says after that has no meaning.
    rejected: bool,
    /// Its last turn was too short: that it is behind is not its own doing.
    unfinished: bool,
    tally: Tally,
}

impl Seat {
    /// Takes a seat: the greeting waits to be written, and the cursor stands before the snapshot.
    #[must_use]
    pub fn new(roster: Rc<Roster>, delivery: Arc<Delivery>, wish: &Wish, now: Instant) -> Seat {
        let audience = roster.audiences().join(delivery.shape, wish.deflate, &wish.selection);
        let mut seat = Seat {
            cursor: first_cursor(&roster, wish.last),
            out: Outgoing::default(),
            pulse: Pulse::new(now),
            pass: None,
            ending: None,
            heard_close: false,
            rejected: false,
            unfinished: false,
            tally: Tally::default(),
            roster,
            delivery,
            audience,
        };
        if seat.delivery.greet {
            seat.out.say("connected", None);
        }
        seat.pace(wish.selection.every, now);
        seat
    }

    /// The same seat, held to what its viewer was admitted with; without this, to nothing.
    #[must_use]
    pub fn admitted(mut self, admission: &Rc<Admission>, now: Instant) -> Seat {
        self.pass = Pass::to(self.roster.feed(), admission, now, Timestamp::now);
        self
    }

    /// Writes what waits, then what the log has after the cursor, as far as the peer takes it and the turn goes.
    ///
    /// # Errors
    /// What the sink says; the viewer is then gone.
    pub fn advance(&mut self, turn: &mut Turn, sink: &mut impl Sink) -> io::Result<Progress> {
        let roster = Rc::clone(&self.roster);
        let log = roster.log();
        let progress = self.write(&log, turn, sink)?;
        self.unfinished = progress == Progress::More;
        self.watch_large_frame(&log, turn.now());
        Ok(progress)
    }

    /// In place of [`advance`](Seat::advance) while the peer takes nothing: judges what it misses meanwhile. Gives whether
    /// that brought a deadline.
    pub fn fall_back(&mut self, now: Instant) -> bool {
        let roster = Rc::clone(&self.roster);
        let log = roster.log();
        let before = self.next_due();
        if roster.feed().options().slow == Slow::Close && log.is_past(&self.cursor) {
            self.fall_behind(&log, now);
        }
        self.watch_large_frame(&log, now);
        self.next_due() != before
    }

    /// A large frame that the log has let go of is kept for this viewer alone, for as long as it moves.
    fn watch_large_frame(&mut self, log: &Log, now: Instant) {
        let stuck = self.out.stuck().filter(|at| at.size > limits::LARGE_FRAME && !log.contains(at.seq));
        self.pulse.stuck(stuck, now);
    }

    fn write(&mut self, log: &Log, turn: &mut Turn, sink: &mut impl Sink) -> io::Result<Progress> {
        let now = turn.now();
        loop {
            if !self.out.is_empty() {
                if self.out.flush(sink)? == Flow::Blocked {
                    return Ok(Progress::Blocked);
                }
                self.pulse.spoke(now);
            }
            if self.ending.is_some() {
                return Ok(Progress::Done);
            }
            match log.next(&self.cursor) {
                Next::Nothing => return Ok(Progress::Done),
                // It is to miss what comes between two of its ticks.
                Next::Behind if self.pulse.is_paced() => self.cursor.conflate(log),
                Next::Behind => self.fall_behind(log, now),
                Next::Message(message) if message.seq() > self.pulse.reach() => match log.untold(&self.cursor) {
                    Some(notice) if self.tell(notice, now, sink)? == Flow::Blocked => return Ok(Progress::Blocked),
                    Some(_) => {}
                    None => return Ok(Progress::Done),
                },
                Next::Notice(notice) => {
                    if self.tell(notice, now, sink)? == Flow::Blocked {
                        return Ok(Progress::Blocked);
                    }
                }
                Next::Message(_) | Next::Older(_) if !turn.pass() => return Ok(Progress::More),
                Next::Older(seq) => self.cursor.pass(seq),
                Next::Message(message) => {
                    self.cursor.pass(message.seq());
                    if self.audience.wants(message) && self.send(message, now, sink)? == Flow::Blocked {
                        return Ok(Progress::Blocked);
                    }
                }
            }
        }
    }

    fn send(&mut self, message: &super::message::Message, now: Instant, sink: &mut impl Sink) -> io::Result<Flow> {
        let (out, tally) = (&mut self.out, &mut self.tally);
        let flow = self.audience.with_frame(message, |frame| {
            tally.messages += 1;
            tally.bytes += frame.len() as u64;
            out.send(message.seq(), frame, sink)
        })?;
        self.pulse.spoke(now);
        Ok(flow)
    }

    /// Tells how the feed stands, where the route says so.
    fn tell(&mut self, notice: &Notice, now: Instant, sink: &mut impl Sink) -> io::Result<Flow> {
        self.cursor.tell(notice.seq());
        if !self.delivery.notices {
            return Ok(Flow::Done);
        }
        self.pulse.spoke(now);
        self.out.send(notice.seq(), notice.frame(), sink)
    }

    /// Answers a message of the viewer; the answer waits in the seat until it is written.
    pub fn hear(&mut self, message: Message, now: Instant) {
        let waited = self.pulse.heard(now);
        if self.ending.is_some() && !matches!(message, Message::Close(_)) {
            return;
        }
        if !pass::lets(self.pass.as_deref_mut(), &message, now) {
            return self.close(CloseCode::POLICY, close::MESSAGE_RATE, now);
        }
        match message {
            Message::Text(text) => match command::parse(&text) {
                Ok(command) => self.obey(command, now),
                Err(error) => self.out.refuse(error.code, &error.message),
            },
            Message::Binary(_) => self.out.refuse("not_text", "a viewer's messages are JSON text, not binary"),
            Message::Ping(payload) => self.out.answer(frame::pong(&payload)),
            Message::Pong(_) => waited.into_iter().for_each(|took| self.roster.feed().meters().ponged(took)),
            Message::Close(frame) => self.hear_close(frame, now),
        }
    }

    /// The peer broke a rule of RFC 6455: it is told which, and not heard again.
    pub fn reject(&mut self, violation: &Violation, now: Instant) {
        self.rejected = true;
        self.close(violation.code, violation.reason, now);
    }

    /// Begins the closing handshake.
    pub fn close(&mut self, code: CloseCode, reason: &str, now: Instant) {
        if self.ending.is_none() {
            self.out.answer(frame::close(code, reason));
            self.ending = Some(Box::new(Farewell { code: code.get(), reason: reason.to_owned() }));
            self.pulse.close(now);
        }
    }

    /// Does what has fallen due; gives how it ends where the peer is to be dropped.
    pub fn on_time(&mut self, now: Instant) -> Option<Farewell> {
        if self.ending.is_none() && self.pass.as_mut().is_some_and(|pass| pass.has_expired(now, Timestamp::now)) {
            self.close(CloseCode::POLICY, close::TOKEN_EXPIRED, now);
        }
        while let Some(due) = self.pulse.take(&self.delivery, now) {
            match due {
                Due::Keepalive if self.out.is_empty() => self.out.answer(self.roster.keepalive(now)),
                // Bytes that wait to go out will be sign enough of life.
                Due::Keepalive => {}
                Due::Ping if self.out.is_full() => {}
                Due::Ping => self.out.answer(frame::ping(b"")),
                Due::Tick => {
                    let log = self.roster.log();
                    self.pulse.reach_to(log.head());
                    self.cursor.conflate(&log);
                }
                Due::Dead(reason) => {
                    let ending = self.ending.as_deref().cloned();
                    return Some(ending.unwrap_or_else(|| Farewell::dropped(reason)));
                }
            }
        }
        None
    }

    /// When [`on_time`](Seat::on_time) has something to do next.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let expiry = self.pass.as_ref().filter(|_| self.ending.is_none()).and_then(|pass| pass.next_look());
        self.pulse.next(&self.delivery).into_iter().chain(expiry).min()
    }

    /// Both sides have closed and all is written.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ending.is_some() && self.heard_close && self.out.is_empty()
    }

    /// We have said our last word, and no answer to it is waited for (RFC 6455, section 7.1.7): the peer may end it.
    #[must_use]
    pub fn has_hung_up(&self) -> bool {
        self.rejected && self.out.is_empty()
    }

    /// The peer says no more, or is gone.
    pub fn hear_end(&mut self) {
        self.heard_close = true;
        self.ending.get_or_insert_with(|| Box::new(Farewell::dropped("the viewer left without a close")));
        self.out.drop_answers();
    }

    /// Whether the viewer must read our answers before it is heard again.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.out.is_full()
    }

    /// Nobody is there any more: this is how it ended.
    pub fn end(&mut self, farewell: Farewell) {
        self.ending = Some(Box::new(farewell));
    }

    #[must_use]
    pub fn farewell(&self) -> Option<&Farewell> {
        self.ending.as_deref()
    }

    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Adds to the feed's metrics what went out.
    pub fn count(&self, sent: Tally) {
        if sent.messages > 0 {
            self.roster.feed().meters().sent(sent.messages, sent.bytes);
        }
    }

    fn hear_close(&mut self, frame: Option<CloseFrame>, now: Instant) {
        self.heard_close = true;
        if self.ending.is_some() {
            return;
        }
        let (code, reason) = frame.map_or((CloseCode::NO_STATUS, String::new()), |frame| (frame.code, frame.reason));
        // The code is echoed (RFC 6455, section 5.5.1); none is answered with none.
        self.out.answer(frame::close(code, ""));
        self.ending = Some(Box::new(Farewell { code: code.get(), reason }));
        self.pulse.close(now);
    }

    fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Subscribe(request) => self.subscribe(request, now),
            Command::Ping => self.out.say("pong", None),
            Command::History { last } => {
                let log = self.roster.log();
                self.cursor.move_to(Cursor::newest(&log, last));
                self.pulse.reach_to(log.head());
            }
            Command::Auth { token } => self.out.answer(pass::renewed(self.pass.as_deref_mut(), &token, now)),
        }
    }

    fn subscribe(&mut self, wanted: Selection, now: Instant) {
        let own = self.audience.selection().fields.as_ref();
        // One that others of the audience have, too, is not given up with this viewer.
        let given_up = own.filter(|_| Rc::strong_count(&self.audience) == 1);
        let selection = match wanted.interned_for(given_up, self.roster.feed().field_sets()) {
            Ok(selection) => selection,
            Err(error) => return self.out.refuse("too_many", &error.to_string()),
        };
        let shape = self.audience.shape();
        self.out.say("subscribed", Some(&selection.to_json()));
        self.audience = self.roster.audiences().join(shape, self.audience.deflate(), &selection);
        if self.roster.feed().options().snapshot != Snapshot::None {
            self.cursor.move_to(first_cursor(&self.roster, None));
        }
        self.pace(selection.every, now);
    }

    /// A paced viewer reads the snapshot at once and the rest at its ticks.
    fn pace(&mut self, every: Option<std::time::Duration>, now: Instant) {
        self.pulse.pace(every, self.roster.log().head(), now);
    }

    fn fall_behind(&mut self, log: &Log, now: Instant) {
        let excused = self.unfinished || log.excuses(&self.cursor);
        match self.roster.feed().options().slow {
            Slow::Close if !excused => self.close(CloseCode::TRY_AGAIN, close::TOO_SLOW, now),
            Slow::Conflate | Slow::Close => {
                self.roster.feed().meters().conflated.inc();
                self.cursor.conflate(log);
            }
        }
    }
}
