//! Keepalives, pings, and who is given up for not answering them.

use std::time::Duration;

use super::{SECOND, Scene, hear, options};
use crate::feed::Delivery;
use crate::handler::session::options::Options;
use crate::handler::session::parts::Link;
use crate::limits;

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
