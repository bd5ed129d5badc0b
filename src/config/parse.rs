//! From a text to the mirror of the file: syntax, variables, and which keys there are.
//!
//! Owns: the order of those, and what a syntax error is told as. Never: judges a value; the mirror's types do.

use serde::Deserialize as _;
use toml::de::{DeTable, Deserializer};

use super::expand::{self, Lookup};
use super::file::{self, ConfigFile};
use super::known;
use super::problem::{Span, Text, Wrong, quoted};
use super::problems::Problems;

/// The file as typed, with whatever of it could be understood. Notes in `text` where secrets stand.
pub(super) fn parse(text: &mut Text, lookup: Lookup<'_>, problems: &mut Problems) -> ConfigFile {
    let (mut table, errors) = DeTable::parse_recoverable(&text.content);
    let (mut lost, mut torn_secrets) = (false, Vec::new());
    for error in errors {
        let end = text.content.len();
        let span = error.span().map_or(end..end, |span| span.start.min(end)..span.end.min(end));
        let (span, wrong) = syntax(&text.content, span, error.message());
        let line = line_of(&text.content, span.start);
        lost |= text.content.get(line.clone()).is_some_and(|line| line.trim_start().starts_with('['));
        let secret = secret_part(&text.content, &line);
        let is_secret = secret.as_ref().is_some_and(|secret| secret.contains(&span.start));
        // What the parser says may repeat the value.
        let wrong =
            if is_secret { Wrong::new("this is not written as TOML has it", "put it in quotes") } else { wrong };
        torn_secrets.extend(secret);
        problems.error(span, wrong);
        problems.tear(line.start..line.end + 1);
    }
    // The keys below a broken header stand in no table, or in another one's: nothing true can be said of them.
    let mut unheard = Problems::default();
    let heard = if lost { &mut unheard } else { &mut *problems };
    text.secrets = known::check(table.get_ref(), &text.content, &file::schema(), heard);
    text.secrets.extend(torn_secrets);
    if lost {
        return ConfigFile::default();
    }
    expand::expand(table.get_mut(), &text.content, lookup, problems);
    match ConfigFile::deserialize(Deserializer::from(table)) {
        Ok(file) => file,
        // No field of the mirror fails, so this is for what no test has found.
        Err(error) => {
            problems.error(error.span().unwrap_or_default(), Wrong::new(error.message(), "correct it"));
            ConfigFile::default()
        }
    }
}

/// The line that a byte is in.
fn line_of(content: &str, byte: usize) -> Span {
    let start = content.get(..byte).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let end = content.get(byte..).and_then(|after| after.find('\n')).map_or(content.len(), |newline| byte + newline);
    start..end
}

/// The part of a line with bad syntax that may be a secret: what a key of such a name is set to.
fn secret_part(content: &str, line: &Span) -> Option<Span> {
    let text = content.get(line.clone())?.to_ascii_lowercase();
    let name = ["token", "secret", "password"].iter().filter_map(|name| text.find(name)).min()?;
    let value = name + text.get(name..)?.find('=')? + 1;
    Some(line.start + value..line.end)
}

/// What the parser says, as what is wrong and what to write, and where.
fn syntax(content: &str, span: Span, message: &str) -> (Span, Wrong) {
    let message = message.lines().next().unwrap_or_default();
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (message, None),
    };
    if what == "string values must be quoted" || SCALARS.contains(&what) {
        let span = scalar_at(content, &span);
        let scalar = content.get(span.clone()).unwrap_or_default();
        let what = format!("{} is neither text in quotes, nor a number, nor true or false", quoted(scalar));
        let instead = if scalar.contains(['"', '\'', '\\']) {
            "put it in quotes".to_owned()
        } else {
            format!("write \"{scalar}\"")
        };
        return (span, Wrong::new(what, instead));
    }
    let wrong = match (what, expected) {
        ("duplicate key", _) => Wrong::new("this key is set already", "keep one of the two"),
        ("invalid basic string" | "invalid literal string", Some("`\"`" | "`'`")) => {
            Wrong::new("this text is never closed", "end it with the quote it starts with")
        }
        ("recursion limit" | "cannot recurse further; max recursion depth met", _) => {
            Wrong::new("a key or a value here has too many levels", "use fewer")
        }
        (what, Some("nothing")) => Wrong::new(what, "remove it"),
        (what, Some(expected)) => Wrong::new(what, format!("write {expected}")),
        (what, None) => Wrong::new(what, "write it as TOML has it (https://toml.io)"),
    };
    (span, wrong)
}

/// What the parser calls a value without quotes that it can't read.
const SCALARS: [&str; 7] = [
    "invalid boolean",
    "invalid integer number",
    "invalid hexadecimal number",
    "invalid octal number",
    "invalid binary number",
    "invalid float",
    "invalid date-time",
];

/// The whole of a value without quotes that something is wrong within.
fn scalar_at(content: &str, span: &Span) -> Span {
    let ends = |c: char| c.is_whitespace() || matches!(c, '=' | ',' | '[' | ']' | '{' | '}' | '#');
    let before = content.get(..span.start).unwrap_or_default();
    let after = content.get(span.start..).unwrap_or_default();
    let start = before.char_indices().rev().take_while(|&(_, c)| !ends(c)).last().map_or(span.start, |(at, _)| at);
    start..span.start + after.find(ends).unwrap_or(after.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, expected: &[(&str, &str)]) {
        let mut text = Text { name: String::new(), content: content.to_owned(), secrets: Vec::new() };
        let mut problems = Problems::default();
        parse(&mut text, &|_| None, &mut problems);
        let problems = problems.into_sorted();
        let told: Vec<(&str, String)> = problems
            .iter()
            .map(|problem| {
                let Wrong { what, instead } = &problem.wrong;
                (content.get(problem.span.clone()).unwrap(), format!("{what}; {instead}"))
            })
            .collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(at, said)| (*at, said.as_str())).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_value_without_quotes_is_told_as_a_whole_and_once() {
        let said = |value: &str| {
            format!("`{value}` is neither text in quotes, nor a number, nor true or false; write \"{value}\"")
        };
        for value in ["text", "127.0.0.1:8080", "1.2.3", "5s", "true1", "a/b"] {
            check(&format!("workers = {value}\n"), &[(value, &said(value))]);
        }
        check("log = { level = info, format = json }", &[("info", &said("info"))]);
    }

    #[test]
    fn each_line_with_bad_syntax_is_told_once() {
        check(
            "workers = \"1\nlog = {\nlevel = 'a'\n}\nworkers 2\n",
            &[
                ("", "this text is never closed; end it with the quote it starts with"),
                ("", "key with no value; write `=`"),
            ],
        );
    }

    #[test]
    fn nothing_is_said_of_the_keys_below_a_broken_header() {
        check("[log\nlevel = 'info'\nlevle = 1\n", &[("", "unclosed table; write `]`")]);
        check(
            "[log]\nlevel = info\nlevle = 1\n",
            &[
                ("info", "`info` is neither text in quotes, nor a number, nor true or false; write \"info\""),
                ("levle", "`levle` is not a key of [log]; write `level`"),
            ],
        );
    }

    #[test]
    fn depth_is_bounded() {
        let told = [("", "a key or a value here has too many levels; use fewer")];
        check(&format!("{}a = 1", "a.".repeat(500_000)), &told);
        for (open, close) in [("[", "]"), ("{ a = ", " }")] {
            let mut problems = Problems::default();
            let content = format!("a = {}{}", open.repeat(100_000), close.repeat(100_000));
            let mut text = Text { name: String::new(), content, secrets: Vec::new() };
            parse(&mut text, &|_| None, &mut problems);
            let first = problems.into_sorted().remove(0);
            assert!(
                first.wrong.what.contains("too many levels") || first.wrong.what.contains("not a key"),
                "{first:?}"
            );
        }
    }
}
