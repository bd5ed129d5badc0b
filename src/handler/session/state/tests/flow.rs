//! Messages in both directions, and sides that take none.

use std::time::Duration;

use bytes::Bytes;

use super::{ONE, SECOND, Scene, hear, options};
use crate::limits;
use crate::ws::{Heard, Message};

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
