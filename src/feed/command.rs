//! What a viewer says: `subscribe`, `ping`, `history`, `auth`, as JSON text.
//!
//! Owns: the commands, and for all else an error that says what to write instead. Null or missing members of a
//! command's `data` are not given. Never: repeats more than [`limits::ECHO`] bytes of what was said, nor any of a token.

use super::json::{self, Member};
use super::select::{self, SelectError, Selection, TooManyFieldSets};
use crate::limits;
use crate::secret::Secret;

const TYPES: [&str; 4] = ["subscribe", "ping", "history", "auth"];
const SUBSCRIBE: [&str; 4] = ["fields", "types", "keys", "every"];

/// A viewer's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Replaces the selection that was.
    Subscribe(Selection),
    Ping,
    History {
        last: usize,
    },
    Auth {
        token: Secret,
    },
}

/// Why a message is no command. Both texts are plain, not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// `not_json`, `unknown_type`, `unknown_field`, `bad_value` or `too_many`.
    pub code: &'static str,
    pub message: String,
}

/// # Errors
/// If the text is no JSON object with a known `type`, or its `data` is not that command's.
pub fn parse(text: &str) -> Result<Command, CommandError> {
    let Some(members) = json::members(text) else {
        return Err(error("not_json", "a command is a JSON object, like {\"type\":\"ping\"}"));
    };
    let Some(type_) = last_named(&members, "type").and_then(json::string) else {
        return Err(error("unknown_type", format!("a command has a \"type\": {}", list(&TYPES))));
    };
    match &*type_ {
        "ping" => Ok(Command::Ping),
        "subscribe" => subscribe(&data(&members, &SUBSCRIBE)?),
        "history" => history(&data(&members, &["last"])?),
        "auth" => auth(&data(&members, &["token"])?),
        other => {
            Err(error("unknown_type", format!("no command is called {}{}", quoted(other), instead(other, &TYPES))))
        }
    }
}

fn subscribe(data: &[Member<'_>]) -> Result<Command, CommandError> {
    let every = match given(data, "every") {
        Some(value) => {
            let text = json::string(value).ok_or_else(|| error("bad_value", SelectError::BadEvery.to_string()))?;
            Some(select::every(&text)?)
        }
        None => None,
    };
    Ok(Command::Subscribe(Selection {
        fields: select::field_set(strings(data, "fields")?)?,
        types: select::names("types", strings(data, "types")?)?,
        keys: select::names("keys", strings(data, "keys")?)?,
        every,
    }))
}

fn history(data: &[Member<'_>]) -> Result<Command, CommandError> {
    let value = given(data, "last").unwrap_or_default();
    Ok(Command::History { last: select::last(value)? })
}

fn auth(data: &[Member<'_>]) -> Result<Command, CommandError> {
    let token = given(data, "token").and_then(json::string).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| error("bad_value", "auth needs {\"token\":\"...\"} as its data"))?;
    Ok(Command::Auth { token: Secret::new(token.into_owned()) })
}

/// The members of the command's `data`, all of them among `known`; none if `data` is null or missing.
fn data<'a>(members: &[Member<'a>], known: &[&str]) -> Result<Vec<Member<'a>>, CommandError> {
    if let Some(stray) = known.iter().find(|known| members.iter().any(|member| member.is_named(known))) {
        return Err(error("unknown_field", format!("\"{stray}\" stands inside \"data\"")));
    }
    let Some(value) = given(members, "data") else { return Ok(Vec::new()) };
    let Some(found) = json::members(value) else {
        return Err(error("bad_value", format!("\"data\" is an object with {}, or null", list(known))));
    };
    for member in &found {
        let name = json::string(member.name).unwrap_or_default();
        if !known.contains(&&*name) {
            return Err(error("unknown_field", format!("data has no {}{}", quoted(&name), instead(&name, known))));
        }
    }
    Ok(found)
}

/// A member that is there and not null; the last of its name.
fn given<'a>(members: &[Member<'a>], name: &str) -> Option<&'a str> {
    last_named(members, name).filter(|value| *value != "null")
}

fn last_named<'a>(members: &[Member<'a>], name: &str) -> Option<&'a str> {
    members.iter().rev().find(|member| member.is_named(name)).map(|member| member.value)
}

/// A list of texts, empty if it is not given.
fn strings(data: &[Member<'_>], name: &'static str) -> Result<Vec<Box<str>>, CommandError> {
    let Some(value) = given(data, name) else { return Ok(Vec::new()) };
    let texts = json::elements(value)
        .and_then(|all| all.into_iter().map(|one| json::string(one).map(Box::from)).collect::<Option<_>>());
    texts.ok_or_else(|| error("bad_value", format!("\"{name}\" is a list of texts, like [\"a\",\"b\"]")))
}

fn error(code: &'static str, message: impl Into<String>) -> CommandError {
    CommandError { code, message: message.into() }
}

impl From<SelectError> for CommandError {
    fn from(error: SelectError) -> CommandError {
        let code = match error {
            SelectError::TooMany(_) => "too_many",
            SelectError::TooLong(_) | SelectError::NotUtf8(_) | SelectError::BadEvery | SelectError::BadLast => {
                "bad_value"
            }
        };
        CommandError { code, message: error.to_string() }
    }
}

impl From<TooManyFieldSets> for CommandError {
    fn from(refused: TooManyFieldSets) -> CommandError {
        error("too_many", refused.to_string())
    }
}

/// `, did you mean "x"?` where a known name is near, else `; there is "x", "y"`.
fn instead(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (distance(name, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 2 && distance < known.len() / 2 + 1 => {
            format!(", did you mean \"{known}\"?")
        }
        Some(_) | None => format!("; there is {}", list(known)),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// A viewer's own words in quotes, cut after [`limits::ECHO`] bytes.
fn quoted(text: &str) -> String {
    let cut = text.floor_char_boundary(limits::ECHO);
    let (shown, rest) = text.split_at(cut);
    format!("\"{shown}{}\"", if rest.is_empty() { "" } else { "..." })
}

/// How many letters must be changed, added or taken away to make one word of the other (Levenshtein's). Words longer
/// than [`limits::ECHO`] are near nothing.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > limits::ECHO {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, left) in one.bytes().enumerate() {
        let mut before = place + 1;
        let mut next = vec![before];
        for (above, right) in row.windows(2).zip(other.bytes()) {
            let &[diagonal, above] = above else { continue };
            before = (diagonal + usize::from(left != right)).min(above + 1).min(before + 1);
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Command, CommandError, distance, parse};
    use crate::feed::select::{TooManyFieldSets, from_query};
    use crate::limits;
    use crate::secret::Secret;

    #[track_caller]
    fn check(text: &str, expected: Command) {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    #[track_caller]
    fn check_refused(text: &str, code: &str, message: &str) {
        let error = parse(text).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message), "{text}");
    }

    #[test]
    fn each_command_is_read() {
        check(r#"{"type":"ping"}"#, Command::Ping);
        check(r#" {"type":"p\u0069ng","data":{"any":1},"id":7} "#, Command::Ping);
        check(r#"{"type":"history","data":{"last":30}}"#, Command::History { last: 30 });
        check(r#"{"type":"auth","data":{"token":"a.b"}}"#, Command::Auth { token: Secret::new("a.b".to_owned()) });
        check(r#"{"type":"x","type":"ping"}"#, Command::Ping);
    }

    #[test]
    fn subscribe_says_what_the_url_says() {
        let query = "fields=cpu,memory&types=system_stats&keys=web-1&every=10s";
        let same = from_query(query).unwrap().selection;
        assert_eq!(same.every, Some(Duration::from_secs(10)));
        check(
            r#"{"type":"subscribe","data":{"fields":["memory","cpu"],"types":["system_stats"],"keys":["web-1"],"every":"10s"}}"#,
            Command::Subscribe(same),
        );
    }

    #[test]
    fn what_is_null_or_missing_or_empty_chooses_everything() {
        for text in [
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","data":null}"#,
            r#"{"type":"subscribe","data":{}}"#,
            r#"{"type":"subscribe","data":{"fields":null,"types":null,"keys":null,"every":null}}"#,
            r#"{"type":"subscribe","data":{"fields":[],"types":[""],"keys":[]}}"#,
        ] {
            check(text, Command::Subscribe(crate::feed::select::Selection::default()));
        }
    }

    #[test]
    fn what_is_no_object_is_not_json() {
        for text in ["", "ping", "[]", "\"ping\"", "{", "{\"type\":\"ping\"", "\u{feff}{\"type\":\"ping\"}"] {
            check_refused(text, "not_json", "a command is a JSON object, like {\"type\":\"ping\"}");
        }
    }

    #[test]
    fn an_unknown_type_is_told_the_nearest_or_all() {
        let all = "\"subscribe\", \"ping\", \"history\", \"auth\"";
        for text in ["{}", r#"{"type":1}"#, r#"{"type":"\ud800"}"#] {
            check_refused(text, "unknown_type", &format!("a command has a \"type\": {all}"));
        }
        check_refused(
            r#"{"type":"subscrible"}"#,
            "unknown_type",
            "no command is called \"subscrible\", did you mean \"subscribe\"?",
        );
        check_refused(r#"{"type":"pong"}"#, "unknown_type", "no command is called \"pong\", did you mean \"ping\"?");
        check_refused(
            r#"{"type":"shout"}"#,
            "unknown_type",
            &format!("no command is called \"shout\"; there is {all}"),
        );
    }

    #[test]
    fn an_unknown_member_is_told_the_nearest_or_all() {
        let data = |data: &str| format!("{{\"type\":\"subscribe\",\"data\":{data}}}");
        check_refused(&data(r#"{"field":["a"]}"#), "unknown_field", "data has no \"field\", did you mean \"fields\"?");
        check_refused(
            &data(r#"{"x":1}"#),
            "unknown_field",
            "data has no \"x\"; there is \"fields\", \"types\", \"keys\", \"every\"",
        );
        check_refused(
            r#"{"type":"history","data":{"first":1}}"#,
            "unknown_field",
            "data has no \"first\"; there is \"last\"",
        );
        check_refused(r#"{"type":"subscribe","fields":["a"]}"#, "unknown_field", "\"fields\" stands inside \"data\"");
    }

    #[test]
    fn a_bad_value_is_told_what_to_write() {
        let list = |name: &str| format!("\"{name}\" is a list of texts, like [\"a\",\"b\"]");
        for (data, message) in [
            (r#"{"fields":"cpu"}"#, list("fields")),
            (r#"{"types":[1]}"#, list("types")),
            (r#"{"keys":["\ud800"]}"#, list("keys")),
            (r#"{"every":10}"#, "every is a time from 100ms to 3600s, like 10s or 500ms".to_owned()),
            (r#"{"every":"1d"}"#, "every is a time from 100ms to 3600s, like 10s or 500ms".to_owned()),
            (r#"[]"#, "\"data\" is an object with \"fields\", \"types\", \"keys\", \"every\", or null".to_owned()),
        ] {
            check_refused(&format!("{{\"type\":\"subscribe\",\"data\":{data}}}"), "bad_value", &message);
        }
        for data in ["null", "{}", r#"{"last":-1}"#, r#"{"last":1.5}"#, r#"{"last":"30"}"#, r#"{"last":null}"#] {
            check_refused(
                &format!("{{\"type\":\"history\",\"data\":{data}}}"),
                "bad_value",
                "last is a whole number, like 30",
            );
        }
        for data in ["null", "{}", r#"{"token":""}"#, r#"{"token":1}"#] {
            let text = format!("{{\"type\":\"auth\",\"data\":{data}}}");
            check_refused(&text, "bad_value", "auth needs {\"token\":\"...\"} as its data");
        }
    }

    #[test]
    fn too_many_names_are_refused() {
        let names = vec!["\"a\""; limits::SELECT_NAMES + 1].join(",");
        let text = format!("{{\"type\":\"subscribe\",\"data\":{{\"fields\":[{names}]}}}}");
        check_refused(&text, "too_many", "fields takes at most 64 names");
        assert_eq!(CommandError::from(TooManyFieldSets).code, "too_many");
    }

    #[test]
    fn no_error_repeats_more_than_64_bytes_nor_a_token() {
        let long = "\u{20ac}".repeat(5000);
        for text in [format!("{{\"type\":\"{long}\"}}"), format!("{{\"type\":\"history\",\"data\":{{\"{long}\":1}}}}")]
        {
            let message = parse(&text).unwrap_err().message;
            assert!(message.contains(&"\u{20ac}".repeat(21)) && !message.contains(&"\u{20ac}".repeat(22)), "{message}");
            assert!(message.len() < 200);
        }
        let error = parse(r#"{"type":"auth","data":{"token":["hunter2"]}}"#).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
        assert!(!format!("{:?}", parse(r#"{"type":"auth","data":{"token":"hunter2"}}"#)).contains("hunter2"));
    }

    #[test]
    fn distance_counts_letters() {
        for (one, other, expected) in
            [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("ping", "pong", 1), ("field", "fields", 1), ("abc", "cab", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in proptest::string::string_regex(r#"(\{|\}|\[|\]|,|:|"type"|"data"|"subscribe"|"fields"|"every"|"auth"|null|1|\\u|"){0,30}"#).unwrap()) {
            let _ = parse(&text);
        }
    }
}
