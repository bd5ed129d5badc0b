//! Sessions whose client showed a token that expires.

use super::{SECOND, Scene, options};
use crate::handler::session::identity::tests::admission;

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
