//! The envelope rule: what becomes of an upstream message, whoever watches.
//!
//! Owns: [`Normalizer`], a feed's options compiled once. In this order: read, `skip_system`, `skip`, `rename`,
//! envelope, `key`. A byte order mark before JSON is no part of it and stays in shape raw only. Of duplicate `type`,
//! `data` or `timestamp` members the last one counts. Never: IO or a clock.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Number, Value};

use super::envelope::{Draft, DraftType, Envelope, Rule};
use super::json::{self, Member};
use super::options::{NormalizeOptions, Skip};
use super::pointer::{Pointer, PointerError};
use super::timestamp;

/// The upstream's own heartbeats and greetings, which `skip_system` drops.
pub const SYSTEM_TYPES: [&str; 5] = ["connected", "keepalive", "heartbeat", "ping", "pong"];

/// A feed's [`NormalizeOptions`], compiled.
#[derive(Debug, Clone)]
pub struct Normalizer {
    type_: Arc<str>,
    skip_system: bool,
    skip: Box<[Skipper]>,
    rename: HashMap<Box<str>, Arc<str>>,
    key: Option<Pointer>,
    naive_offset: i32,
}

#[derive(Debug, Clone)]
enum Skipper {
    Type(Box<str>),
    At { at: Pointer, equals: Value },
}

/// A message as a source got it.
#[derive(Debug, Clone)]
pub enum Incoming<'a> {
    Text(&'a str),
    Binary(Bytes),
}

/// What became of a message.
#[derive(Debug, Clone)]
pub enum Outcome {
    Keep(Envelope),
    Skip(Dropped),
}

/// Which option dropped a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// `skip_system`.
    System,
    /// `skip` by type: the rule's place in the list, from 0.
    Type(usize),
    /// `skip` by pointer: the rule's place in the list, from 0.
    At(usize),
}

/// A message taken apart; slices of its text.
#[derive(Debug, Default)]
struct Message<'a> {
    /// The JSON value that it is.
    json: Option<&'a str>,
    is_object: bool,
    type_: Option<&'a str>,
    /// `type_` with its escapes undone, where it is a string.
    own: Option<Cow<'a, str>>,
    data: Option<&'a str>,
    timestamp: Option<&'a str>,
    others: Vec<Member<'a>>,
}

impl Normalizer {
    /// # Errors
    /// If `key` or the `at` of a `skip` is no JSON Pointer.
    pub fn new(options: &NormalizeOptions) -> Result<Normalizer, PointerError> {
        let skipper = |skip: &Skip| {
            Ok(match skip {
                Skip::Type(type_) => Skipper::Type(type_.as_str().into()),
                Skip::At { at, equals } => Skipper::At { at: at.parse()?, equals: equals.clone() },
            })
        };
        Ok(Normalizer {
            type_: options.type_.as_str().into(),
            skip_system: options.skip_system,
            skip: options.skip.iter().map(skipper).collect::<Result<_, _>>()?,
            rename: options.rename.iter().map(|(old, new)| (old.as_str().into(), new.as_str().into())).collect(),
            key: options.key.as_deref().map(str::parse).transpose()?,
            naive_offset: options.naive_offset,
        })
    }

    /// `received` is the envelope's time where the message says none of its own.
    #[must_use]
    pub fn normalize(&self, message: Incoming<'_>, received: Timestamp) -> Outcome {
        let text = match message {
            Incoming::Text(text) => text,
            Incoming::Binary(bytes) => {
                return Outcome::Keep(Envelope::binary(Arc::clone(&self.type_), bytes, received));
            }
        };
        let message = Message::read(text.strip_prefix('\u{feff}').unwrap_or(text));
        match self.dropped(&message) {
            Some(dropped) => Outcome::Skip(dropped),
            None => Outcome::Keep(self.envelope(text, &message, received)),
        }
    }

    fn dropped(&self, message: &Message<'_>) -> Option<Dropped> {
        let own = message.own.as_deref();
        if self.skip_system && own.is_some_and(|own| SYSTEM_TYPES.contains(&own)) {
            return Some(Dropped::System);
        }
        self.skip.iter().enumerate().find_map(|(place, skipper)| match skipper {
            Skipper::Type(type_) => (own == Some(&**type_)).then_some(Dropped::Type(place)),
            Skipper::At { at, equals } => {
                message.find(at).is_some_and(|found| is_equal(found, equals)).then_some(Dropped::At(place))
            }
        })
    }

    fn envelope(&self, text: &str, message: &Message<'_>, received: Timestamp) -> Envelope {
        let rule = message.rule();
        let scalar = |found: &&str| !found.starts_with(['{', '[', 'n']);
        let own_time = message.timestamp.and_then(|value| timestamp::parse(value, self.naive_offset));
        let draft = Draft {
            text,
            rule,
            type_: self.type_of(message),
            key: self.key.as_ref().and_then(|key| message.find(key)).filter(scalar),
            data: match rule {
                Rule::TypeAndData => message.data,
                Rule::NoType | Rule::NotAnObject => message.json,
                Rule::TypeAlone | Rule::NotJson | Rule::Binary => None,
            },
            members: &message.others,
            timestamp: own_time.unwrap_or(received),
        };
        Envelope::new(&draft).unwrap_or_else(|| Envelope::text(Arc::clone(&self.type_), text, received))
    }

    /// The message's own type, renamed where the config says so, or the feed's.
    fn type_of<'a>(&self, message: &Message<'a>) -> DraftType<'a> {
        match (message.own.as_deref(), message.type_) {
            (Some(own), Some(written)) => match self.rename.get(own) {
                Some(new) => DraftType::Lent(Arc::clone(new)),
                None => DraftType::Own(written),
            },
            (_, None) | (None, _) => DraftType::Lent(Arc::clone(&self.type_)),
        }
    }
}

impl<'a> Message<'a> {
    fn read(text: &'a str) -> Message<'a> {
        let trimmed = text.trim_matches([' ', '\t', '\n', '\r']);
        let mut message = Message { json: Some(trimmed), is_object: true, ..Message::default() };
        let is_object = trimmed.starts_with('{')
            && json::each_member(trimmed, |member| match json::string(member.name).as_deref() {
                Some("type") => message.type_ = Some(member.value),
                Some("data") => message.data = Some(member.value),
                Some("timestamp") => message.timestamp = Some(member.value),
                Some(_) | None => message.others.push(member),
            });
        if !is_object {
            // What starts like an object and is none is no JSON either.
            let json = if trimmed.starts_with('{') { None } else { json::value(text) };
            return Message { json, ..Message::default() };
        }
        message.own = message.type_.and_then(json::string);
        message
    }

    fn rule(&self) -> Rule {
        match (self.json, self.is_object, &self.own, self.data) {
            (None, _, _, _) => Rule::NotJson,
            (Some(_), false, _, _) => Rule::NotAnObject,
            (Some(_), true, Some(_), Some(_)) => Rule::TypeAndData,
            (Some(_), true, Some(_), None) => Rule::TypeAlone,
            (Some(_), true, None, _) => Rule::NoType,
        }
    }

    fn find(&self, pointer: &Pointer) -> Option<&'a str> {
        let json = self.json?;
        if self.is_object { pointer.find_below(json, |name| self.member(name)) } else { pointer.find_within(json) }
    }

    fn member(&self, name: &str) -> Option<&'a str> {
        match name {
            "type" => self.type_,
            "data" => self.data,
            "timestamp" => self.timestamp,
            other => self.others.iter().rev().find(|member| member.is_named(other)).map(|member| member.value),
        }
    }
}

impl Dropped {
    /// The option that dropped the message, as it stands in the config.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Dropped::System => "skip_system".to_owned(),
            Dropped::Type(place) => format!("skip[{place}] by type"),
            Dropped::At(place) => format!("skip[{place}] by what stands at its pointer"),
        }
    }
}

/// Whether the JSON text `found` is the value `wanted`; numbers by what they say, `1.0` is `1`.
fn is_equal(found: &str, wanted: &Value) -> bool {
    match (wanted, found.as_bytes().first()) {
        (Value::Null, _) => found == "null",
        (Value::Bool(flag), _) => found == if *flag { "true" } else { "false" },
        (Value::String(text), Some(b'"')) => json::string(found).is_some_and(|found| found == text.as_str()),
        (Value::Number(_), Some(b'-' | b'0'..=b'9'))
        | (Value::Array(_), Some(b'['))
        | (Value::Object(_), Some(b'{')) => serde_json::from_str(found).is_ok_and(|found| is_same(&found, wanted)),
        (Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_), _) => false,
    }
}

/// Both sides are parsed, so neither is nested deeper than the parser's 128.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => is_same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| is_same(one, other)))
        }
        (one, other) => one == other,
    }
}

fn is_same_number(one: &Number, other: &Number) -> bool {
    // Integers first: above 2^53 two of them can share one f64.
    match (one.is_f64(), other.is_f64()) {
        (false, false) => one == other,
        (true, _) | (_, true) => one.as_f64() == other.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Dropped, Incoming, Normalizer, Outcome, SYSTEM_TYPES};
    use crate::feed::envelope::{Envelope, Rule};
    use crate::feed::json;
    use crate::feed::options::{NormalizeOptions, Shape, Skip};
    use crate::feed::pointer::PointerError;
    use crate::feed::select::FieldSet;

    /// What `received` is in every test, as envelopes write it.
    const NOW: &str = "2026-02-15T12:30:45.678Z";

    fn options() -> NormalizeOptions {
        NormalizeOptions { type_: "dash".to_owned(), ..NormalizeOptions::default() }
    }

    fn outcome(options: &NormalizeOptions, message: Incoming<'_>) -> Outcome {
        let received: Timestamp = NOW.parse().unwrap();
        Normalizer::new(options).unwrap().normalize(message, received)
    }

    #[track_caller]
    fn kept(options: &NormalizeOptions, text: &str) -> Envelope {
        match outcome(options, Incoming::Text(text)) {
            Outcome::Keep(envelope) => envelope,
            Outcome::Skip(dropped) => panic!("{text} was dropped by {dropped:?}"),
        }
    }

    fn encoded(envelope: &Envelope, shape: Shape, fields: Option<&[&str]>) -> String {
        let set = fields.map(|names| FieldSet::new(names.iter().map(|name| Box::from(*name))));
        let mut out = Vec::new();
        envelope.encode(shape, set.as_ref(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Both shapes, `NOW` standing for the time of receipt; raw is always what came.
    #[track_caller]
    fn check(text: &str, rule: Rule, envelope: &str, mirrored: &str) {
        let found = kept(&options(), text);
        assert_eq!(found.rule(), rule, "{text}");
        assert_eq!(encoded(&found, Shape::Envelope, None), envelope.replace("NOW", NOW), "envelope of {text}");
        assert_eq!(encoded(&found, Shape::Mirrored, None), mirrored.replace("NOW", NOW), "mirrored of {text}");
        assert_eq!(encoded(&found, Shape::Raw, None), text);
        assert_eq!(found.raw(), text.as_bytes());
    }

    /// For messages with nothing to mirror.
    #[track_caller]
    fn check_same(text: &str, rule: Rule, both: &str) {
        check(text, rule, both, both);
    }

    #[test]
    fn the_flat_dashboard_message_gets_its_type_and_keeps_its_own_members_when_mirrored() {
        let flat =
            r#"{"total_orders": 0, "revenue_today": 0.0, "timestamp": "2026-02-15T09:08:07.123456", "loading": false}"#;
        check(
            flat,
            Rule::NoType,
            &format!(r#"{{"type":"dash","data":{flat},"timestamp":"2026-02-15T09:08:07.123Z"}}"#),
            &format!(
                r#"{{"type":"dash","data":{flat},"timestamp":"2026-02-15T09:08:07.123Z","total_orders":0,"revenue_today":0.0,"loading":false}}"#
            ),
        );
    }

    #[test]
    fn the_flat_system_message_gets_its_data() {
        check(
            r#"{"type": "system_stats", "timestamp": "2025-11-10T12:30:45.123456", "cpu": {"usage": 25.5}, "disk": {"used_gb": 234.50}}"#,
            Rule::TypeAlone,
            r#"{"type":"system_stats","data":{"cpu":{"usage": 25.5},"disk":{"used_gb": 234.50}},"timestamp":"2025-11-10T12:30:45.123Z"}"#,
            r#"{"type":"system_stats","data":{"cpu":{"usage": 25.5},"disk":{"used_gb": 234.50}},"timestamp":"2025-11-10T12:30:45.123Z","cpu":{"usage": 25.5},"disk":{"used_gb": 234.50}}"#,
        );
    }

    #[test]
    fn the_alert_that_is_an_envelope_already_stays_one() {
        check_same(
            r#"{"type":"alert","data":{"level":"high"},"timestamp":"2026-02-15T00:00:00+09:00","message":"x","id":7}"#,
            Rule::TypeAndData,
            r#"{"type":"alert","data":{"level":"high"},"timestamp":"2026-02-14T15:00:00.000Z","message":"x","id":7}"#,
        );
    }

    #[test]
    fn the_upstreams_own_greeting_and_keepalive_are_dropped_or_kept_with_data() {
        let own = r#"{"type":"connected","message":"Alerts WebSocket connected","timestamp":1739622645}"#;
        assert!(matches!(outcome(&options(), Incoming::Text(own)), Outcome::Skip(Dropped::System)));
        let keep = NormalizeOptions { skip_system: false, ..options() };
        assert_eq!(
            encoded(&kept(&keep, own), Shape::Envelope, None),
            r#"{"type":"connected","data":{"message":"Alerts WebSocket connected"},"timestamp":"2025-02-15T12:30:45.000Z"}"#
        );
        assert_eq!(
            encoded(&kept(&keep, r#"{"type":"keepalive","data":null}"#), Shape::Envelope, None),
            format!(r#"{{"type":"keepalive","data":null,"timestamp":"{NOW}"}}"#)
        );
    }

    #[test]
    fn data_is_null_where_nothing_is_left_or_it_was_null() {
        check_same(r#"{"type":"a"}"#, Rule::TypeAlone, r#"{"type":"a","data":null,"timestamp":"NOW"}"#);
        check_same(
            r#"{"type":"a","timestamp":1}"#,
            Rule::TypeAlone,
            r#"{"type":"a","data":null,"timestamp":"1970-01-01T00:00:01.000Z"}"#,
        );
        check_same(r#"{"type":"a","data":null}"#, Rule::TypeAndData, r#"{"type":"a","data":null,"timestamp":"NOW"}"#);
        check_same("{}", Rule::NoType, r#"{"type":"dash","data":{},"timestamp":"NOW"}"#);
    }

    #[test]
    fn a_type_that_is_no_string_is_none() {
        for type_ in ["5", "null", "[]", "{}", "true", r#""\ud800""#] {
            let text = format!(r#"{{"type":{type_},"a":1}}"#);
            check(
                &text,
                Rule::NoType,
                &format!(r#"{{"type":"dash","data":{text},"timestamp":"NOW"}}"#),
                &format!(r#"{{"type":"dash","data":{text},"timestamp":"NOW","a":1}}"#),
            );
        }
    }

    #[test]
    fn an_original_that_collides_survives_inside_data_only() {
        let text = r#"{"data":{"a":1},"timestamp":"soon","b":2}"#;
        check(
            text,
            Rule::NoType,
            &format!(r#"{{"type":"dash","data":{text},"timestamp":"NOW"}}"#),
            &format!(r#"{{"type":"dash","data":{text},"timestamp":"NOW","b":2}}"#),
        );
    }

    #[test]
    fn other_json_is_data_as_it_is() {
        for json in
            ["[]", "[1, 2.50]", "1", "-0.0", "1e400", "true", "null", "\"a\"", r#""\ud800""#, "[{\"type\":\"a\"}]"]
        {
            let expected = format!(r#"{{"type":"dash","data":{json},"timestamp":"NOW"}}"#);
            check_same(json, Rule::NotAnObject, &expected);
            check_same(&format!(" \r\n{json}\t"), Rule::NotAnObject, &expected);
        }
    }

    #[test]
    fn text_that_is_no_json_is_a_string() {
        for (text, json) in [
            ("", r#""""#),
            (" ", r#"" ""#),
            ("hello \"you\"\n\u{0}", r#""hello \"you\"\n\u0000""#),
            ("{\"type\":\"a\"", r#""{\"type\":\"a\"""#),
            ("{\"a\":1}{\"b\":2}", r#""{\"a\":1}{\"b\":2}""#),
            ("NaN", r#""NaN""#),
            ("01", r#""01""#),
            ("\u{c}{}", r#""\f{}""#),
            ("\u{feff}x", "\"\u{feff}x\""),
        ] {
            check_same(text, Rule::NotJson, &format!(r#"{{"type":"dash","data":{json},"timestamp":"NOW"}}"#));
        }
    }

    #[test]
    fn binary_passes_as_it_came_in_every_shape() {
        let Outcome::Keep(envelope) = outcome(&options(), Incoming::Binary(Bytes::from_static(b"\xff\0{}"))) else {
            panic!("dropped")
        };
        assert!(envelope.is_binary() && envelope.rule() == Rule::Binary && envelope.data().is_none());
        assert_eq!((envelope.type_(), envelope.key()), ("dash", None));
        for shape in [Shape::Envelope, Shape::Mirrored, Shape::Raw] {
            let mut out = Vec::new();
            envelope.encode(shape, Some(&FieldSet::new([])), &mut out);
            assert_eq!(out, b"\xff\0{}");
        }
    }

    #[test]
    fn of_duplicates_of_the_envelopes_own_the_last_counts_and_others_pass() {
        check_same(
            r#"{"type":"a","data":1,"x":1,"timestamp":1,"\u0074ype":"b","d\u0061ta":2,"x":2,"timestamp":2}"#,
            Rule::TypeAndData,
            r#"{"type":"b","data":2,"timestamp":"1970-01-01T00:00:02.000Z","x":1,"x":2}"#,
        );
        let text = r#"{"type":"a","type":5,"x":1}"#;
        check(
            text,
            Rule::NoType,
            &format!(r#"{{"type":"dash","data":{text},"timestamp":"NOW"}}"#),
            &format!(r#"{{"type":"dash","data":{text},"timestamp":"NOW","x":1}}"#),
        );
    }

    #[test]
    fn values_and_names_go_through_byte_for_byte() {
        for value in [
            "123456789012345678901234567890",
            "0.10",
            "1.0000000000000000000001",
            "1E+2",
            "-0",
            "[ 1 ,2 ]",
            r#"{"b" : 1, "a":1,"b":2}"#,
            r#""\u00e9\/\ud83d\ude00""#,
            r#""\udc00\ud800""#,
            "\"\u{e9}\u{2028}\"",
        ] {
            check_same(
                &format!(r#"{{"type":"a", "data" : {value} ,"n\u0061me\ud800" : {value} }}"#),
                Rule::TypeAndData,
                &format!(r#"{{"type":"a","data":{value},"timestamp":"NOW","n\u0061me\ud800":{value}}}"#),
            );
        }
    }

    #[test]
    fn any_depth_is_enveloped_and_untouched() {
        for depth in [127, 128, 129, 1_000, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let nest = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let found = kept(&options(), &format!(r#"{{"type":"a","data":{nest}}}"#));
                assert_eq!((found.rule(), found.data().as_deref()), (Rule::TypeAndData, Some(nest.as_str())));
                let found = kept(&options(), &nest);
                assert_ne!(found.rule(), Rule::NotJson);
                assert_eq!(found.data().as_deref(), Some(nest.as_str()));
                assert_eq!(
                    encoded(&found, Shape::Envelope, None),
                    format!(r#"{{"type":"dash","data":{nest},"timestamp":"{NOW}"}}"#)
                );
            }
        }
    }

    #[test]
    fn a_mebibyte_passes_in_one_member_or_in_many() {
        let long = format!(r#"{{"type":"a","x":"{}"}}"#, "y".repeat(1 << 20));
        let many = format!(r#"{{"type":"a"{}}}"#, r#","k":1"#.repeat(150_000));
        for text in [long, many] {
            let inner = &text[r#"{"type":"a","#.len()..text.len() - 1];
            let found = kept(&options(), &text);
            assert_eq!(
                encoded(&found, Shape::Mirrored, None),
                format!(r#"{{"type":"a","data":{{{inner}}},"timestamp":"{NOW}",{inner}}}"#)
            );
            assert!(found.len() >= text.len());
        }
    }

    #[test]
    fn a_byte_order_mark_stays_in_raw_only() {
        check_same(
            "\u{feff}{\"type\":\"a\",\"data\":1}",
            Rule::TypeAndData,
            r#"{"type":"a","data":1,"timestamp":"NOW"}"#,
        );
        check_same("\u{feff} [1]", Rule::NotAnObject, r#"{"type":"dash","data":[1],"timestamp":"NOW"}"#);
    }

    #[test]
    fn a_time_that_is_none_gives_way_to_the_time_of_receipt() {
        for time in ["null", "\"\"", "\"2026-02-15\"", "\"1739622645\"", "true", "1e99", "{}"] {
            check_same(
                &format!(r#"{{"type":"a","data":1,"timestamp":{time}}}"#),
                Rule::TypeAndData,
                r#"{"type":"a","data":1,"timestamp":"NOW"}"#,
            );
        }
        let naive = NormalizeOptions { naive_offset: 9 * 3600, ..options() };
        let found = kept(&naive, r#"{"type":"a","data":1,"timestamp":"2026-02-15T09:00:00"}"#);
        assert_eq!(
            encoded(&found, Shape::Envelope, None),
            r#"{"type":"a","data":1,"timestamp":"2026-02-15T00:00:00.000Z"}"#
        );
        assert_eq!(found.timestamp(), "2026-02-15T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_type_is_compared_undone_and_written_as_it_stood() {
        let found = kept(&options(), r#"{"type":"\u0041\"\n","data":1}"#);
        assert_eq!(found.type_(), "A\"\n");
        assert_eq!(
            encoded(&found, Shape::Envelope, None),
            format!(r#"{{"type":"\u0041\"\n","data":1,"timestamp":"{NOW}"}}"#)
        );
        let odd = NormalizeOptions { type_: "d\"\n".to_owned(), ..options() };
        assert_eq!(
            encoded(&kept(&odd, "1"), Shape::Envelope, None),
            format!(r#"{{"type":"d\"\n","data":1,"timestamp":"{NOW}"}}"#)
        );
    }

    #[track_caller]
    fn check_dropped(options: &NormalizeOptions, text: &str, expected: Option<Dropped>) {
        let found = match outcome(options, Incoming::Text(text)) {
            Outcome::Skip(dropped) => Some(dropped),
            Outcome::Keep(_) => None,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn only_the_upstreams_own_system_messages_are_dropped() {
        for type_ in SYSTEM_TYPES {
            check_dropped(&options(), &format!(r#"{{"type":"{type_}","data":{{}}}}"#), Some(Dropped::System));
        }
        check_dropped(&options(), r#"{"type":"\u0070ing"}"#, Some(Dropped::System));
        for text in
            ["ping", "\"ping\"", r#"["ping"]"#, r#"{"type":"Ping"}"#, r#"{"type":"subscribed"}"#, r#"{"kind":"ping"}"#]
        {
            check_dropped(&options(), text, None);
        }
    }

    #[test]
    fn skip_goes_by_the_messages_own_type_before_rename() {
        let skip = vec![Skip::Type("debug".to_owned()), Skip::Type("dash".to_owned())];
        let rename = vec![("old".to_owned(), "debug".to_owned())];
        let options = NormalizeOptions { skip, rename, ..options() };
        check_dropped(&options, r#"{"type":"debug"}"#, Some(Dropped::Type(0)));
        check_dropped(&options, r#"{"type":"old"}"#, None);
        check_dropped(&options, r#"{"x":1}"#, None);
        check_dropped(&options, r#"{"type":"ping"}"#, Some(Dropped::System));
    }

    #[test]
    fn skip_goes_by_what_stands_at_a_pointer() {
        let skip =
            |at: &str, equals| NormalizeOptions { skip: vec![Skip::At { at: at.to_owned(), equals }], ..options() };
        for (at, equals, text, dropped) in [
            ("/loading", json!(true), r#"{"loading": true}"#, true),
            ("/loading", json!(true), r#"{"loading":false}"#, false),
            ("/loading", json!(true), r#"{"loading":"true"}"#, false),
            ("/loading", json!(true), r#"{"x":true}"#, false),
            ("/loading", json!(false), r#"{"loading":false}"#, true),
            ("/x", json!(null), r#"{"x":null}"#, true),
            ("/x", json!(null), "{}", false),
            ("/data/n", json!(1), r#"{"type":"a","data":{"n":1.0}}"#, true),
            ("/data/n", json!(1.5), r#"{"type":"a","data":{"n":15e-1}}"#, true),
            ("/data/n", json!(9_007_199_254_740_993_i64), r#"{"data":{"n":9007199254740992}}"#, false),
            ("/type", json!("a\n"), r#"{"type":"\u0061\n"}"#, true),
            ("/type", json!("a"), r#"{"type":"b"}"#, false),
            ("/0/x", json!([1, {"y": 2}]), r#"[{"x":[1.0,{"y":2}]}]"#, true),
            ("/0/x", json!([1, {"y": 2}]), r#"[{"x":[1,{"y":3}]}]"#, false),
            ("/0/x", json!([1]), r#"[{"x":[1,2]}]"#, false),
            ("", json!("hello"), "\"hello\"", true),
            ("", json!("hello"), "hello", false),
            ("", json!({}), " {} ", true),
        ] {
            check_dropped(&skip(at, equals), text, dropped.then_some(Dropped::At(0)));
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        check_dropped(&skip("", json!([])), &deep, None);
    }

    #[test]
    fn rename_gives_the_type_in_every_shape_but_raw() {
        let options = NormalizeOptions {
            rename: vec![("old".to_owned(), "n\"ew".to_owned()), ("n\"ew".to_owned(), "third".to_owned())],
            ..options()
        };
        let text = r#"{"type":"ol\u0064","a":1}"#;
        let found = kept(&options, text);
        assert_eq!(found.type_(), "n\"ew");
        assert_eq!(
            encoded(&found, Shape::Mirrored, None),
            format!(r#"{{"type":"n\"ew","data":{{"a":1}},"timestamp":"{NOW}","a":1}}"#)
        );
        assert_eq!(encoded(&found, Shape::Raw, None), text);
    }

    #[track_caller]
    fn check_key(key: &str, text: &str, expected: Option<&str>) {
        let options = NormalizeOptions { key: Some(key.to_owned()), ..options() };
        assert_eq!(kept(&options, text).key(), expected, "{key} of {text}");
    }

    #[test]
    fn a_key_is_found_in_the_message_as_it_came() {
        check_key("/data/host", r#"{"type":"a","data":{"host":"web-1"}}"#, Some("web-1"));
        check_key("/host", r#"{"type":"a","host":"w\u0065b\n"}"#, Some("web\n"));
        check_key("/host", r#"{"host":"a","host":"b"}"#, Some("b"));
        check_key("/type", r#"{"type":"a"}"#, Some("a"));
        check_key("/timestamp", r#"{"timestamp":1.50}"#, Some("1.50"));
        check_key("/n", r#"{"n":true}"#, Some("true"));
        check_key("/n", r#"{"n":"\ud800"}"#, Some("\\ud800"));
        check_key("/1", "[1,2]", Some("2"));
        check_key("", "\u{feff} 17 ", Some("17"));
        for text in [r#"{"n":null}"#, r#"{"n":{}}"#, r#"{"n":[]}"#, "{}", "[]", "n"] {
            check_key("/n", text, None);
        }
    }

    #[test]
    fn a_pointer_that_is_none_is_refused() {
        let bad = NormalizeOptions { key: Some("host".to_owned()), ..options() };
        assert_eq!(Normalizer::new(&bad).err(), Some(PointerError::NoSlash));
        let bad = NormalizeOptions { skip: vec![Skip::At { at: "/~".to_owned(), equals: json!(1) }], ..options() };
        assert_eq!(Normalizer::new(&bad).err(), Some(PointerError::BadEscape));
    }

    #[track_caller]
    fn check_fields(text: &str, fields: &[&str], envelope: &str, mirrored: &str) {
        let found = kept(&options(), text);
        assert_eq!(encoded(&found, Shape::Envelope, Some(fields)), envelope.replace("NOW", NOW), "envelope of {text}");
        assert_eq!(encoded(&found, Shape::Mirrored, Some(fields)), mirrored.replace("NOW", NOW), "mirrored of {text}");
        assert_eq!(encoded(&found, Shape::Raw, Some(fields)), text);
    }

    #[test]
    fn fields_choose_members_of_data_and_their_mirrored_copies() {
        check_fields(
            r#"{"type":"a","data":{"x": 1,"y":2,"\u0078":3},"y":4}"#,
            &["x"],
            r#"{"type":"a","data":{"x":1,"\u0078":3},"timestamp":"NOW","y":4}"#,
            r#"{"type":"a","data":{"x":1,"\u0078":3},"timestamp":"NOW","y":4}"#,
        );
        check_fields(
            r#"{"type":"a","x":1,"y":2}"#,
            &["y", "z"],
            r#"{"type":"a","data":{"y":2},"timestamp":"NOW"}"#,
            r#"{"type":"a","data":{"y":2},"timestamp":"NOW","y":2}"#,
        );
        check_fields(
            r#"{"x":1,"y":2,"timestamp":0}"#,
            &["x", "timestamp"],
            r#"{"type":"dash","data":{"x":1,"timestamp":0},"timestamp":"1970-01-01T00:00:00.000Z"}"#,
            r#"{"type":"dash","data":{"x":1,"timestamp":0},"timestamp":"1970-01-01T00:00:00.000Z","x":1}"#,
        );
        for (text, data) in
            [(r#"{"type":"a","x":1}"#, "{}"), (r#"{"type":"a"}"#, "null"), (r#"{"type":"a","data":[1]}"#, "[1]")]
        {
            let both = format!(r#"{{"type":"a","data":{data},"timestamp":"NOW"}}"#);
            check_fields(text, &["z"], &both, &both);
        }
    }

    #[test]
    fn an_envelope_holds_its_text_once_and_little_beside() {
        let text = format!(r#"{{"type":"a","data":{{"x":"{}"}},"y":1}}"#, "y".repeat(1000));
        assert!(kept(&options(), &text).len() <= text.len() + 192);
    }

    #[test]
    fn data_is_told_as_json_text() {
        for (text, data) in [
            (r#"{"type":"a","data": [1] }"#, "[1]"),
            (r#"{"type":"a","x": 1 }"#, r#"{"x":1}"#),
            (r#" {"x": 1} "#, r#"{"x": 1}"#),
            ("a\"", r#""a\"""#),
        ] {
            assert_eq!(kept(&options(), text).data().as_deref(), Some(data), "{text}");
        }
    }

    /// Raw JSON values, spelt in odd ways.
    fn any_value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,4})?",
            any_string(),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[ {} ]", all.join(" ,\n"))),
                any_object(inner),
            ]
        })
    }

    fn any_string() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            r#""(a|\\u0041|\\ud800|\\n|\\/|\\"|é){0,4}""#,
            prop::sample::select(
                &[
                    r#""type""#,
                    r#""data""#,
                    r#""timestamp""#,
                    r#""t\u0079pe""#,
                    r#""\u0064ata""#,
                    r#""ping""#,
                    r#""2026-02-15T12:30:45+09:00""#,
                ][..]
            )
            .prop_map(str::to_owned),
        ]
    }

    fn any_object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        prop::collection::vec((any_string(), value), 0..8).prop_map(|members| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}\t: {value}")).collect();
            format!("{{{} }}", members.join(","))
        })
    }

    fn is_own(name: &str) -> bool {
        json::string(name).is_some_and(|name| matches!(&*name, "type" | "data" | "timestamp"))
    }

    proptest! {
        #[test]
        fn of_any_object_nothing_is_lost_and_the_envelopes_own_are_written_once(text in any_object(any_value())) {
            let found = kept(&NormalizeOptions { skip_system: false, ..options() }, &text);
            let others: Vec<_> = json::members(&text).unwrap().into_iter().filter(|member| !is_own(member.name)).collect();
            for shape in [Shape::Envelope, Shape::Mirrored] {
                let out = encoded(&found, shape, None);
                let members = json::members(&out).unwrap();
                let own: Vec<_> = members.iter().map(|member| member.name).filter(|name| is_own(name)).collect();
                prop_assert_eq!(own, [r#""type""#, r#""data""#, r#""timestamp""#]);
                let beside: Vec<_> = members.iter().copied().filter(|member| !is_own(member.name)).collect();
                let data = json::member(&out, "data").unwrap();
                prop_assert_eq!(found.data().unwrap(), data);
                match (found.rule(), shape) {
                    (Rule::TypeAndData, _) => prop_assert_eq!(&beside, &others),
                    (_, Shape::Mirrored) => prop_assert_eq!(&beside, &others),
                    _ => prop_assert!(beside.is_empty()),
                }
                match found.rule() {
                    Rule::TypeAndData => prop_assert_eq!(Some(data), json::member(&text, "data")),
                    Rule::TypeAlone if others.is_empty() => prop_assert_eq!(data, "null"),
                    Rule::TypeAlone => prop_assert_eq!(json::members(data).unwrap(), others.clone()),
                    Rule::NoType => prop_assert_eq!(data, text.as_str()),
                    Rule::NotAnObject | Rule::NotJson | Rule::Binary => prop_assert!(false, "{:?}", found.rule()),
                }
            }
            prop_assert_eq!(encoded(&found, Shape::Raw, None), text);
        }

        #[test]
        fn any_value_becomes_an_envelope_that_parses(text in any_value(), fields in prop::option::of(prop::collection::vec("a|A|type", 0..3))) {
            let found = kept(&NormalizeOptions { skip_system: false, ..options() }, &text);
            prop_assert_ne!(found.rule(), Rule::NotJson);
            let fields = fields.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            for shape in [Shape::Envelope, Shape::Mirrored] {
                prop_assert!(json::members(&encoded(&found, shape, fields.as_deref())).is_some());
            }
        }

        #[test]
        fn no_text_panics_and_all_becomes_json(text in prop_oneof![any::<String>(), r#"[\[\]{}:,"\\tu0d8 1e.-]{0,40}"#]) {
            let options = NormalizeOptions { skip_system: false, key: Some("/a/0".to_owned()), ..options() };
            let out = encoded(&kept(&options, &text), Shape::Mirrored, None);
            prop_assert!(json::members(&out).is_some(), "{}", out);
        }
    }
}
