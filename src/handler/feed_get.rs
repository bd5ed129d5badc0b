//! A feed's newest message as a plain GET.
//!
//! Owns: the shape of the answer (one envelope, or an array where the feed has a `key` or `?last=N` asks for several)
//! and its ETag. Never: waits; before the first message it is 204.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use tokio::time::Instant;

use super::FeedDoor;
use super::feed_ws::bad_query;
use crate::feed::audience::Audience;
use crate::feed::log::{Cursor, Log, Next};
use crate::feed::roster::Roster;
use crate::feed::select;
use crate::feed::turn::Turn;
use crate::feed::{Shape, message::Message};
use crate::limits;
use crate::message::{Body, headers, respond};

/// Answers GET and HEAD.
pub async fn answer(door: &FeedDoor, roster: &Rc<Roster>, parts: &Parts) -> Response<Body> {
    let query = match select::from_query(parts.uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return bad_query(&error),
    };
    let feed = roster.feed();
    let audience = match query.selection.interned(feed.field_sets()) {
        Ok(selection) => roster.audiences().join(door.delivery.shape, false, &selection),
        Err(error) => return bad_query(&error),
    };
    let wanted = wanted(roster, &audience, query.last).await;
    let Some(newest) = wanted.last() else { return uncached(respond::empty(StatusCode::NO_CONTENT)) };
    let many = query.last.is_some() || feed.options().normalize.key.is_some();
    let etag = etag(&feed.id(newest.seq()), &wanted, &audience, many);
    let mut response = if headers::none_match_names(&parts.headers, &etag) {
        respond::empty(StatusCode::NOT_MODIFIED)
    } else {
        let body = if many {
            array(&wanted, &audience).await
        } else {
            audience.with_encoding(newest, |encoding| encoding.text())
        };
        respond::whole(StatusCode::OK, media_type(&audience, newest, many), body)
    };
    headers::set(response.headers_mut(), ETAG, &etag);
    uncached(response)
}

/// What the viewer wants of the newest `last` of each (type, key), oldest first; read in turns with others.
async fn wanted(roster: &Roster, audience: &Audience, last: Option<usize>) -> Vec<Arc<Message>> {
    let mut wanted = Vec::new();
    let mut cursor = Cursor::newest(&roster.log(), last.unwrap_or(1));
    let mut until = roster.log().head();
    while read(&roster.log(), audience, (&mut cursor, &mut until), &mut wanted) {
        tokio::task::yield_now().await;
    }
    wanted
}

/// One turn of it; gives whether there is more.
fn read(log: &Log, audience: &Audience, at: (&mut Cursor, &mut u64), wanted: &mut Vec<Arc<Message>>) -> bool {
    let (cursor, until) = at;
    let mut turn = Turn::at(Instant::now());
    while cursor.at() < *until {
        match log.next(cursor) {
            Next::Nothing => return false,
            // The log went on between two turns.
            Next::Behind => {
                cursor.conflate(log);
                *until = log.head();
            }
            Next::Message(_) | Next::Older(_) if !turn.pass() => return true,
            Next::Older(seq) => cursor.pass(seq),
            Next::Notice(notice) => cursor.tell(notice.seq()),
            Next::Message(message) => {
                cursor.pass(message.seq());
                if audience.wants(message) {
                    wanted.push(Arc::clone(message));
                }
            }
        }
    }
    false
}

async fn array(messages: &[Arc<Message>], audience: &Audience) -> Bytes {
    let mut text = vec![b'['];
    for turn in messages.chunks(limits::WALK_MESSAGES) {
        for message in turn.iter().filter(|message| !message.envelope().is_binary()) {
            if text.len() > 1 {
                text.push(b',');
            }
            audience.with_encoding(message, |encoding| text.extend_from_slice(&encoding.text()));
        }
        if messages.len() > limits::WALK_MESSAGES {
            tokio::task::yield_now().await;
        }
    }
    text.push(b']');
    text.into()
}

/// Names the newest message and everything that the answer's bytes depend on beside it: what else is told, and how.
fn etag(id: &str, told: &[Arc<Message>], audience: &Audience, many: bool) -> String {
    let mut hasher = DefaultHasher::new();
    (audience.shape(), audience.selection(), many).hash(&mut hasher);
    if many {
        told.iter().for_each(|message| message.seq().hash(&mut hasher));
    }
    format!("\"{id}-{:x}\"", hasher.finish())
}

fn media_type(audience: &Audience, newest: &Message, many: bool) -> HeaderValue {
    HeaderValue::from_static(match (audience.shape(), newest.envelope().is_binary()) {
        (_, true) if !many => "application/octet-stream",
        (Shape::Raw, _) if !many => "text/plain; charset=utf-8",
        (Shape::Envelope | Shape::Mirrored | Shape::Raw, _) => "application/json",
    })
}

fn uncached(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers::vary(headers, http::header::ACCEPT);
    if response.status() == StatusCode::NO_CONTENT {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use http::Request;
    use http_body_util::BodyExt;
    use jiff::Timestamp;

    use super::answer;
    use crate::feed::inlet::{Inlet, Rank};
    use crate::feed::normalize::Incoming;
    use crate::feed::testing::{LONG, TURNS, in_turns, long, quiet, say, sourced, worker};
    use crate::handler::FeedDoor;

    #[tokio::test]
    async fn a_long_history_is_told_in_turns_with_others() {
        let (_feed, roster) = long();
        let door = FeedDoor::at("/f", "f", quiet());
        for (query, told) in [("types=b", 1), ("types=a,b", LONG + 1)] {
            let (parts, ()) = Request::get(format!("/f?{query}&last={LONG}")).body(()).unwrap().into_parts();
            let turns = Cell::new(0);
            let response = in_turns(&turns, answer(&door, &roster, &parts)).await;
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&body).unwrap().len(), told);
            // Read, and then written.
            let least = if told == 1 { TURNS } else { 2 * TURNS };
            assert!(turns.get() >= least, "{query}: {} turns", turns.get());
        }
    }

    /// The data of all that is told now.
    async fn told(inlet: &Inlet) -> Vec<serde_json::Value> {
        let door = FeedDoor::at("/f", "f", quiet());
        let (parts, ()) = Request::get("/f?last=9").body(()).unwrap().into_parts();
        let body = answer(&door, &worker(inlet.feed()), &parts).await.into_body().collect().await.unwrap().to_bytes();
        let told: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
        told.into_iter().map(|mut message| message["data"].take()).collect()
    }

    #[tokio::test]
    async fn what_the_fallback_said_is_told_until_a_source_speaks_and_how_the_feed_stands_is_no_value() {
        let (inlet, _) = sourced(true);
        let fallback = Inlet::new(inlet.feed(), Rank::Fallback);
        fallback.publish(Incoming::Text(r#"{"type":"other","data":11}"#), Timestamp::UNIX_EPOCH);
        assert_eq!(told(&inlet).await, [1, 11]);
        say(&inlet, 2);
        assert_eq!(told(&inlet).await, [1, 2]);
    }
}
