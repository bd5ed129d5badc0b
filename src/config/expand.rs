//! `"${VAR}"` and `"${VAR:-default}"` in any string of a parsed config.
//!
//! Owns: expansion, and the refusal of dates, which no key takes. Never: asks the process's environment; a lookup is
//! an argument. What can't be expanded is reported and poisoned, so that it is not judged as well.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Span, Wrong, quoted};
use super::problems::Problems;
use crate::limits;

/// How a variable is looked up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every string in `table`, whose spans point into `text`.
pub(super) fn expand(table: &mut DeTable<'_>, text: &str, lookup: Lookup<'_>, problems: &mut Problems) {
    let mut walk = Walk { text, lookup, problems, expanded: 0 };
    walk.table(table);
}

struct Walk<'a> {
    text: &'a str,
    lookup: Lookup<'a>,
    problems: &'a mut Problems,
    /// Bytes that all expansions so far have come to.
    expanded: usize,
}

impl Walk<'_> {
    fn table(&mut self, table: &mut DeTable<'_>) {
        for (_, value) in table.iter_mut() {
            self.value(value);
        }
    }

    fn value(&mut self, value: &mut Spanned<DeValue<'_>>) {
        let span = value.span();
        match value.get_mut() {
            DeValue::String(string) => self.string(string, &span),
            DeValue::Datetime(_) => {
                self.problems.error(span.clone(), Wrong::new("no key takes a date", "put it in quotes"));
                self.problems.poison(&span);
            }
            DeValue::Array(items) => {
                for item in items.iter_mut() {
                    self.value(item);
                }
            }
            DeValue::Table(table) => self.table(table),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {}
        }
    }

    fn string(&mut self, string: &mut Cow<'_, str>, span: &Span) {
        if !string.contains("${") {
            return;
        }
        let (expanded, wrong) = expand_text(string, self.lookup);
        for (reference, wrong) in wrong {
            self.problems.error(self.place(span, &reference), wrong);
            self.problems.poison(span);
        }
        self.expanded = self.expanded.saturating_add(expanded.len());
        if self.expanded > limits::CONFIG_SIZE {
            let what = format!("the variables of this file come to more than {} bytes", limits::CONFIG_SIZE);
            self.problems.error(span.clone(), Wrong::new(what, "use shorter ones"));
            self.problems.poison(span);
        } else {
            *string = Cow::Owned(expanded);
        }
    }

    /// Where `reference` stands within the value at `span`; the value itself if escapes hide it.
    fn place(&self, span: &Span, reference: &str) -> Span {
        let within = self.text.get(span.clone()).and_then(|value| value.find(reference));
        within.map_or_else(|| span.clone(), |at| span.start + at..span.start + at + reference.len())
    }
}

/// `text` with its variables, and what is wrong with which of its references.
pub(super) fn expand_text(text: &str, lookup: Lookup<'_>) -> (String, Vec<(String, Wrong)>) {
    let (mut out, mut wrong) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((inside, remaining)) = after.split_once('}') else {
            let what = Wrong::new("`${` is never closed", "write \"${NAME}\" or \"${NAME:-default}\"");
            wrong.push((format!("${{{after}"), what));
            return (out, wrong);
        };
        rest = remaining;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        match value_of(name, default, lookup) {
            Ok(value) => out.push_str(&value),
            Err(what) => wrong.push((format!("${{{inside}}}"), what)),
        }
    }
    out.push_str(rest);
    (out, wrong)
}

/// As in a shell, an empty variable gives way to the default.
fn value_of(name: &str, default: Option<&str>, lookup: Lookup<'_>) -> Result<String, Wrong> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_name) {
        let what = format!("{} is not the name of a variable", quoted(name));
        return Err(Wrong::new(what, "write \"${NAME}\" or \"${NAME:-default}\""));
    }
    match (lookup(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let instead = format!("set it, or give a default: \"${{{name}:-default}}\"");
            Err(Wrong::new(format!("the environment has no `{name}`"), instead))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let (expanded, wrong) = expand_text(text, &lookup);
        match expected {
            Ok(expected) => assert_eq!((expanded.as_str(), wrong.as_slice()), (expected, [].as_slice())),
            Err(expected) => assert_eq!(wrong.first().map(|(_, wrong)| wrong.what.as_str()), Some(expected)),
        }
    }

    #[test]
    fn variables_and_defaults_are_put_in() {
        check("plain $5 {x}", Ok("plain $5 {x}"));
        check("https://${HOST}:${PORT:-8443}/", Ok("https://example.com:8443/"));
        check("${EMPTY}", Ok(""));
        check("${EMPTY:-full}", Ok("full"));
        check("${NONE:-}", Ok(""));
        check("${NONE:-a:-b}", Ok("a:-b"));
        check("$${HOST}", Ok("$example.com"));
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        check("${NESTED}", Ok("${HOST}"));
    }

    #[test]
    fn what_can_not_be_expanded_is_refused() {
        check("a ${NONE}", Err("the environment has no `NONE`"));
        check("a ${HOST", Err("`${` is never closed"));
        check("${}", Err("`` is not the name of a variable"));
        check("${A B}", Err("`A B` is not the name of a variable"));
        check("${1}", Err("`1` is not the name of a variable"));
    }

    #[test]
    fn expansions_are_bounded_in_all() {
        let text = "a = [\"${BIG}\", \"${BIG}\", \"${BIG}\"]";
        let mut problems = Problems::default();
        let mut table = DeTable::parse(text).unwrap();
        let big = |_: &str| Some("x".repeat(limits::CONFIG_SIZE / 2));
        expand(table.get_mut(), text, &big, &mut problems);
        let places: Vec<usize> = problems.into_sorted().iter().map(|problem| problem.span.start).collect();
        assert_eq!(places, [25]);
    }
}
