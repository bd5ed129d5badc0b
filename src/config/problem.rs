//! What is wrong with a config, where, and what to write instead.
//!
//! Owns: [`Problem`], [`Text`] (the text that problems point into) and how both are shown.
//! Never: shows a secret; the places of secrets are starred out of the lines that are shown.

use std::fmt::Write as _;
use std::ops::Range;

use crate::limits;

/// Bytes of the config's text.
pub type Span = Range<usize>;

/// The longest part of a line that is shown, in characters.
const SHOWN_LINE: usize = 160;
/// How much of a longer line is shown before the problem.
const SHOWN_BEFORE: usize = 60;
/// How much of a value is repeated in a message, in characters.
const SHOWN_VALUE: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The config is refused.
    Error,
    /// The config is served all the same.
    Warning,
}

/// One thing that is wrong, and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub span: Span,
    pub severity: Severity,
    pub wrong: Wrong,
}

/// What is wrong with a value, wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub what: String,
    /// What to write instead, in the imperative.
    pub instead: String,
}

/// A config's text and the name it is shown under.
#[derive(Debug, Clone, Default)]
pub struct Text {
    pub name: String,
    pub content: String,
    /// Where secrets stand in it.
    pub secrets: Vec<Span>,
}

impl Wrong {
    pub fn new(what: impl Into<String>, instead: impl Into<String>) -> Wrong {
        Wrong { what: what.into(), instead: instead.into() }
    }
}

impl Problem {
    #[must_use]
    pub fn error(span: Span, wrong: Wrong) -> Problem {
        Problem { span, severity: Severity::Error, wrong }
    }

    #[must_use]
    pub fn warning(span: Span, wrong: Wrong) -> Problem {
        Problem { span, severity: Severity::Warning, wrong }
    }
}

/// `text` in backticks: shortened, and with nothing in it that a terminal would act on.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN_VALUE) {
        match c {
            '`' => shown.push('\''),
            c if hidden(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if text.chars().nth(SHOWN_VALUE).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

impl Text {
    /// Line and column of a byte, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.content.get(..byte).unwrap_or(&self.content);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// All `problems`, as `check` prints them: for each a line `file:line:column: what is wrong; what to write
    /// instead`, the config's line, and a mark under the place.
    #[must_use]
    pub fn render(&self, problems: &[Problem], colour: bool) -> String {
        let mut out = String::new();
        for problem in problems.iter().take(limits::CONFIG_PROBLEMS) {
            self.render_one(&mut out, problem, colour);
        }
        if let Some(more @ 1..) = problems.len().checked_sub(limits::CONFIG_PROBLEMS) {
            let _infallible = writeln!(out, "{}: and {more} more like these", self.name);
        }
        out
    }

    fn render_one(&self, out: &mut String, problem: &Problem, colour: bool) {
        let (line, column) = self.position(problem.span.start);
        let (bold, mark, off) = match (colour, problem.severity) {
            (false, _) => ("", "", ""),
            (true, Severity::Error) => ("\x1b[1m", "\x1b[1;31m", "\x1b[0m"),
            (true, Severity::Warning) => ("\x1b[1m", "\x1b[1;33m", "\x1b[0m"),
        };
        let kind = match problem.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        let Wrong { what, instead } = &problem.wrong;
        // What is suggested may repeat what was written.
        let instead = instead.replace(hidden, "\u{fffd}");
        let _infallible = writeln!(out, "{bold}{}:{line}:{column}: {kind}{what}; {instead}{off}", self.name);
        let Some((shown, underline)) = self.excerpt(&problem.span) else { return };
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let _infallible = writeln!(out, "{gutter} |");
        let _infallible = writeln!(out, "{number} | {shown}");
        let _infallible = writeln!(out, "{gutter} | {mark}{underline}{off}");
    }

    /// The line `span` starts in and the marks under it, or nothing where there is no text at all.
    fn excerpt(&self, span: &Span) -> Option<(String, String)> {
        if self.content.is_empty() {
            return None;
        }
        let start = span.start.min(self.content.len());
        let line_start = self.content.get(..start)?.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.content.get(line_start..)?.lines().next().unwrap_or_default();
        let column = self.content.get(line_start..start)?.chars().count();
        let skipped = if line.chars().nth(SHOWN_LINE).is_some() { column.saturating_sub(SHOWN_BEFORE) } else { 0 };
        let (mut shown, mut underline) = (String::new(), String::new());
        if skipped > 0 {
            shown.push('…');
            underline.push(' ');
        }
        for (offset, c) in line.char_indices().skip(skipped).take(SHOWN_LINE) {
            let byte = line_start + offset;
            let (drawn, width) = self.drawn(byte, c);
            shown.push_str(&drawn);
            let marked = byte >= start && (byte < span.end || byte == start);
            underline.extend(std::iter::repeat_n(if marked { '^' } else { ' ' }, width));
        }
        if !underline.contains('^') {
            underline.push('^');
        }
        Some((shown, underline.trim_end().to_owned()))
    }

    /// A character of the config as shown, and how many columns that takes.
    fn drawn(&self, byte: usize, c: char) -> (String, usize) {
        if self.secrets.iter().any(|secret| secret.contains(&byte)) {
            return ("*".to_owned(), 1);
        }
        match c {
            '\t' => ("    ".to_owned(), 4),
            c if hidden(c) => ("\u{fffd}".to_owned(), 1),
            c => (c.to_string(), 1),
        }
    }
}

/// Characters that a terminal acts on, or that change the direction of what follows.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str) -> Text {
        Text { name: "a.toml".to_owned(), content: content.to_owned(), secrets: Vec::new() }
    }

    #[track_caller]
    fn check(text: &Text, span: Span, expected: &str) {
        let problem = Problem::error(span, Wrong::new("x is wrong", "write y"));
        assert_eq!(text.render(&[problem], false), expected);
    }

    #[test]
    fn a_problem_is_shown_with_its_line_and_a_mark() {
        let text = text("first = 1\nsecond = \"x\"\n");
        check(&text, 19..22, "a.toml:2:10: x is wrong; write y\n  |\n2 | second = \"x\"\n  |          ^^^\n");
    }

    #[test]
    fn a_mark_stays_within_its_line_and_counts_characters() {
        let text = text("é = [\n1,\n]");
        check(&text, 5..10, "a.toml:1:5: x is wrong; write y\n  |\n1 | é = [\n  |     ^\n");
    }

    #[test]
    fn the_end_of_the_text_can_be_pointed_at() {
        check(&text("a ="), 3..3, "a.toml:1:4: x is wrong; write y\n  |\n1 | a =\n  |    ^\n");
        check(&text("a\n"), 2..2, "a.toml:2:1: x is wrong; write y\n  |\n2 | \n  | ^\n");
        check(&text(""), 0..0, "a.toml:1:1: x is wrong; write y\n");
        check(&text("a"), 70..80, "a.toml:1:2: x is wrong; write y\n  |\n1 | a\n  |  ^\n");
    }

    #[test]
    fn secrets_and_control_characters_are_not_shown() {
        let mut text = text("t = \"hunter2\"\t\u{1b}[31m");
        text.secrets.push(4..13);
        check(&text, 0..1, "a.toml:1:1: x is wrong; write y\n  |\n1 | t = *********    \u{fffd}[31m\n  | ^\n");
    }

    #[test]
    fn a_long_line_is_shown_around_the_problem() {
        let text = text(&format!("{}bad{}", "x".repeat(5000), "y".repeat(5000)));
        let shown = text.render(&[Problem::error(5000..5003, Wrong::new("a", "b"))], false);
        assert!(shown.contains("a.toml:1:5001:") && shown.contains("xbad") && shown.contains(" ^^^\n"), "{shown}");
        assert!(shown.len() < 500, "{shown}");
    }

    #[test]
    fn problems_past_the_limit_are_counted() {
        let problems = vec![Problem::warning(0..1, Wrong::new("a", "b")); limits::CONFIG_PROBLEMS + 7];
        let shown = text("a").render(&problems, false);
        assert_eq!(shown.matches("warning: a; b").count(), limits::CONFIG_PROBLEMS);
        assert!(shown.ends_with("a.toml: and 7 more like these\n"), "{shown}");
    }

    #[test]
    fn quoting_shortens_and_escapes() {
        assert_eq!(quoted("a`b\u{7}"), "`a'b\\u{7}`");
        assert_eq!(quoted(&"é".repeat(80)), format!("`{}…`", "é".repeat(60)));
    }
}
