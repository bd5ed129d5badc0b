//! How a session ends: what each side is told, and how long it has to answer.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{SECOND, Scene, options};
use crate::admission::{Admission, Inbound};
use crate::handler::session::ending::{Ending, Verdict};
use crate::handler::session::options::Options;
use crate::limits;
use crate::rate::{Per, Rate};
use crate::ws::{CloseCode, CloseFrame, Heard, Message, close};

fn closed(code: u16, reason: &str) -> Ending {
    Ending::Closed(CloseCode::try_new(code).map(|code| CloseFrame { code, reason: reason.to_owned() }))
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
