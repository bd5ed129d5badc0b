//! Alerts: rules over the numbers in another feed's envelopes.
//!
//! A rule is looked at for each key by itself. It starts once its number has been above its bound in every message for
//! `hold`, by the times at which the messages came; it ends with the first number that is not above. A message in which
//! the rule finds no number says nothing about it: of another type, perhaps, or a sensor that is silent.
//!
//! Owns: what is above its bound, since when. Never: a clock, a timer or a feed; messages come in, messages go out.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Number, Value};

use super::AlertRule;
use crate::limits;

/// Rules and what they have seen.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    subjects: Subjects,
}

#[derive(Debug)]
struct Rule {
    /// As in `/data/cpu/usage above 90`.
    name: String,
    above: Number,
    rule: AlertRule,
}

/// Which rule, over which key.
type Subject = (usize, Option<Arc<str>>);

/// What is above its bound, and nothing else.
#[derive(Debug)]
struct Subjects {
    above: HashMap<Subject, Above>,
    /// The same by when they were seen last, oldest first.
    seen: BTreeMap<u64, Subject>,
    max: usize,
    /// Counts what is seen.
    turn: u64,
    active: usize,
    forgotten: u64,
}

#[derive(Debug)]
struct Above {
    since: Timestamp,
    /// `alert` was said.
    said: bool,
    turn: u64,
}

/// A rule that starts or ends.
#[derive(Debug)]
struct Change {
    type_: &'static str,
    since: Timestamp,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    data: Data<'a>,
    timestamp: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    rule: &'a str,
    at: &'a str,
    value: Number,
    above: &'a Number,
    level: &'a str,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl Rules {
    /// At most `max_subjects` (but at least one) pairs of a rule and a key are kept above their bounds; past that, the one
    /// seen longest ago is forgotten without a word.
    #[must_use]
    pub fn new(rules: Vec<AlertRule>, max_subjects: usize) -> Rules {
        Rules {
            rules: rules.into_iter().map(Rule::new).collect(),
            subjects: Subjects {
                above: HashMap::new(),
                seen: BTreeMap::new(),
                max: max_subjects.max(1),
                turn: 0,
                active: 0,
                forgotten: 0,
            },
        }
    }

    /// Looks at one envelope, which came at `at`, and gives the messages to publish, in the order of the rules:
    /// `{"type","data":{"rule","at","value","above","level","since"},"timestamp"}`, where `type` is `alert` or
    /// `alert_cleared`, `since` is when the number first went above, and `data` ends with `key` where there is one. What is
    /// no JSON, or has a key over [`limits::ALERT_KEY`] bytes, is passed over.
    pub fn observe(&mut self, key: Option<&str>, envelope: &str, at: Timestamp) -> Vec<String> {
        if key.is_some_and(|key| key.len() > limits::ALERT_KEY) {
            return Vec::new();
        }
        let Ok(envelope) = serde_json::from_str::<Value>(envelope) else {
            return Vec::new();
        };
        let key: Option<Arc<str>> = key.map(Arc::from);
        let mut messages = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let Some(Value::Number(value)) = envelope.pointer(&rule.rule.at) else {
                continue;
            };
            let is_above = value.as_f64().is_some_and(|value| value > rule.rule.above);
            let subject = (index, key.clone());
            let change =
                if is_above { self.subjects.hold(subject, rule.rule.hold, at) } else { self.subjects.end(&subject) };
            messages.extend(change.map(|change| rule.message(&change, value, key.as_deref(), at)));
        }
        messages
    }

    /// Alerts that were said and not cleared.
    #[must_use]
    pub fn active(&self) -> usize {
        self.subjects.active
    }

    /// Pairs of a rule and a key that were forgotten while above their bound, to keep within `max_subjects`.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.subjects.forgotten
    }
}

impl Subjects {
    /// One more message in which `subject` is above its bound.
    fn hold(&mut self, subject: Subject, hold: Duration, at: Timestamp) -> Option<Change> {
        self.turn += 1;
        let turn = self.turn;
        if !self.above.contains_key(&subject) && self.above.len() >= self.max {
            self.forget_oldest();
        }
        self.seen.insert(turn, subject.clone());
        let above = match self.above.entry(subject) {
            Entry::Occupied(entry) => {
                let above = entry.into_mut();
                self.seen.remove(&above.turn);
                above.turn = turn;
                above
            }
            Entry::Vacant(entry) => entry.insert(Above { since: at, said: false, turn }),
        };
        if above.said {
            return None;
        }
        // Only a clock that was set back has come to before the beginning: the hold starts again.
        above.since = above.since.min(at);
        let held = Duration::try_from(at.duration_since(above.since)).unwrap_or_default();
        if held < hold {
            return None;
        }
        above.said = true;
        self.active += 1;
        Some(Change { type_: "alert", since: above.since })
    }

    /// `subject` is not above its bound.
    fn end(&mut self, subject: &Subject) -> Option<Change> {
        let above = self.above.remove(subject)?;
        self.seen.remove(&above.turn);
        if !above.said {
            return None;
        }
        self.active -= 1;
        Some(Change { type_: "alert_cleared", since: above.since })
    }

    fn forget_oldest(&mut self) {
        let oldest = self.seen.pop_first().and_then(|(_, subject)| self.above.remove(&subject));
        if let Some(above) = oldest {
            self.forgotten += 1;
            self.active -= usize::from(above.said);
        }
    }
}

impl Rule {
    fn new(rule: AlertRule) -> Rule {
        Rule {
            name: format!("{} above {}", rule.at, rule.above),
            above: Number::from_f64(rule.above).map_or_else(|| Number::from(0), |above| plain(&above)),
            rule,
        }
    }

    fn message(&self, change: &Change, value: &Number, key: Option<&str>, at: Timestamp) -> String {
        let message = Message {
            type_: change.type_,
            data: Data {
                rule: &self.name,
                at: &self.rule.at,
                value: plain(value),
                above: &self.above,
                level: &self.rule.level,
                since: millis(change.since),
                key,
            },
            timestamp: &millis(at),
        };
        // Only a map whose keys are no strings could fail here, and there is none.
        serde_json::to_string(&message).unwrap_or_default()
    }
}

/// RFC 3339 in UTC with milliseconds.
fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// `90`, where a number is `90.0`.
#[expect(clippy::cast_possible_truncation, reason = "whole, and within what an f64 counts one by one")]
fn plain(number: &Number) -> Number {
    /// 2^53.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() <= EXACT => Number::from(value as i64),
        Some(_) | None => number.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(at: &str, above: f64, hold_s: u64) -> AlertRule {
        AlertRule { at: at.to_owned(), above, hold: Duration::from_secs(hold_s), level: "warning".to_owned() }
    }

    /// So many seconds after 2026-01-02T03:04:05Z.
    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_323_045 + seconds).unwrap()
    }

    /// `+` and the second it is since for `alert`, `-` for `alert_cleared`.
    fn short(message: &str) -> String {
        let message: Value = serde_json::from_str(message).unwrap();
        let sign = match message["type"].as_str().unwrap() {
            "alert" => '+',
            "alert_cleared" => '-',
            other => panic!("{other}"),
        };
        let since: Timestamp = message["data"]["since"].as_str().unwrap().parse().unwrap();
        format!("{sign}{}", since.as_second() - time(0).as_second())
    }

    /// Messages of (second, value as JSON) under a rule of above 90 for `hold_s`, and what is said after each.
    #[track_caller]
    fn check(hold_s: u64, messages: &[(i64, &str)], expected: &[&str]) {
        let mut rules = Rules::new(vec![rule("/data/v", 90.0, hold_s)], 10);
        let said: Vec<String> = messages
            .iter()
            .map(|(second, value)| {
                let envelope = format!(r#"{{"type":"t","data":{{"v":{value}}}}}"#);
                let said = rules.observe(None, &envelope, time(*second));
                said.iter().map(|message| short(message)).collect()
            })
            .collect();
        assert_eq!(said, expected, "{messages:?}");
    }

    #[test]
    fn a_rule_without_hold_starts_and_ends_with_its_value() {
        check(0, &[(0, "90"), (2, "90.1"), (4, "95"), (6, "90"), (8, "10")], &["", "+2", "", "-2", ""]);
    }

    #[test]
    fn a_rule_starts_once_it_has_held() {
        check(10, &[(0, "91"), (9, "99"), (10, "91"), (12, "91"), (14, "1")], &["", "", "+0", "", "-0"]);
    }

    #[test]
    fn what_falls_before_it_has_held_starts_again_and_says_nothing() {
        check(10, &[(0, "91"), (8, "90"), (9, "91"), (12, "91"), (19, "91")], &["", "", "", "", "+9"]);
        check(10, &[(0, "91"), (8, "90")], &["", ""]);
    }

    #[test]
    fn a_flapping_value_is_told_each_time_it_held() {
        check(
            2,
            &[(0, "91"), (2, "91"), (3, "1"), (4, "91"), (5, "1"), (6, "91"), (8, "91"), (9, "1")],
            &["", "+0", "-0", "", "", "", "+6", "-6"],
        );
    }

    #[test]
    fn what_is_no_number_says_nothing() {
        check(
            10,
            &[(0, "91"), (5, "null"), (6, "\"1\""), (7, "[1]"), (8, "true"), (10, "91")],
            &["", "", "", "", "", "+0"],
        );
        check(0, &[(0, "91"), (1, "{}"), (2, "\"99\""), (3, "1")], &["+0", "", "", "-0"]);
    }

    #[test]
    fn a_clock_that_was_set_back_starts_the_hold_again() {
        check(10, &[(100, "91"), (50, "91"), (59, "91"), (60, "91")], &["", "", "", "+50"]);
        check(0, &[(100, "91"), (50, "91"), (60, "1")], &["+100", "", "-100"]);
    }

    #[test]
    fn messages_have_the_documented_shape() {
        let mut rules = Rules::new(vec![rule("/data/v", 90.0, 0)], 10);
        let said = rules.observe(Some("web-1"), r#"{"data":{"v":97.50}}"#, time(0));
        let alert = concat!(
            r#"{"type":"alert","data":{"rule":"/data/v above 90","at":"/data/v","value":97.5,"above":90,"level":"warning","#,
            r#""since":"2026-01-02T03:04:05.000Z","key":"web-1"},"timestamp":"2026-01-02T03:04:05.000Z"}"#,
        );
        assert_eq!(said, [alert]);
        let said = rules.observe(Some("web-1"), r#"{"data":{"v":3.0}}"#, time(1));
        let cleared = concat!(
            r#"{"type":"alert_cleared","data":{"rule":"/data/v above 90","at":"/data/v","value":3,"above":90,"level":"warning","#,
            r#""since":"2026-01-02T03:04:05.000Z","key":"web-1"},"timestamp":"2026-01-02T03:04:06.000Z"}"#,
        );
        assert_eq!(said, [cleared]);
        assert!(!rules.observe(None, r#"{"data":{"v":99}}"#, time(2))[0].contains("key"));
    }

    #[track_caller]
    fn check_number(json: &str, expected: &str) {
        let number: Number = serde_json::from_str(json).unwrap();
        assert_eq!(plain(&number).to_string(), expected, "{json}");
    }

    #[test]
    fn whole_numbers_have_no_decimals() {
        check_number("90.0", "90");
        check_number("-90.0", "-90");
        check_number("90", "90");
        check_number("90.25", "90.25");
        check_number("18446744073709551615", "18446744073709551615");
        check_number("1e300", "1e+300");
    }

    /// Whether a rule of above 0 at `at` finds a number above it in `envelope`.
    #[track_caller]
    fn check_pointer(at: &str, envelope: &str, expected: bool) {
        let mut rules = Rules::new(vec![rule(at, 0.0, 0)], 10);
        assert_eq!(!rules.observe(None, envelope, time(0)).is_empty(), expected, "{at} in {envelope}");
    }

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        check_pointer("/data/a~1b", r#"{"data":{"a/b":1}}"#, true);
        check_pointer("/data/a~0b", r#"{"data":{"a~b":1}}"#, true);
        check_pointer("/data/~01", r#"{"data":{"~1":1}}"#, true);
        check_pointer("/data/cores/1", r#"{"data":{"cores":[0,1]}}"#, true);
        check_pointer("/data/cores/0", r#"{"data":{"cores":[0,1]}}"#, false);
        check_pointer("/data/cores/2", r#"{"data":{"cores":[0,1]}}"#, false);
        check_pointer("/data/cores/01", r#"{"data":{"cores":[0,1]}}"#, false);
        check_pointer("/data/", r#"{"data":{"":1}}"#, true);
        check_pointer("", "1", true);
        check_pointer("data", r#"{"data":1}"#, false);
        check_pointer("/data", "no JSON", false);
        check_pointer("/data", r#"{"data":1"#, false);
    }

    fn envelope(value: i64) -> String {
        format!(r#"{{"data":{value}}}"#)
    }

    #[test]
    fn keys_and_rules_are_told_apart() {
        let mut rules = Rules::new(vec![rule("/data", 10.0, 0), rule("/data", 20.0, 0)], 10);
        assert_eq!(rules.observe(Some("a"), &envelope(15), time(0)).len(), 1);
        assert_eq!(rules.observe(Some("b"), &envelope(25), time(0)).len(), 2);
        assert_eq!(rules.observe(None, &envelope(5), time(0)).len(), 0);
        assert_eq!(rules.active(), 3);
        assert_eq!(rules.observe(Some("b"), &envelope(15), time(1)).len(), 1);
        assert_eq!(rules.observe(Some("a"), &envelope(5), time(1)).len(), 1);
        assert_eq!(rules.active(), 1);
    }

    #[test]
    fn past_the_bound_the_subject_seen_longest_ago_is_forgotten() {
        let mut rules = Rules::new(vec![rule("/data", 0.0, 0)], 2);
        for key in ["a", "b", "a", "c"] {
            rules.observe(Some(key), &envelope(1), time(0));
        }
        assert_eq!((rules.subjects.above.len(), rules.subjects.seen.len()), (2, 2));
        assert_eq!((rules.active(), rules.forgotten()), (2, 1));
        assert_eq!(rules.observe(Some("b"), &envelope(0), time(1)), [""; 0], "b is the one forgotten");
        assert_eq!(rules.observe(Some("a"), &envelope(0), time(1)).len(), 1);
        assert_eq!(rules.observe(Some("c"), &envelope(0), time(1)).len(), 1);
        assert_eq!((rules.active(), rules.subjects.seen.len()), (0, 0));
    }

    #[test]
    fn any_number_of_keys_stays_within_the_bound() {
        let mut rules = Rules::new(vec![rule("/data", 0.0, 5)], limits::ALERT_SUBJECTS);
        for key in 0..limits::ALERT_SUBJECTS + 100 {
            rules.observe(Some(&key.to_string()), &envelope(1), time(0));
        }
        assert_eq!(rules.subjects.above.len(), limits::ALERT_SUBJECTS);
        assert_eq!(rules.subjects.seen.len(), limits::ALERT_SUBJECTS);
        assert_eq!((rules.active(), rules.forgotten()), (0, 100));
    }

    #[test]
    fn a_key_over_its_bound_is_passed_over() {
        let mut rules = Rules::new(vec![rule("/data", 0.0, 0)], 10);
        let key = "k".repeat(limits::ALERT_KEY);
        assert_eq!(rules.observe(Some(&key), &envelope(1), time(0)).len(), 1);
        assert_eq!(rules.observe(Some(&(key + "k")), &envelope(1), time(0)).len(), 0);
    }
}
