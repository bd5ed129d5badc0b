//! Dialled sources in front of scripted backends: what fills the feed, what is said of what went wrong, and that the source
//! is back after each.

mod poll;
mod sse;
mod websocket;

use super::names;
use super::testing::{SECOND, poll as polled, sse as streamed, websocket as socket};

#[test]
fn sources_of_one_kind_are_told_apart_by_their_place() {
    let all = [socket(1), polled(2, SECOND), socket(3), streamed(4), socket(5)];
    assert_eq!(names(&all), ["websocket_1", "poll", "websocket_2", "sse", "websocket_3"]);
}
