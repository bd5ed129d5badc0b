//! An envelope: one normalised message, and the texts that viewers get of it.
//!
//! Owns: the three shapes and their field selections. The message is kept once, as it came; everything else is a
//! place in it. Never: re-formats a value: all but `timestamp`, and a `type` that was renamed or lent by the feed, is
//! written byte for byte.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::json::{self, Member};
use super::options::Shape;
use super::select::FieldSet;
use super::span::{MemberSpan, Name, Span};
use super::timestamp;

pub use super::system::{error, system};

/// One normalised message.
#[derive(Debug, Clone)]
pub struct Envelope {
    original: Original,
    type_: Name,
    key: Option<Name>,
    data: Data,
    /// The object's members in their order, less `type`, `data` and `timestamp`.
    members: Box<[MemberSpan]>,
    timestamp: Timestamp,
    rule: Rule,
}

/// Which point of the envelope rule made an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// 1: an object with `type` and `data`.
    TypeAndData,
    /// 2: an object with `type` alone; `data` is the rest of it.
    TypeAlone,
    /// 3: an object without a `type` that is a string.
    NoType,
    /// 4: other JSON.
    NotAnObject,
    /// 4: text that is no JSON.
    NotJson,
    /// 4: a binary message.
    Binary,
}

/// What [`Envelope::new`] makes an envelope of: slices of `text`.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// The message as it came.
    pub(super) text: &'a str,
    pub(super) rule: Rule,
    pub(super) type_: DraftType<'a>,
    /// A JSON string, number or boolean.
    pub(super) key: Option<&'a str>,
    /// A JSON value; `None` where it is made of `members`, or of the whole text.
    pub(super) data: Option<&'a str>,
    pub(super) members: &'a [Member<'a>],
    pub(super) timestamp: Timestamp,
}

#[derive(Debug)]
pub(super) enum DraftType<'a> {
    /// A JSON string of the message.
    Own(&'a str),
    Lent(Arc<str>),
}

#[derive(Debug, Clone)]
enum Original {
    Text(Box<str>),
    Binary(Bytes),
}

#[derive(Debug, Clone, Copy)]
enum Data {
    /// A value of the text.
    Part(Span),
    /// An object of `members`; `null` where there are none.
    Members,
    /// The whole text, as a JSON string.
    Text,
    /// The message is binary.
    Binary,
}

impl Envelope {
    /// `None` if the text is too large for its parts to be kept as 32-bit places (4 GiB).
    pub(super) fn new(draft: &Draft<'_>) -> Option<Envelope> {
        let text = draft.text;
        let data = match (draft.data, draft.rule) {
            (Some(value), _) => Data::Part(Span::new(value, text)?),
            (None, Rule::NotJson) => Data::Text,
            (None, Rule::TypeAndData | Rule::TypeAlone | Rule::NoType | Rule::NotAnObject | Rule::Binary) => {
                Data::Members
            }
        };
        let span = |member: &Member<'_>| MemberSpan::new(*member, text);
        Some(Envelope {
            type_: match &draft.type_ {
                DraftType::Own(written) => Name::new(written, text)?,
                DraftType::Lent(name) => Name::Lent(Arc::clone(name)),
            },
            key: match draft.key {
                Some(written) => Some(Name::new(written, text)?),
                None => None,
            },
            data,
            members: draft.members.iter().map(span).collect::<Option<_>>()?,
            timestamp: draft.timestamp,
            rule: draft.rule,
            original: Original::Text(text.into()),
        })
    }

    /// Text that is no JSON.
    pub(super) fn text(type_: Arc<str>, text: &str, timestamp: Timestamp) -> Envelope {
        Envelope::whole(type_, Original::Text(text.into()), Data::Text, Rule::NotJson, timestamp)
    }

    pub(super) fn binary(type_: Arc<str>, bytes: Bytes, timestamp: Timestamp) -> Envelope {
        Envelope::whole(type_, Original::Binary(bytes), Data::Binary, Rule::Binary, timestamp)
    }

    fn whole(type_: Arc<str>, original: Original, data: Data, rule: Rule, timestamp: Timestamp) -> Envelope {
        Envelope { original, type_: Name::Lent(type_), key: None, data, members: Box::default(), timestamp, rule }
    }

    /// The type, escapes undone, after `rename`.
    #[must_use]
    pub fn type_(&self) -> &str {
        self.type_.text(self.original_text())
    }

    /// The text of what the feed's `key` found: a string with its escapes undone, a number or a boolean as written.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.text(self.original_text()))
    }

    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.rule == Rule::Binary
    }

    /// The message as it came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        match &self.original {
            Original::Text(text) => text.as_bytes(),
            Original::Binary(bytes) => bytes,
        }
    }

    /// The JSON text of `data`; `None` of a binary message.
    #[must_use]
    pub fn data(&self) -> Option<Cow<'_, str>> {
        match self.data {
            Data::Part(span) => Some(Cow::Borrowed(span.of(self.original_text()))),
            Data::Members | Data::Text => {
                let mut out = Vec::new();
                self.write_data(None, &mut out);
                String::from_utf8(out).ok().map(Cow::Owned)
            }
            Data::Binary => None,
        }
    }

    /// About how many bytes the envelope holds on to.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "bytes held, not a collection's elements")]
    pub fn len(&self) -> usize {
        let names = self.type_.len() + self.key.as_ref().map_or(0, Name::len);
        size_of::<Envelope>() + self.raw().len() + size_of_val(&*self.members) + names
    }

    /// Appends the message as viewers of `shape` get it. `fields` keeps only those members of `data`, where that is
    /// an object, and of the mirrored members that are copies of them. In shape raw, and of a binary message, it is
    /// the bytes that came, whatever `fields`.
    pub fn encode(&self, shape: Shape, fields: Option<&FieldSet>, out: &mut Vec<u8>) {
        if shape == Shape::Raw || self.is_binary() {
            out.extend_from_slice(self.raw());
            return;
        }
        out.reserve(self.raw().len() + 96);
        out.extend_from_slice(b"{\"type\":");
        self.type_.write_json(self.original_text(), out);
        out.extend_from_slice(b",\"data\":");
        self.write_data(fields, out);
        out.extend_from_slice(b",\"timestamp\":\"");
        timestamp::write(self.timestamp, out);
        out.push(b'"');
        for member in self.beside(shape, fields) {
            out.push(b',');
            push_member(member, out);
        }
        out.push(b'}');
    }

    /// The members written beside the envelope's own three, in their order.
    fn beside(&self, shape: Shape, fields: Option<&FieldSet>) -> impl Iterator<Item = Member<'_>> {
        let (beside, fields) = match (self.rule, shape) {
            (Rule::TypeAndData, _) => (true, None), // members of their own, whatever is chosen of `data`
            (Rule::TypeAlone | Rule::NoType, Shape::Mirrored) => (true, fields),
            (Rule::TypeAlone | Rule::NoType, Shape::Envelope | Shape::Raw) => (false, None),
            (Rule::NotAnObject | Rule::NotJson | Rule::Binary, _) => (false, None),
        };
        let members = if beside { &*self.members } else { &[] };
        members.iter().map(|member| member.of(self.original_text())).filter(move |member| chosen(fields, *member))
    }

    fn write_data(&self, fields: Option<&FieldSet>, out: &mut Vec<u8>) {
        match self.data {
            Data::Part(span) => {
                let value = span.of(self.original_text());
                match fields {
                    Some(_) if value.starts_with('{') => push_object(out, |push| {
                        json::each_member(value, |member| push(member, chosen(fields, member)));
                    }),
                    Some(_) | None => out.extend_from_slice(value.as_bytes()),
                }
            }
            Data::Members if self.members.is_empty() => out.extend_from_slice(b"null"),
            Data::Members => push_object(out, |push| {
                for member in &self.members {
                    let member = member.of(self.original_text());
                    push(member, chosen(fields, member));
                }
            }),
            Data::Text => json::push_string(out, self.original_text()),
            Data::Binary => {}
        }
    }

    fn original_text(&self) -> &str {
        match &self.original {
            Original::Text(text) => text,
            Original::Binary(_) => "",
        }
    }
}

impl Rule {
    /// The point of the rule, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Rule::TypeAndData => "1: an object with type and data",
            Rule::TypeAlone => "2: an object with type; data is the rest of it",
            Rule::NoType => "3: an object without type; data is all of it",
            Rule::NotAnObject => "4: other JSON",
            Rule::NotJson => "4: text that is no JSON",
            Rule::Binary => "4: binary, as it came",
        }
    }
}

fn chosen(fields: Option<&FieldSet>, member: Member<'_>) -> bool {
    fields.is_none_or(|set| json::string(member.name).is_some_and(|name| set.contains(&name)))
}

fn push_member(member: Member<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(member.name.as_bytes());
    out.push(b':');
    out.extend_from_slice(member.value.as_bytes());
}

/// Writes an object of those members that `walk` pushes with `true`.
fn push_object<'a>(out: &mut Vec<u8>, walk: impl FnOnce(&mut dyn FnMut(Member<'a>, bool))) {
    let mut separator = b'{';
    walk(&mut |member, chosen| {
        if chosen {
            out.push(separator);
            push_member(member, out);
            separator = b',';
        }
    });
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}
