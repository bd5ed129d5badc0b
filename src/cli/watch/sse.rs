//! A parser of `text/event-stream` (WHATWG HTML, 9.2.6): bytes in, cut anywhere; events out.
//!
//! Owns: at most `max` bytes of an event that is not complete. Never: does IO.

use std::mem;

/// One event that was dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; empty where there was none (`message`, to a browser).
    pub name: String,
    pub data: String,
    /// The last id seen by then: what `Last-Event-ID` says when dialling again.
    pub id: String,
}

/// An event grew past the parser's bound; the stream cannot be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {max} bytes")]
pub struct TooLarge {
    pub max: usize,
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
}

impl Parser {
    /// A parser that holds at most `max` bytes; `id` is the last one of the connection before.
    #[must_use]
    pub fn new(max: usize, id: String) -> Parser {
        Parser { max, line: Vec::new(), after_cr: false, first_line: true, name: String::new(), data: None, id }
    }

    /// Takes the next bytes, and adds the events that they complete to `events`.
    ///
    /// # Errors
    /// When one event is larger than the bound.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLarge> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut rest = bytes;
        if mem::take(&mut self.after_cr) && rest.first() == Some(&b'\n') {
            rest = rest.get(1..).unwrap_or_default();
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = rest.split_at(end);
            self.hold(head)?;
            self.end_line(events)?;
            rest = match tail {
                [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
                [] => &[],
            };
            self.after_cr = tail == [b'\r'];
        }
        self.hold(rest)
    }

    fn hold(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len) + self.name.len() + self.id.len();
        if held.saturating_add(part.len()) > self.max {
            return Err(TooLarge { max: self.max });
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<Event>) -> Result<(), TooLarge> {
        let line = mem::take(&mut self.line);
        // Bytes that are no UTF-8 are told as U+FFFD, which may be longer than they were.
        let line = String::from_utf8_lossy(&line);
        let line = if mem::take(&mut self.first_line) { line.strip_prefix('\u{feff}').unwrap_or(&line) } else { &line };
        if line.is_empty() {
            self.dispatch(events);
            return Ok(());
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
            // Comments (an empty field name), `retry`, and what a later standard may bring.
            _ => {}
        }
        self.hold(&[])
    }

    fn dispatch(&mut self, events: &mut Vec<Event>) {
        let name = mem::take(&mut self.name);
        if let Some(data) = self.data.take() {
            events.push(Event { name, data, id: self.id.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::new(1024, String::new());
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk, &mut events).unwrap();
        }
        events
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
        let mut events = Vec::new();
        parser.push(b"data: x\n\nid: now\ndata: y\n\n", &mut events).unwrap();
        assert_eq!(events.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["before", "now"]);
    }

    #[test]
    fn what_is_held_is_bounded_however_it_comes() {
        let mut events = Vec::new();
        let mut exactly = Parser::new(16, String::new());
        assert_eq!(exactly.push(b"data: 0123456789\n\n", &mut events), Ok(()));
        let mut line = Parser::new(16, String::new());
        assert_eq!(line.push(b"data: 0123456789a", &mut events), Err(TooLarge { max: 16 }));
        let mut lines = Parser::new(16, String::new());
        assert_eq!((0..9).try_for_each(|_| lines.push(b"data: x\n", &mut events)), Err(TooLarge { max: 16 }));
        let mut bytes = Parser::new(16, String::new());
        assert_eq!((0..17).try_for_each(|_| bytes.push(b"x", &mut events)), Err(TooLarge { max: 16 }));
        assert_eq!(events.len(), 1);
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
