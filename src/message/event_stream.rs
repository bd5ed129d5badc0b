//! A parser of `text/event-stream` (WHATWG HTML, 9.2.6): bytes in, cut anywhere; events out.
//!
//! Owns: at most `max` bytes of an event that is not complete, and the last id. An event that is larger is passed over, and
//! the next one read. Never: does IO.

use std::mem;
use std::time::Duration;

/// What a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Event(Event),
    /// How long to wait before dialling again.
    Retry(Duration),
    /// An event has grown past the parser's bound, and is passed over.
    TooLarge,
}

/// An event that was dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; empty where there was none (`message`, to a browser).
    pub name: String,
    pub data: String,
    /// The last id seen by then: what `Last-Event-ID` says when dialling again.
    pub id: String,
}

/// The state between two chunks.
#[derive(Debug)]
pub struct Parser {
    max: usize,
    /// The line that has not ended.
    line: Vec<u8>,
    /// The byte before was CR: an LF now ends nothing.
    after_cr: bool,
    first_line: bool,
    name: String,
    /// The `data` fields so far, joined with LF; `None` before the first.
    data: Option<String>,
    id: String,
    /// The event is too large: all up to the next empty line is passed over.
    passing: bool,
    /// Of the line that is passed over something has come.
    passed: bool,
}

impl Parser {
    /// A parser that holds at most `max` bytes of an event, and as many of an id; `id` is the last one of the connection
    /// before.
    #[must_use]
    pub fn new(max: usize, id: String) -> Parser {
        Parser {
            max,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            name: String::new(),
            data: None,
            id,
            passing: false,
            passed: false,
        }
    }

    /// Takes the next bytes, and adds to `items` what they complete.
    pub fn push(&mut self, bytes: &[u8], items: &mut Vec<Item>) {
        if bytes.is_empty() {
            return;
        }
        let mut rest = bytes;
        if mem::take(&mut self.after_cr) && rest.first() == Some(&b'\n') {
            rest = rest.get(1..).unwrap_or_default();
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = rest.split_at(end);
            self.hold(head, items);
            self.end_line(items);
            rest = match tail {
                [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
                [] => &[],
            };
            self.after_cr = tail == [b'\r'];
        }
        self.hold(rest, items);
    }

    fn hold(&mut self, part: &[u8], items: &mut Vec<Item>) {
        if self.passing {
            self.passed |= !part.is_empty();
            return;
        }
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len) + self.name.len();
        if held.saturating_add(part.len()) <= self.max {
            self.line.extend_from_slice(part);
            return;
        }
        (self.line, self.data, self.name) = (Vec::new(), None, String::new());
        (self.passing, self.passed) = (true, true);
        items.push(Item::TooLarge);
    }

    fn end_line(&mut self, items: &mut Vec<Item>) {
        if self.passing {
            self.passing = mem::take(&mut self.passed);
            return;
        }
        let line = mem::take(&mut self.line);
        // Bytes that are no UTF-8 are told as U+FFFD, which may be longer than they were.
        let line = String::from_utf8_lossy(&line);
        let line = if mem::take(&mut self.first_line) { line.strip_prefix('\u{feff}').unwrap_or(&line) } else { &line };
        if line.is_empty() {
            self.dispatch(items);
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                items.extend(value.parse().ok().map(|millis| Item::Retry(Duration::from_millis(millis))));
            }
            // Comments (an empty field name), and what a later standard may bring.
            _ => {}
        }
        self.hold(&[], items);
        // What was just passed over ended with its line.
        self.passed = false;
    }

    fn dispatch(&mut self, items: &mut Vec<Item>) {
        let name = mem::take(&mut self.name);
        if let Some(data) = self.data.take() {
            items.push(Item::Event(Event { name, data, id: self.id.clone() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(max: usize, chunks: &[&[u8]]) -> Vec<Item> {
        let mut parser = Parser::new(max, String::new());
        let mut items = Vec::new();
        for chunk in chunks {
            parser.push(chunk, &mut items);
        }
        items
    }

    fn parse(chunks: &[&[u8]]) -> Vec<Event> {
        let event = |item| if let Item::Event(event) = item { Some(event) } else { None };
        items(1024, chunks).into_iter().filter_map(event).collect()
    }

    #[track_caller]
    fn check(stream: &str, expected: &[(&str, &str, &str)]) {
        let events = parse(&[stream.as_bytes()]);
        let told: Vec<_> =
            events.iter().map(|event| (event.name.as_str(), event.data.as_str(), event.id.as_str())).collect();
        assert_eq!(told, expected, "{stream:?}");
    }

    const EVERYTHING: &str = "\u{feff}: hello\r\nid: a-1\r\nevent: stats\r\ndata: {\"a\":\"é\"}\r\n\r\n\
        data\rdata: two\r\rid\ndata:three\n\nretry: 5\nid: a\0b\nevent: lost\n\ndata:  four\n\n: keepalive\n\ndata: cut";

    #[test]
    fn fields_become_events() {
        check("data: x\n\n", &[("", "x", "")]);
        check("event: e\nid: 7\ndata: x\n\n", &[("e", "x", "7")]);
        check("data: a\ndata: b\n\n", &[("", "a\nb", "")]);
        check("id: 1\ndata: a\n\ndata: b\n\n", &[("", "a", "1"), ("", "b", "1")]);
        check("data\n\n", &[("", "", "")]);
    }

    #[test]
    fn what_says_nothing_is_no_event() {
        check("", &[]);
        check(": comment\n\n", &[]);
        check("event: e\n\n", &[]);
        check("event: e\n\ndata: x\n\n", &[("", "x", "")]);
        check("data: never ended", &[]);
        check("retry: 10\nunknown: x\n\n", &[]);
    }

    #[test]
    fn every_line_ending_and_every_oddity() {
        check(
            EVERYTHING,
            &[("stats", "{\"a\":\"é\"}", "a-1"), ("", "\ntwo", "a-1"), ("", "three", ""), ("", " four", "")],
        );
    }

    #[test]
    fn it_may_be_cut_at_any_byte() {
        let whole = parse(&[EVERYTHING.as_bytes()]);
        for at in 0..EVERYTHING.len() {
            let (head, tail) = EVERYTHING.as_bytes().split_at(at);
            assert_eq!(parse(&[head, tail]), whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = EVERYTHING.as_bytes().chunks(1).collect();
        assert_eq!(parse(&bytes), whole);
        assert_eq!(parse(&[b"data: x\r", b"", b"\ndata: y\n\n"]), parse(&[b"data: x\r\ndata: y\n\n"]));
    }

    #[test]
    fn an_id_of_the_connection_before_is_kept_until_there_is_another() {
        let mut parser = Parser::new(1024, "before".to_owned());
        let mut items = Vec::new();
        parser.push(b"data: x\n\nid: now\ndata: y\n\n", &mut items);
        let id = |item: &Item| if let Item::Event(event) = item { event.id.clone() } else { panic!("{item:?}") };
        assert_eq!(items.iter().map(id).collect::<Vec<_>>(), ["before", "now"]);
    }

    #[test]
    fn retry_is_milliseconds_in_digits_and_nothing_else() {
        let asked = |stream: &str| items(1024, &[stream.as_bytes()]);
        assert_eq!(asked("retry: 1500\n"), [Item::Retry(Duration::from_millis(1500))]);
        for other in ["retry: 1.5\n", "retry: -1\n", "retry: +1\n", "retry\n", "retry: 99999999999999999999999\n"] {
            assert_eq!(asked(other), [], "{other}");
        }
    }

    /// What a parser of 16 bytes says: an event's data, or `!` for one that was passed over.
    #[track_caller]
    fn check_bound(stream: &str, expected: &[&str]) {
        let shown = |chunks: &[&[u8]]| -> Vec<String> {
            let shown = |item| match item {
                Item::Event(event) => event.data,
                Item::Retry(wait) => format!("{wait:?}"),
                Item::TooLarge => "!".to_owned(),
            };
            items(16, chunks).into_iter().map(shown).collect()
        };
        assert_eq!(shown(&[stream.as_bytes()]), expected, "{stream:?}");
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(shown(&bytes), expected, "{stream:?}, byte by byte");
    }

    #[test]
    fn an_event_over_the_bound_is_passed_over_and_the_next_is_read() {
        check_bound("data: 0123456789\n\n", &["0123456789"]);
        check_bound("data: 0123456789a\n\ndata: b\n\n", &["!", "b"]);
        check_bound("data: 0123456789a\r\n\r\ndata: b\r\n\r\n", &["!", "b"]);
        check_bound(&format!("{}\ndata: b\n\n", "data: x\n".repeat(9)), &["!", "b"]);
        check_bound("data: 0123456789a\ndata: 0123456789a\n: still\n\n\n\ndata: b\n\n", &["!", "b"]);
        check_bound("event: 0123456\ndata: 01\n\ndata: b\n\n", &["01", "b"]);
        check_bound("event: 0123456789\ndata: 01\n\ndata: b\n\n", &["!", "b"]);
        check_bound("id: 0123456789\ndata: 01234\n\n", &["01234"]);
    }

    #[test]
    fn no_more_is_held_than_the_bound_however_it_comes() {
        let mut parser = Parser::new(16, String::new());
        let mut items = Vec::new();
        for _ in 0..10_000 {
            parser.push(b"xxxxx", &mut items);
            assert!(parser.line.capacity() <= 32);
        }
        assert_eq!(items, [Item::TooLarge]);
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_say_the_same(stream in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), Just(b' '), any::<u8>()], 0..200), cut in 0usize..200) {
            let (head, tail) = stream.split_at(cut.min(stream.len()));
            prop_assert_eq!(parse(&[head, tail]), parse(&[&stream]));
        }
    }
}
