//! An event stream (WHATWG HTML, section 9.2) as a source: each event's data is a message.
//!
//! An event that has a name other than `message`, and whose data is a JSON object without a `type` or no object at all,
//! becomes `{"type": <name>, "data": <data>}`, with the object's own `timestamp` beside it, so that the name is the
//! envelope's type. Comments say nothing but that the source lives.
//!
//! Owns: the last event id and `retry`, from one connection to the next. Never: waits longer for a byte than the upstream's
//! idle timeout.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::DialOptions;
use super::failure::{Failure, content_type, kind};
use super::line::Line;
use super::request::{default, request};
use crate::feed::normalize::Incoming;
use crate::limits;
use crate::message::body;
use crate::message::event_stream::{Event, Item, Parser};
use crate::upstream::{Sent, Upstream};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What is kept from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct Resume {
    last_id: String,
    retry: Duration,
}

/// What of an object says what it is.
#[derive(Deserialize)]
struct Own<'a> {
    #[serde(borrow, rename = "type")]
    type_: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
}

/// An event under its name.
#[derive(Serialize)]
struct Named<'a> {
    #[serde(rename = "type")]
    type_: &'a str,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a RawValue>,
}

impl Resume {
    /// How long the server wants to be left alone for between two connections.
    pub(super) fn retry(&self) -> Duration {
        self.retry
    }

    fn header(&self) -> Option<HeaderValue> {
        let id = Some(&self.last_id).filter(|id| !id.is_empty() && id.len() <= limits::SOURCE_EVENT_ID)?;
        // The bytes of UTF-8, as browsers send it.
        HeaderValue::from_bytes(id.as_bytes()).ok()
    }
}

/// Asks once and reads until the stream ends.
pub(super) async fn follow(
    options: &DialOptions,
    upstream: &Upstream,
    line: &Line<'_>,
    resume: &mut Resume,
) -> Result<Infallible, Failure> {
    let inlet = line.record.inlet;
    let mut asked = request(options, inlet.target(&options.path), &inlet.bearer())?;
    let headers = asked.headers_mut();
    default(headers, ACCEPT, "text/event-stream");
    default(headers, CACHE_CONTROL, "no-store");
    if let Some(id) = resume.header() {
        headers.insert(LAST_EVENT_ID, id);
    }
    let Sent { response, permit: _permit, .. } = upstream.send(super::NOBODY, asked).await?;
    check(response.status(), response.headers())?;
    line.open();
    let mut body = response.into_body();
    let mut parser = Parser::new(line.record.max_message(), resume.last_id.clone());
    let mut items = Vec::new();
    let patience = upstream.idle_timeout();
    loop {
        let frame = timeout(patience, body.frame()).await.map_err(|_| Failure::Silent(patience))?;
        let frame = frame.ok_or(Failure::Ended)?.map_err(|error| body::Error::Broken(error.into()))?;
        if let Some(bytes) = frame.data_ref() {
            parser.push(bytes, &mut items);
        }
        for item in items.drain(..) {
            match item {
                Item::Event(event) => {
                    line.take(Incoming::Text(&message(&event))).await;
                    resume.last_id = event.id;
                }
                Item::Retry(wait) => resume.retry = wait.min(limits::SOURCE_RETRY_MAX),
                Item::TooLarge => line.record.too_large(line.record.max_message() as u64 + 1),
            }
        }
    }
}

fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    if let Some(failure) = Failure::of_head(status, headers) {
        return Err(failure);
    }
    let streams = content_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"));
    if streams && status == StatusCode::OK {
        return Ok(());
    }
    Err(Failure::NoEventStream { status, kind: kind(headers) })
}

/// The event's data, under its name where it has one and the data none.
fn message(event: &Event) -> Cow<'_, str> {
    if event.name.is_empty() || event.name == "message" {
        return Cow::Borrowed(&event.data);
    }
    named(event).map_or(Cow::Borrowed(&event.data), Cow::Owned)
}

/// `None` where the data says itself what it is.
fn named(event: &Event) -> Option<String> {
    let text;
    let (data, timestamp) = match serde_json::from_str::<&RawValue>(&event.data) {
        Ok(data) if data.get().starts_with('{') => {
            // A name that is there twice is a matter of the normalizer's.
            let own: Own<'_> = serde_json::from_str(data.get()).ok()?;
            if own.type_.is_some() {
                return None;
            }
            (data, own.timestamp)
        }
        Ok(data) => (data, None),
        Err(_) => {
            text = serde_json::value::to_raw_value(&event.data).ok()?;
            (&*text, None)
        }
    };
    serde_json::to_string(&Named { type_: &event.name, data, timestamp }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_message(name: &str, data: &str, expected: &str) {
        let event = Event { name: name.to_owned(), data: data.to_owned(), id: String::new() };
        assert_eq!(message(&event), expected, "{name}: {data}");
    }

    #[test]
    fn a_named_event_says_its_name_as_its_type() {
        check_message("", r#"{"a":1}"#, r#"{"a":1}"#);
        check_message("message", "x", "x");
        check_message("stats", r#"{"a": 1.50}"#, r#"{"type":"stats","data":{"a": 1.50}}"#);
        let timed = r#"{"type":"stats","data":{"timestamp":7,"a":1},"timestamp":7}"#;
        check_message("stats", r#"{"timestamp":7,"a":1}"#, timed);
        check_message("stats", "42", r#"{"type":"stats","data":42}"#);
        check_message("stats", "[1]", r#"{"type":"stats","data":[1]}"#);
        check_message("stats", "a \"b\"", r#"{"type":"stats","data":"a \"b\""}"#);
        check_message("a\"b", "1", r#"{"type":"a\"b","data":1}"#);
    }

    #[test]
    fn data_that_says_what_it_is_keeps_saying_it() {
        for own in [r#"{"type":"own","data":1}"#, r#"{"type":1}"#, r#"{"type":"a","type":"b"}"#] {
            check_message("stats", own, own);
        }
    }

    #[test]
    fn an_id_that_no_header_should_carry_is_not_sent_back() {
        let header = |id: &str| Resume { last_id: id.to_owned(), retry: Duration::ZERO }.header();
        assert_eq!(header("7"), Some(HeaderValue::from_static("7")));
        assert_eq!(header("\u{e9}").unwrap().as_bytes(), "\u{e9}".as_bytes());
        for bad in ["", "a\u{1}", &"x".repeat(limits::SOURCE_EVENT_ID + 1)] {
            assert_eq!(header(bad), None);
        }
    }
}
