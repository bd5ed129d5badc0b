//! Places in a message's text, kept in place of copies.
//!
//! Owns: 32-bit spans (a text of 4 GiB or more has none), and names that stand in the text, with or without escapes,
//! or are lent to it.

use std::sync::Arc;

use super::json::{self, Member};

/// A part of the original text, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct MemberSpan {
    name: Span,
    value: Span,
}

#[derive(Debug, Clone)]
pub(super) enum Name {
    /// As it stands in the text, no escape in it; quotes left out.
    Plain(Span),
    /// Written with escapes, `written` with its quotes.
    Escaped { plain: Box<str>, written: Span },
    /// Not in the text.
    Lent(Arc<str>),
}

impl Span {
    /// Where `part`, a slice of `whole`, lies in it.
    pub(super) fn new(part: &str, whole: &str) -> Option<Span> {
        let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        let end = start.checked_add(part.len()).filter(|end| *end <= whole.len())?;
        Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    /// The part itself. The span was made of a slice of this very text: the default is never taken.
    pub(super) fn of(self, whole: &str) -> &str {
        whole.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl Name {
    /// The text of a JSON string, number or boolean. A string that no Rust string can be (half a surrogate pair) is
    /// named by its escapes.
    pub(super) fn new(written: &str, text: &str) -> Option<Name> {
        let Some(inner) = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Span::new(written, text).map(Name::Plain);
        };
        if !inner.contains('\\') {
            return Span::new(inner, text).map(Name::Plain);
        }
        let plain = json::string(written).map_or_else(|| inner.into(), Box::from);
        Some(Name::Escaped { plain, written: Span::new(written, text)? })
    }

    /// The name with its escapes undone.
    pub(super) fn text<'a>(&'a self, whole: &'a str) -> &'a str {
        match self {
            Name::Plain(span) => span.of(whole),
            Name::Escaped { plain, .. } => plain,
            Name::Lent(name) => name,
        }
    }

    /// Appends the name as a JSON string: byte for byte where it stands in the text.
    pub(super) fn write_json(&self, whole: &str, out: &mut Vec<u8>) {
        match self {
            Name::Plain(span) => {
                out.push(b'"');
                out.extend_from_slice(span.of(whole).as_bytes());
                out.push(b'"');
            }
            Name::Escaped { written, .. } => out.extend_from_slice(written.of(whole).as_bytes()),
            Name::Lent(name) => json::push_string(out, name),
        }
    }

    /// Bytes held beside the text.
    pub(super) fn len(&self) -> usize {
        match self {
            Name::Plain(_) | Name::Lent(_) => 0,
            Name::Escaped { plain, .. } => plain.len(),
        }
    }
}

impl MemberSpan {
    pub(super) fn new(member: Member<'_>, whole: &str) -> Option<MemberSpan> {
        Some(MemberSpan { name: Span::new(member.name, whole)?, value: Span::new(member.value, whole)? })
    }

    pub(super) fn of(self, whole: &str) -> Member<'_> {
        Member { name: self.name.of(whole), value: self.value.of(whole) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, Span};

    #[test]
    fn a_span_is_of_its_own_text_alone() {
        let text = String::from("abc");
        assert_eq!(Span::new(&text[1..], &text).map(|span| span.of(&text)), Some("bc"));
        assert!(Span::new(&text, &text[1..]).is_none());
        assert!(Span::new(&text, &text[..2]).is_none());
    }

    #[track_caller]
    fn check(written: &str, text: &str) {
        let name = Name::new(written, written).unwrap();
        assert_eq!(name.text(written), text);
        let mut json = Vec::new();
        name.write_json(written, &mut json);
        if written.starts_with('"') {
            assert_eq!(json, written.as_bytes());
        }
    }

    #[test]
    fn names_are_read_undone_and_written_as_they_stood() {
        check("\"a\"", "a");
        check("\"\\u0041\\/\"", "A/");
        check("\"\\ud800x\"", "\\ud800x");
        check("1.50", "1.50");
        check("true", "true");
    }
}
