//! An upstream socket that is lost and comes back: what the client is told, how long it is held, and when it is
//! dialled.

use std::time::Duration;

use super::{ONE, SECOND, Scene, hear, notice, options};
use crate::feed::Delivery;
use crate::handler::session::ending::HOLD_RAN_OUT;
use crate::handler::session::options::{Held, Options};
use crate::handler::session::parts::{Dial, Link};
use crate::limits;

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
