//! What the table shows: every number that came, by type and host, and the events that are no numbers.
//!
//! Owns: rows, their last points, the log, counts; all bounded. Never: reads a clock or draws; time is an argument.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::message::{Body, Message, clip};
use super::rate::Rate;
use crate::limits;

/// Everything a person has been sent, in a bounded form.
#[derive(Debug, Clone)]
pub struct Model {
    /// In the order in which they first came.
    pub groups: Vec<Group>,
    /// Oldest first.
    pub log: VecDeque<LogLine>,
    pub messages: u64,
    pub rate: Rate,
    /// When the last message came.
    pub last: Option<Instant>,
    /// What the server last said of its source: `live`, `stale` or `fallback`.
    pub upstream: Option<String>,
    /// Values that found no row, of the last message that had some.
    pub left_out: usize,
    rows: usize,
}

/// The numbers of one type and, where messages name one, host.
#[derive(Debug, Clone)]
pub struct Group {
    pub kind: String,
    pub host: Option<String>,
    /// In the order in which they first came.
    pub rows: Vec<Row>,
    /// Where in `rows` a pointer is.
    index: HashMap<String, usize>,
}

/// One number over time.
#[derive(Debug, Clone)]
pub struct Row {
    /// JSON Pointer (RFC 6901) into `data`; empty where `data` is the number itself.
    pub pointer: String,
    pub now: f64,
    pub min: f64,
    pub max: f64,
    /// Oldest first; at most [`limits::WATCH_POINTS`].
    pub points: VecDeque<f64>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct LogLine {
    pub at: Instant,
    pub kind: String,
    pub text: String,
}

impl Model {
    /// Nothing yet.
    #[must_use]
    pub fn new(now: Instant) -> Model {
        Model {
            groups: Vec::new(),
            log: VecDeque::new(),
            messages: 0,
            rate: Rate::new(now),
            last: None,
            upstream: None,
            left_out: 0,
            rows: 0,
        }
    }

    /// Takes in a message that came at `now`.
    pub fn apply(&mut self, message: &Message, now: Instant) {
        self.messages += 1;
        self.rate.count(now);
        self.last = Some(now);
        let kind = if message.event.is_empty() { "message" } else { &message.event };
        match &message.body {
            Body::Binary(bytes) => self.note(now, kind, &format!("{} bytes of binary", bytes.len())),
            Body::Text(text) => match serde_json::from_str(text) {
                Ok(Value::Object(object)) => self.apply_object(kind, &object, now),
                Ok(value) => self.apply_data(kind, None, &value, now),
                Err(_) => self.note(now, kind, text),
            },
        }
    }

    /// Adds a line to the log.
    pub fn note(&mut self, now: Instant, kind: &str, text: &str) {
        if self.log.len() >= limits::WATCH_LOG {
            self.log.pop_front();
        }
        let line = |text| clip(text, limits::WATCH_LINE);
        self.log.push_back(LogLine { at: now, kind: line(kind), text: line(text) });
    }

    fn apply_object(&mut self, kind: &str, object: &Map<String, Value>, now: Instant) {
        let kind = object.get("type").and_then(Value::as_str).unwrap_or(kind);
        if matches!(kind, "connected" | "keepalive" | "pong") {
            if let Some(upstream) = object.get("upstream").and_then(Value::as_str) {
                self.note(now, "upstream", upstream);
                self.upstream = Some(clip(upstream, limits::WATCH_LINE));
            }
            return;
        }
        let whole;
        let data = match object.get("data") {
            Some(data) => data,
            None => {
                let mut rest = object.clone();
                rest.remove("type");
                rest.remove("timestamp");
                whole = Value::Object(rest);
                &whole
            }
        };
        let host = data.get("host").or_else(|| object.get("host")).and_then(Value::as_str);
        self.apply_data(kind, host, data, now);
    }

    fn apply_data(&mut self, kind: &str, host: Option<&str>, data: &Value, now: Instant) {
        let mut leaves = Leaves::default();
        leaves.collect(data, &mut String::new());
        if leaves.is_empty() || kind.starts_with("alert") || kind == "error" {
            self.note(now, kind, &data.to_string());
            return;
        }
        let group = self.group(&clip(kind, limits::WATCH_LINE), host.map(|host| clip(host, limits::WATCH_LINE)));
        let mut left_out = leaves.left_out;
        for (pointer, value) in leaves.kept {
            let full = self.rows >= limits::WATCH_ROWS;
            match self.groups.get_mut(group).map(|group| group.take(pointer, value, full)) {
                Some(Taken::New) => self.rows += 1,
                Some(Taken::Known) => {}
                Some(Taken::LeftOut) | None => left_out += 1,
            }
        }
        if left_out > 0 {
            self.left_out = left_out;
        }
    }

    /// Where the group is; makes it while there is room for a row in it.
    fn group(&mut self, kind: &str, host: Option<String>) -> usize {
        let found = self.groups.iter().position(|group| group.kind == kind && group.host == host);
        found.unwrap_or_else(|| {
            if self.rows.max(self.groups.len()) < limits::WATCH_ROWS {
                self.groups.push(Group { kind: kind.to_owned(), host, rows: Vec::new(), index: HashMap::new() });
                self.groups.len() - 1
            } else {
                usize::MAX
            }
        })
    }
}

/// What became of a value.
enum Taken {
    New,
    Known,
    LeftOut,
}

impl Group {
    fn take(&mut self, pointer: String, value: f64, full: bool) -> Taken {
        if let Some(row) = self.index.get(&pointer).and_then(|at| self.rows.get_mut(*at)) {
            row.take(value);
            return Taken::Known;
        }
        if full {
            return Taken::LeftOut;
        }
        self.index.insert(pointer.clone(), self.rows.len());
        self.rows.push(Row { pointer, now: value, min: value, max: value, points: VecDeque::from([value]) });
        Taken::New
    }
}

impl Row {
    fn take(&mut self, value: f64) {
        if self.points.len() >= limits::WATCH_POINTS {
            self.points.pop_front();
        }
        self.points.push_back(value);
        self.now = value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

/// The numbers of one message, each with its pointer.
#[derive(Default)]
struct Leaves {
    /// At most [`limits::WATCH_ROWS`].
    kept: Vec<(String, f64)>,
    /// Beyond that, or with too long a pointer.
    left_out: usize,
}

impl Leaves {
    fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.left_out == 0
    }

    /// Takes every number in `value`, which is at the pointer `at`. serde_json's bound on depth bounds the recursion.
    fn collect(&mut self, value: &Value, at: &mut String) {
        let before = at.len();
        match value {
            Value::Number(number) => self.keep(at, number.as_f64()),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    at.push('/');
                    at.push_str(&index.to_string());
                    self.collect(item, at);
                    at.truncate(before);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    at.push('/');
                    at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    self.collect(member, at);
                    at.truncate(before);
                }
            }
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }

    fn keep(&mut self, at: &str, number: Option<f64>) {
        match number {
            Some(number) if at.len() <= limits::WATCH_POINTER && self.kept.len() < limits::WATCH_ROWS => {
                self.kept.push((at.to_owned(), number));
            }
            Some(_) | None => self.left_out += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn after(messages: &[&str]) -> Model {
        let now = Instant::now();
        let mut model = Model::new(now);
        for message in messages {
            model.apply(&Message::text(*message), now);
        }
        model
    }

    /// The whole model as text: `type@host /pointer now min max points`, then `! kind text` for the log.
    #[track_caller]
    fn check(messages: &[&str], expected: &[&str]) {
        let model = after(messages);
        let mut told = Vec::new();
        for group in &model.groups {
            for row in &group.rows {
                let host = group.host.as_deref().unwrap_or("-");
                let (kind, count) = (&group.kind, row.points.len());
                told.push(format!("{kind}@{host} {} {} {} {} {count}", row.pointer, row.now, row.min, row.max));
            }
        }
        told.extend(model.log.iter().map(|line| format!("! {} {}", line.kind, line.text)));
        assert_eq!(told, expected);
        assert_eq!(model.messages, u64::try_from(messages.len()).unwrap());
    }

    #[test]
    fn every_number_of_data_is_a_row() {
        check(
            &[
                r#"{"type":"s","data":{"host":"a","cpu":{"usage":1.5,"cores":[2,3]},"up":true,"x/y~z":4},"timestamp":"t"}"#,
            ],
            &[
                "s@a /cpu/cores/0 2 2 2 1",
                "s@a /cpu/cores/1 3 3 3 1",
                "s@a /cpu/usage 1.5 1.5 1.5 1",
                "s@a /x~1y~0z 4 4 4 1",
            ],
        );
    }

    #[test]
    fn values_keep_their_bounds() {
        let said = |value: i32| format!(r#"{{"type":"s","data":{{"v":{value}}}}}"#);
        check(&[&said(5), &said(-1), &said(3)], &["s@- /v 3 -1 5 3"]);
    }

    #[test]
    fn types_and_hosts_have_groups() {
        check(
            &[
                r#"{"type":"s","data":{"host":"a","v":1}}"#,
                r#"{"type":"s","data":{"v":2},"host":"b"}"#,
                r#"{"type":"t","data":{"v":3}}"#,
                r#"{"type":"s","data":{"host":"a","v":4}}"#,
            ],
            &["s@a /v 4 1 4 2", "s@b /v 2 2 2 1", "t@- /v 3 3 3 1"],
        );
    }

    #[test]
    fn what_has_no_envelope_is_shown_too() {
        check(&[r#"{"v":1,"timestamp":5}"#], &["message@- /v 1 1 1 1"]);
        check(&[r#"{"type":"s","v":1,"timestamp":5}"#], &["s@- /v 1 1 1 1"]);
        check(&["[1,[2]]"], &["message@- /0 1 1 1 1", "message@- /1/0 2 2 2 1"]);
        check(&["7"], &["message@-  7 7 7 1"]);
        check(&["hello \u{1b}[2J"], &["! message hello \\u{1b}[2J"]);
        check(&[""], &["! message "]);
    }

    #[test]
    fn events_without_numbers_and_alerts_are_log_lines() {
        check(&[r#"{"type":"job","data":{"state":"done"}}"#], &[r#"! job {"state":"done"}"#]);
        check(&[r#"{"type":"alert","data":{"rule":"cpu","value":91}}"#], &[r#"! alert {"rule":"cpu","value":91}"#]);
        check(&[r#"{"type":"alert_cleared","data":{"value":9}}"#], &[r#"! alert_cleared {"value":9}"#]);
        check(&[r#"{"type":"error","data":{"code":1}}"#], &[r#"! error {"code":1}"#]);
    }

    #[test]
    fn greetings_and_keepalives_are_counted_and_not_shown() {
        check(&[r#"{"type":"connected","data":null}"#, r#"{"type":"keepalive","data":null}"#], &[]);
        let noticed = [r#"{"type":"keepalive","data":null,"upstream":"stale"}"#];
        check(&noticed, &["! upstream stale"]);
        assert_eq!(after(&noticed).upstream.as_deref(), Some("stale"));
    }

    #[test]
    fn an_event_name_is_the_type_of_what_has_none() {
        let now = Instant::now();
        let mut model = Model::new(now);
        model.apply(&Message { body: Body::Text("1".to_owned()), event: "load".to_owned() }, now);
        model.apply(&Message { body: Body::Binary(Bytes::from_static(b"abc")), event: String::new() }, now);
        assert_eq!(model.groups[0].kind, "load");
        assert_eq!(model.log[0].text, "3 bytes of binary");
    }

    #[test]
    fn rows_points_and_log_are_bounded() {
        let many: Vec<String> = (0..limits::WATCH_ROWS + 3).map(|value| value.to_string()).collect();
        let many = format!("[{}]", many.join(","));
        let mut model = after(&[&many]);
        assert_eq!((model.groups[0].rows.len(), model.left_out), (limits::WATCH_ROWS, 3));
        let now = Instant::now();
        model.apply(&Message::text(r#"{"type":"other","data":1}"#), now);
        assert_eq!((model.groups.len(), model.left_out), (1, 1), "no room for a group without rows");
        for _ in 0..=limits::WATCH_POINTS {
            model.apply(&Message::text("[1]"), now);
        }
        assert_eq!(model.groups[0].rows[0].points.len(), limits::WATCH_POINTS);
        for index in 0..=limits::WATCH_LOG {
            model.apply(&Message::text(format!("line {index}")), now);
        }
        assert_eq!((model.log.len(), model.log[0].text.as_str()), (limits::WATCH_LOG, "line 1"));
        model.apply(&Message::text("x".repeat(limits::WATCH_LINE + 1)), now);
        assert_eq!(model.log.back().map(|line| line.text.chars().count()), Some(limits::WATCH_LINE + 1));
        let long = "x".repeat(limits::WATCH_POINTER);
        let model = after(&[&format!(r#"{{"{long}":1,"short":2}}"#)]);
        assert_eq!((model.groups[0].rows.len(), model.left_out), (1, 1));
        let types: Vec<String> =
            (0..=limits::WATCH_ROWS).map(|index| format!(r#"{{"type":"t{index}","data":{{"{long}":1}}}}"#)).collect();
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        assert_eq!(after(&types).groups.len(), limits::WATCH_ROWS);
    }
}
