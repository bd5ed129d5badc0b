//! A feed's newest message as a plain GET.
//!
//! Owns: the shape of the answer (one envelope, or an array where the feed has a `key` or `?last=N` asks for several)
//! and its ETag. Never: waits; before the first message it is 204.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::FeedDoor;
use super::feed_ws::bad_query;
use crate::feed::audience::Audience;
use crate::feed::log::{Cursor, Log, Next};
use crate::feed::roster::Roster;
use crate::feed::select;
use crate::feed::{Shape, message::Message};
use crate::message::{Body, headers, respond};

/// Answers GET and HEAD.
#[must_use]
pub fn answer(door: &FeedDoor, roster: &Rc<Roster>, parts: &Parts) -> Response<Body> {
    let query = match select::from_query(parts.uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return bad_query(&error),
    };
    let feed = roster.feed();
    let audience = match query.selection.interned(feed.field_sets()) {
        Ok(selection) => roster.audiences().join(door.delivery.shape, false, &selection),
        Err(error) => return bad_query(&error),
    };
    let log = roster.log();
    let wanted = wanted(&log, &audience, query.last);
    let Some(newest) = wanted.last() else { return uncached(respond::empty(StatusCode::NO_CONTENT)) };
    let many = query.last.is_some() || feed.options().normalize.key.is_some();
    let etag = etag(&feed.id(newest.seq()), &wanted, &audience, many);
    let mut response = if headers::none_match_names(&parts.headers, &etag) {
        respond::empty(StatusCode::NOT_MODIFIED)
    } else {
        let body =
            if many { array(&wanted, &audience) } else { audience.with_encoding(newest, |encoding| encoding.text()) };
        respond::whole(StatusCode::OK, media_type(&audience, newest, many), body)
    };
    headers::set(response.headers_mut(), ETAG, &etag);
    uncached(response)
}

/// What the viewer wants of the newest `last` of each (type, key), oldest first.
fn wanted<'a>(log: &'a Log, audience: &Audience, last: Option<usize>) -> Vec<&'a Message> {
    let mut cursor = Cursor::newest(log, last.unwrap_or(1));
    let mut wanted = Vec::new();
    while let Next::Message(message) = log.next(&cursor) {
        cursor.pass(message.seq());
        if audience.wants(message) {
            wanted.push(&**message);
        }
    }
    wanted
}

fn array(messages: &[&Message], audience: &Audience) -> Bytes {
    let mut text = vec![b'['];
    for message in messages.iter().filter(|message| !message.envelope().is_binary()) {
        if text.len() > 1 {
            text.push(b',');
        }
        audience.with_encoding(message, |encoding| text.extend_from_slice(&encoding.text()));
    }
    text.push(b']');
    text.into()
}

/// Names the newest message and everything that the answer's bytes depend on beside it: what else is told, and how.
fn etag(id: &str, told: &[&Message], audience: &Audience, many: bool) -> String {
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
