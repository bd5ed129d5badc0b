//! From a text to the mirror of the file: syntax, variables, and which keys there are.
//!
//! Owns: the order of those, and what a syntax error is told as. Never: judges a value; the mirror's types do.

use serde::Deserialize as _;
use toml::de::{DeTable, Deserializer};

use super::expand::{self, Lookup};
use super::file::{self, ConfigFile};
use super::known;
use super::problem::{Span, Text, Wrong};
use super::problems::Problems;
use crate::limits;

/// The file as typed, with whatever of it could be understood. Notes in `text` where secrets stand.
pub(super) fn parse(text: &mut Text, lookup: Lookup<'_>, problems: &mut Problems) -> ConfigFile {
    if let Some(span) = too_deep(&text.content) {
        let what = format!("this line has more than {} dots", limits::CONFIG_LINE_DOTS);
        problems.error(span, Wrong::new(what, "break it into several lines"));
        problems.tear();
        return ConfigFile::default();
    }
    let (mut table, errors) = DeTable::parse_recoverable(&text.content);
    let end = text.content.len();
    for error in errors {
        let span = error.span().map_or(end..end, |span| span.start.min(end)..span.end.min(end));
        problems.error(span, syntax(error.message()));
        problems.tear();
    }
    text.secrets = known::check(table.get_ref(), &file::schema(), problems);
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

/// The first line that might hold a key of too many parts.
fn too_deep(content: &str) -> Option<Span> {
    let mut start = 0;
    for line in content.split_inclusive('\n') {
        if line.bytes().filter(|&byte| byte == b'.').count() > limits::CONFIG_LINE_DOTS {
            return Some(start..start + 1);
        }
        start += line.len();
    }
    None
}

/// What the parser says, as what is wrong and what to write.
fn syntax(message: &str) -> Wrong {
    let message = message.lines().next().unwrap_or_default();
    if message == "duplicate key" {
        return Wrong::new("this key is set already", "keep one of the two");
    }
    match message.split_once(", expected ") {
        Some((what, "nothing")) => Wrong::new(what, "remove it"),
        Some((what, expected)) => Wrong::new(what, format!("write {expected}")),
        None => Wrong::new(message, "write it as TOML has it (https://toml.io)"),
    }
}
