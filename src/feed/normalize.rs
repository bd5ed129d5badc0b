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
        if self.is_object { pointer.find_below(json, |name| self.member(name)) } else { pointer.find(json) }
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
