//! What a session does on each thing that happens, without a socket.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::super::ending::HOLD_RAN_OUT;
use super::super::ending::{Ending, Verdict};
use super::super::identity::tests::admission;
use super::super::options::Options;
use super::super::parts::Dial;
use super::*;
use crate::admission::{Admission, Inbound};
use crate::feed::Delivery;
use crate::limits;
use crate::rate::{Per, Rate};
use crate::telemetry::SessionMeters;
use crate::ws::Heard;
use crate::ws::{Decoder, ServerDecoder};
use bytes::Bytes;

const SECOND: Duration = Duration::from_secs(1);

/// A session and its time; delays are as long as they may be.
struct Scene {
    state: State,
    start: Moment,
    at: Moment,
    /// The upstream answers pings.
    answers: bool,
}

/// Without keepalives and pings.
fn options() -> Options {
    Options { delivery: Delivery { keepalive: None, ping: None, ..Delivery::default() }, ..Options::default() }
}

impl Scene {
    fn new(options: &Options) -> Scene {
        Scene::admitted(options, Admission::default())
    }

    fn admitted(options: &Options, admission: Admission) -> Scene {
        // A pulse counts from the first of the process, which must not come after our own start.
        let _first = Pulse::new(Instant::now());
        let at = Moment { now: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let beginning = Beginning {
            terms: Arc::new(Terms::new(options, None, SessionMeters::unseen())),
            identity: Identity::new(&Rc::new(admission)),
            deflate: false,
            send_timeout: Some(30 * SECOND),
            random: || 1.0,
        };
        Scene { state: State::new(beginning, at), start: at, at, answers: true }
    }

    /// Goes to `after` the start, doing what falls due on the way.
    fn pass_to(&mut self, after: Duration) {
        let end = self.start.now + after;
        while let Some(due) = self.state.next_due().filter(|due| *due <= end && !self.state.is_over()) {
            self.go_to(due.max(self.at.now));
            self.state.on_time(self.at);
            if self.answers {
                self.state.upstream_pulse.heard(self.at.now);
            }
            if self.state.takes_dial(self.at.now) {
                self.state.dial_failed(self.at);
            }
        }
        self.go_to(end);
    }

    fn go_to(&mut self, now: Instant) {
        let passed = SignedDuration::try_from(now.duration_since(self.start.now)).unwrap();
        self.at = Moment { now, wall: self.start.wall + passed };
    }

    fn text(&mut self, text: &str) {
        self.state.hear_client(Message::Text(text.to_owned()), self.at);
    }

    fn ends(&mut self, ending: &Ending) -> Option<Verdict> {
        self.state.upstream_ends(ending, self.at)
    }

    fn lost(&mut self) {
        assert_eq!(self.ends(&Ending::Lost("gone".to_owned())), Some(Verdict::Hold));
    }

    /// What the client is told now: texts, and `close CODE REASON` and the like.
    fn told(&mut self) -> Vec<String> {
        let bytes = self.state.down.unsent().to_vec();
        self.state.client_took(bytes.len(), self.at.now);
        let (mut decoder, mut input, mut all) = (ServerDecoder::new(100_000), bytes.as_slice(), Vec::new());
        while let Some(heard) = decoder.next(&mut input).unwrap() {
            all.push(match heard {
                Heard::Text(text) => text.into_owned(),
                Heard::Binary(bytes) => format!("binary {bytes:?}"),
                Heard::Ping(_) => "ping".to_owned(),
                Heard::Pong(_) => "pong".to_owned(),
                Heard::TooLarge(_) => "too large".to_owned(),
                Heard::Close(said) => close_text(said),
            });
        }
        all
    }

    /// What the upstream is told now.
    fn said(&mut self) -> Vec<String> {
        let (mut decoder, mut all) = (Decoder::new(100_000, false), Vec::new());
        loop {
            let mut bytes = self.state.up.unsent().to_vec();
            if bytes.is_empty() {
                return all;
            }
            self.state.up.sent(bytes.len());
            match decoder.next(&mut bytes.as_mut_slice()).unwrap().unwrap() {
                Message::Text(text) => all.push(text),
                Message::Binary(bytes) => all.push(format!("binary {bytes:?}")),
                Message::Ping(_) => all.push("ping".to_owned()),
                Message::Pong(_) => all.push("pong".to_owned()),
                Message::Close(said) => all.push(close_text(said)),
            }
        }
    }

    fn end(&self) -> Option<(u16, &str)> {
        self.state.farewell().0.map(|farewell| (farewell.code, farewell.reason.as_str()))
    }
}

fn close_text(said: Option<CloseFrame>) -> String {
    said.map_or("close".to_owned(), |said| format!("close {} {}", said.code, said.reason))
}

fn closed(code: u16, reason: &str) -> Ending {
    Ending::Closed(CloseCode::try_new(code).map(|code| CloseFrame { code, reason: reason.to_owned() }))
}

fn notice(upstream: &str, second: u32) -> String {
    format!(
        "{{\"type\":\"keepalive\",\"data\":null,\"upstream\":\"{upstream}\",\"timestamp\":\"1970-01-01T00:00:{second:02}.000Z\"}}"
    )
}

/// Hears this text of the upstream.
fn hear(scene: &mut Scene, text: &str) {
    assert_eq!(scene.state.hear_upstream(Heard::Text(text.into()), scene.at), None);
}

const ONE: &str = r#"{"type":"message","data":1,"timestamp":"1970-01-01T00:00:00.000Z"}"#;

#[test]
fn what_each_says_the_other_is_told() {
    let mut scene = Scene::new(&options());
    scene.text("hello");
    scene.state.hear_client(Message::Binary(Bytes::from_static(b"\0")), scene.at);
    assert_eq!(scene.said(), ["hello", "binary b\"\\0\""]);
    hear(&mut scene, "1");
    hear(&mut scene, r#"{"type":"heartbeat"}"#);
    assert_eq!(scene.state.hear_upstream(Heard::Binary([7][..].into()), scene.at), None);
    assert_eq!(scene.told(), [ONE, "binary [7]"]);
    scene.state.hear_client(Message::Ping(Bytes::new()), scene.at);
    assert_eq!(scene.state.hear_upstream(Heard::Ping(Bytes::new()), scene.at), None);
    assert_eq!((scene.told(), scene.said()), (vec!["pong".to_owned()], vec!["pong".to_owned()]));
    assert_eq!(scene.state.farewell().1.messages, 2);
}

#[test]
fn a_restart_is_told_at_once_and_so_is_its_end() {
    let mut scene = Scene::new(&options());
    scene.lost();
    assert_eq!(scene.told(), [notice("stale", 0)]);
    scene.text("held");
    assert!(scene.state.takes_dial(scene.at.now + limits::SESSION_BACKOFF));
    assert!(!scene.state.takes_dial(scene.at.now + limits::SESSION_BACKOFF), "once");
    assert!(scene.state.dialled(scene.at));
    assert_eq!(scene.said(), ["held"]);
    assert_eq!(scene.told(), [""; 0]);
    hear(&mut scene, "1");
    assert_eq!(scene.told(), [ONE.to_owned(), notice("live", 0)]);
    hear(&mut scene, "1");
    assert_eq!(scene.told(), [ONE], "once");
}

#[test]
fn a_new_socket_that_holds_is_live_and_one_that_is_lost_before_is_none() {
    let mut scene = Scene::new(&options());
    scene.lost();
    scene.told();
    for _ in 0..3 {
        assert!(scene.state.takes_dial(scene.at.now + 10 * SECOND));
        assert!(scene.state.dialled(scene.at));
        scene.lost();
        assert_eq!(scene.told(), [""; 0], "nothing is new");
    }
    assert!(scene.state.takes_dial(scene.at.now + 10 * SECOND));
    assert!(scene.state.dialled(scene.at));
    scene.pass_to(SECOND);
    assert_eq!(scene.told(), [notice("live", 1)]);
}

#[test]
fn notices_can_be_off() {
    let quiet = Delivery { notices: false, ..options().delivery };
    let mut scene = Scene::new(&Options { delivery: quiet, ..options() });
    scene.lost();
    assert!(scene.state.takes_dial(scene.at.now + SECOND) && scene.state.dialled(scene.at));
    hear(&mut scene, "1");
    assert_eq!(scene.told(), [ONE]);
}

#[test]
fn the_hold_runs_from_the_first_loss_whatever_was_tried() {
    let mut scene = Scene::new(&Options { hold: 5 * SECOND, ..options() });
    scene.lost();
    scene.pass_to(4 * SECOND);
    assert!(scene.end().is_none());
    // One that opens and is lost at once is no return.
    scene.pass_to(4 * SECOND + SECOND / 2);
    if !matches!(scene.state.link, Link::Down { dial: Dial::UnderWay, .. }) {
        assert!(scene.state.takes_dial(scene.at.now + 10 * SECOND));
    }
    assert!(scene.state.dialled(scene.at));
    scene.lost();
    scene.pass_to(5 * SECOND + Duration::from_millis(1));
    assert_eq!(scene.end(), Some((1013, HOLD_RAN_OUT)));
    assert_eq!(scene.told().pop().unwrap(), format!("close 1013 {HOLD_RAN_OUT}"));
    assert!(!scene.state.dialled(scene.at), "too late");
}

#[test]
fn delays_grow_and_start_anew_once_a_socket_has_held() {
    fn delay(scene: &Scene) -> Duration {
        match scene.state.link {
            Link::Down { dial: Dial::At(due), .. } => due.duration_since(scene.at.now),
            Link::Up | Link::New { .. } | Link::Down { .. } | Link::Closing | Link::Gone => {
                panic!("it is not waited for")
            }
        }
    }
    let mut scene = Scene::new(&options());
    scene.lost();
    let mut delays = vec![delay(&scene)];
    for _ in 0..4 {
        assert!(scene.state.takes_dial(scene.at.now + 10 * SECOND));
        scene.state.dial_failed(scene.at);
        delays.push(delay(&scene));
    }
    assert_eq!(delays, [250, 500, 1000, 2000, 2000].map(Duration::from_millis));
    assert!(scene.state.takes_dial(scene.at.now + 10 * SECOND) && scene.state.dialled(scene.at));
    scene.lost();
    assert_eq!(delay(&scene), limits::SESSION_BACKOFF_MAX);
    assert!(scene.state.takes_dial(scene.at.now + 10 * SECOND) && scene.state.dialled(scene.at));
    scene.pass_to(limits::SESSION_PROVEN);
    scene.lost();
    assert_eq!(delay(&scene), limits::SESSION_BACKOFF);
}

#[track_caller]
fn check_end(options: &Options, ending: &Ending, told: &str) {
    let mut scene = Scene::new(options);
    assert!(matches!(scene.ends(ending), Some(Verdict::Close(..))), "{ending}");
    assert_eq!(scene.told(), [told], "{ending}");
    assert!(!scene.state.is_over());
    let said = scene.end().map(|(code, reason)| format!("close {code} {reason}"));
    assert_eq!(said.as_deref(), Some(told));
    scene.state.hear_client(Message::Close(None), scene.at);
    assert!(scene.state.is_over(), "{ending}");
}

#[test]
fn a_close_that_is_meant_for_the_client_ends_both() {
    for code in [1000, 1008, 4000] {
        check_end(&options(), &closed(code, "why"), &format!("close {code} why"));
    }
    check_end(&options(), &closed(1009, "why"), "close 1011 upstream closed with 1009");
    let off = Options { hold: Duration::ZERO, ..options() };
    check_end(&off, &closed(1012, "why"), "close 1012 why");
    check_end(&off, &closed(1001, "why"), "close 1013 upstream connection lost");
    check_end(&off, &Ending::Silent, "close 1013 upstream connection lost");
}

#[test]
fn a_client_that_closes_is_answered_and_its_upstream_told() {
    let mut scene = Scene::new(&options());
    let said = CloseFrame { code: CloseCode::try_new(4001).unwrap(), reason: "bored".to_owned() };
    scene.state.hear_client(Message::Close(Some(said)), scene.at);
    assert_eq!((scene.told(), scene.said()), (vec!["close 4001 ".to_owned()], vec!["close 4001 bored".to_owned()]));
    assert!(scene.state.has_client_ended() && !scene.state.is_over());
    assert_eq!(scene.state.hear_upstream(Heard::Text("1".into()), scene.at), None);
    assert_eq!(scene.ends(&closed(4001, "")), None, "asked for");
    assert!(scene.state.is_over());
    assert_eq!((scene.told(), scene.end()), (vec![], Some((4001, "bored"))));
}

#[test]
fn a_client_that_is_gone_ends_its_upstream() {
    let mut scene = Scene::new(&options());
    scene.text("last words");
    scene.state.lose_client("the client left", scene.at);
    assert_eq!(scene.said(), ["close 1001 "]);
    assert!(!scene.state.is_over());
    // One that does not answer has its time.
    scene.pass_to(limits::CLOSE_TIMEOUT + Duration::from_millis(1));
    assert!(scene.state.is_over());
    assert_eq!(scene.end(), Some((1006, "the client left")));
    let mut scene = Scene::new(&options());
    scene.lost();
    scene.state.lose_client("the client left", scene.at);
    assert!(scene.state.is_over(), "there was nobody to tell");
}

#[test]
fn who_answers_no_close_has_its_time() {
    let mut scene = Scene::new(&options());
    scene.state.end(CloseCode::RESTART, close::DRAINING, scene.at);
    assert_eq!((scene.told(), scene.said()), (vec!["close 1012 draining".to_owned()], vec!["close 1001 ".to_owned()]));
    scene.text("not heard");
    assert_eq!((scene.told(), scene.said()), (vec![], vec![]));
    scene.pass_to(limits::CLOSE_TIMEOUT + Duration::from_millis(1));
    assert!(scene.state.is_over());
}

#[test]
fn too_many_messages_end_the_client() {
    let rate = Rate { count: NonZeroU32::new(2).unwrap(), per: Per::Second };
    let inbound = Inbound { messages: Some(rate), ..Inbound::default() };
    let mut scene = Scene::admitted(&options(), Admission { inbound, ..Admission::default() });
    scene.text("a");
    scene.text("b");
    scene.pass_to(SECOND / 2);
    scene.text("c");
    assert_eq!(scene.said(), ["a", "b", "c"]);
    scene.text("d");
    assert_eq!(scene.told(), ["close 1008 message rate"]);
    assert_eq!(scene.said(), ["close 1001 "]);
}

#[test]
fn a_token_that_expires_ends_both_also_while_the_client_is_held() {
    for held in [false, true] {
        let mut scene = Scene::admitted(&options(), admission(100));
        scene.pass_to(50 * SECOND);
        if held {
            scene.lost();
        }
        scene.pass_to(99 * SECOND);
        assert!(scene.end().is_none());
        scene.pass_to(100 * SECOND);
        assert_eq!(scene.end(), Some((1008, "token expired")));
        assert_eq!(scene.told().pop().unwrap(), "close 1008 token expired");
        assert_eq!(scene.said().is_empty(), held);
    }
}

#[test]
fn a_newer_token_keeps_the_session_and_never_goes_upstream() {
    let mut scene = Scene::admitted(&options(), admission(100));
    scene.text(r#"{"type":"auth","data":{"token":"ann@200"}}"#);
    assert_eq!(scene.said(), [""; 0]);
    assert!(scene.told()[0].starts_with(r#"{"type":"auth","data":{"expires":"1970-01-01T00:03:20.000Z"},"#));
    scene.pass_to(150 * SECOND);
    assert!(scene.end().is_none());
    scene.pass_to(200 * SECOND);
    assert_eq!(scene.end(), Some((1008, "token expired")));
    // Where there is nothing to renew, it is the application's own.
    let mut scene = Scene::new(&options());
    scene.text(r#"{"type":"auth","data":{"token":"ann@200"}}"#);
    assert_eq!(scene.said().len(), 1);
}

#[test]
fn what_is_refused_while_the_upstream_is_away_is_answered() {
    let mut scene = Scene::new(&Options { held: Held::Refuse, ..options() });
    scene.lost();
    scene.told();
    scene.text("lost");
    assert!(scene.told()[0].starts_with(r#"{"type":"error","data":{"code":"upstream_down","#));
    assert!(scene.state.takes_dial(scene.at.now + SECOND) && scene.state.dialled(scene.at));
    scene.text("heard");
    assert_eq!(scene.said(), ["heard"]);
}

#[test]
fn a_side_is_heard_only_while_the_other_takes_it() {
    let mut scene = Scene::new(&options());
    assert!(scene.state.hears_client() && scene.state.hears_upstream());
    scene.text("a");
    assert!(!scene.state.hears_client(), "one message is in progress");
    scene.lost();
    let mut count = 1;
    while scene.state.hears_client() {
        scene.text("held");
        count += 1;
    }
    assert_eq!(count, limits::SESSION_HELD_MESSAGES);
    assert!(scene.state.takes_dial(scene.at.now + SECOND) && scene.state.dialled(scene.at));
    assert!(!scene.state.hears_client());
    assert_eq!(scene.said().len(), count);
    assert!(scene.state.hears_client());
    while scene.state.hears_upstream() {
        hear(&mut scene, "1");
    }
    assert!((limits::SESSION_OUT_BYTES..2 * limits::SESSION_OUT_BYTES).contains(&scene.state.down.unsent().len()));
    assert!(!scene.state.hears_client(), "answers would wait, too");
    scene.told();
    let mut pings = 0;
    while scene.state.hears_upstream() {
        scene.state.hear_upstream(Heard::Ping(Bytes::new()), scene.at);
        pings += 1;
    }
    assert_eq!(pings, limits::SESSION_PONGS);
}

#[test]
fn silence_is_filled_and_what_waits_is_not_added_to() {
    let keepalive = Delivery { keepalive: Some(5 * SECOND), ..options().delivery };
    let mut scene = Scene::new(&Options { delivery: keepalive, ..options() });
    scene.pass_to(4 * SECOND);
    hear(&mut scene, "1");
    scene.told();
    scene.pass_to(8 * SECOND);
    assert_eq!(scene.told(), [""; 0]);
    scene.pass_to(10 * SECOND);
    let expected = r#"{"type":"keepalive","data":null,"timestamp":"1970-01-01T00:00:09.000Z"}"#;
    assert_eq!(scene.told().iter().filter(|told| *told != "ping").count(), 1, "{expected}");
    hear(&mut scene, "1");
    scene.pass_to(30 * SECOND);
    assert_eq!(scene.told().len(), 1, "a client that takes nothing is not told more");
}

#[test]
fn a_silent_upstream_is_pinged_and_given_up_unless_it_was_not_read() {
    let mut scene = Scene { answers: false, ..Scene::new(&options()) };
    scene.pass_to(limits::SESSION_PING + Duration::from_millis(1));
    assert_eq!(scene.said(), ["ping"]);
    scene.pass_to(limits::SESSION_PING + limits::SESSION_PONG - Duration::from_millis(1));
    assert_eq!(scene.state.link, Link::Up);
    scene.pass_to(limits::SESSION_PING + limits::SESSION_PONG + Duration::from_millis(1));
    assert!(matches!(scene.state.link, Link::Down { .. }));
    let mut scene = Scene { answers: false, ..Scene::new(&options()) };
    scene.pass_to(limits::SESSION_PING + Duration::from_millis(1));
    scene.state.client_stalls(scene.at.now);
    scene.pass_to(limits::SESSION_PING + limits::SESSION_PONG + Duration::from_millis(1));
    assert_eq!(scene.state.link, Link::Up, "its answer may wait unread");
}

#[test]
fn a_silent_client_is_pinged_and_given_up_unless_it_was_not_read() {
    let ping = Delivery { ping: Some(5 * SECOND), pong_timeout: 2 * SECOND, ..options().delivery };
    let options = Options { delivery: ping, ..options() };
    for unread in [false, true] {
        let mut scene = Scene::new(&options);
        if unread {
            scene.lost();
            while scene.state.hears_client() {
                scene.text("held");
            }
            scene.told();
        }
        scene.pass_to(5 * SECOND + Duration::from_millis(1));
        assert_eq!(scene.told(), ["ping"]);
        if !unread {
            assert_eq!(scene.said(), ["ping"], "its upstream is asked as often");
        }
        scene.pass_to(7 * SECOND + Duration::from_millis(1));
        assert_eq!(scene.end().is_none(), unread);
    }
}

#[test]
fn a_client_that_takes_nothing_is_given_up_and_one_that_takes_little_is_not() {
    let mut scene = Scene::new(&options());
    hear(&mut scene, "1");
    scene.state.client_stalls(scene.at.now);
    scene.pass_to(29 * SECOND);
    scene.state.client_took(1, scene.at.now);
    scene.state.client_stalls(scene.at.now);
    scene.pass_to(58 * SECOND);
    assert!(scene.end().is_none());
    scene.pass_to(59 * SECOND + Duration::from_millis(1));
    assert_eq!(scene.end(), Some((1006, "the client took nothing in time")));
    assert_eq!(scene.said().pop().unwrap(), "close 1001 ");
}

#[test]
fn held_sessions_are_counted_while_they_are() {
    let mut scene = Scene::new(&options());
    let held = scene.state.terms.meters.held.clone();
    scene.lost();
    assert_eq!(held.get(), 1);
    assert!(scene.state.takes_dial(scene.at.now + SECOND) && scene.state.dialled(scene.at));
    assert_eq!(held.get(), 1);
    hear(&mut scene, "1");
    assert_eq!(held.get(), 0);
    scene.lost();
    drop(scene);
    assert_eq!(held.get(), 0);
}
