//! Which keys there are: a walk over a parsed config beside the JSON Schema of its mirror.
//!
//! Owns: keys that are unknown (the nearest is named) or not served yet (refused by name), and where secrets stand.
//! Never: looks at values; the mirror's types do.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Span, Wrong, quoted};
use super::problems::Problems;
use super::{later, nearest};

/// Reports every key of `table`, whose spans point into `text`, that `schema` doesn't have. Gives the places of secrets.
pub(super) fn check(table: &DeTable<'_>, text: &str, schema: &Value, problems: &mut Problems) -> Vec<Span> {
    let mut walk = Walk { text, problems, secrets: Vec::new() };
    walk.table(table, &(0..0), schema, "");
    walk.secrets
}

struct Walk<'a> {
    text: &'a str,
    problems: &'a mut Problems,
    secrets: Vec<Span>,
}

impl Walk<'_> {
    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &Value, path: &str) {
        let is_secret = |schema: &Value| schema.get("writeOnly").is_some();
        // Secrets by name, written as something else than a table of them.
        let holds_secrets = schema.get("additionalProperties").is_some_and(is_secret) && !value.get_ref().is_table();
        if is_secret(schema) || holds_secrets {
            self.secrets.push(value.span());
        }
        if schema.get("format").is_some_and(|format| format == "uri") {
            self.secrets.extend(hidden_of_url(self.text, value.span()));
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, &value.span(), schema, path),
            DeValue::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    for item in items.iter() {
                        self.value(item, schema, path);
                    }
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }

    fn table(&mut self, table: &DeTable<'_>, span: &Span, schema: &Value, path: &str) {
        if let Some(known) = schema.get("properties").and_then(Value::as_object) {
            for (key, value) in table {
                match known.get(key.get_ref().as_ref()) {
                    Some(schema) => self.value(value, schema, &joined(path, key.get_ref())),
                    None => {
                        if may_be_secret(key.get_ref()) {
                            self.secrets.push(value.span());
                        }
                        self.unknown(key, span, known, path);
                    }
                }
            }
        } else if let Some(schema) = schema.get("additionalProperties") {
            for (_, value) in table {
                self.value(value, schema, &joined(path, "*"));
            }
        }
    }

    fn unknown(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        table: &Span,
        known: &Map<String, Value>,
        path: &str,
    ) {
        let name: &str = key.get_ref();
        let later = later::keys(path);
        let wrong = if later.contains(&name) {
            Wrong::new(format!("`{name}` is not served by this version yet"), "remove it")
        } else {
            let what = format!("{} is not a key of {}", quoted(name), shown(path));
            let names = known.keys().map(String::as_str);
            let near = nearest::nearest(name, names.clone().chain(later.iter().copied()));
            match near {
                Some(near) if later.contains(&near) => {
                    Wrong::new(what, format!("remove it ({} is not served by this version yet)", quoted(near)))
                }
                _ => Wrong::new(what, nearest::write_one_of(name, names)),
            }
        };
        self.problems.error(key.span(), wrong);
        self.problems.flaw(table);
    }
}

/// Whether a key of no table is probably that of a secret, misspelt.
fn may_be_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["token", "secret", "password"].into_iter().any(|word| key.contains(word))
        || nearest::nearest(&key, ["token", "secret", "password"]).is_some()
}

/// The parts of a URL that may be secret: the user's name and password, and the query.
fn hidden_of_url(text: &str, span: Span) -> Vec<Span> {
    let Some(url) = text.get(span.clone()).filter(|url| url.starts_with(['"', '\''])) else { return Vec::new() };
    let quotes = url.len() - url.trim_start_matches(['"', '\'']).len();
    let end = url.trim_end_matches(['"', '\'']).len().max(quotes);
    let start = url.find("://").map_or(quotes, |at| at + 3);
    let authority = url.get(start..end).unwrap_or_default();
    let user = authority.split(['/', '?', '#']).next().and_then(|authority| authority.rfind('@'));
    let query = url.find('?').map(|at| at + 1);
    let parts = [user.map(|at| start..start + at), query.map(|at| at..end.max(at))];
    parts.into_iter().flatten().map(|part| span.start + part.start..span.start + part.end).collect()
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A table's path as it is written in a file.
fn shown(path: &str) -> String {
    match path {
        "" => "the top level".to_owned(),
        "listener" | "route" => format!("[[{path}]]"),
        path => format!("[{}]", path.replace(".*", ".NAME")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;

    /// Whether the mirror has `key` in the table at `path`.
    fn served(path: &str, key: &str) -> Option<bool> {
        let mut schema = &file::schema();
        for part in path.split('.').filter(|part| !part.is_empty()) {
            schema =
                if part == "*" { schema.get("additionalProperties") } else { schema.get("properties")?.get(part) }?;
            schema = schema.get("items").unwrap_or(schema);
        }
        Some(schema.get("properties")?.get(key).is_some())
    }

    #[track_caller]
    fn hides(url: &str, expected: &[&str]) {
        let text = format!("a = {url} # ?");
        let spans = hidden_of_url(&text, 4..4 + url.len());
        let parts: Vec<&str> = spans.into_iter().map(|span| text.get(span).unwrap()).collect();
        assert_eq!(parts, expected, "{url}");
    }

    #[test]
    fn of_a_url_the_user_and_the_query_are_hidden() {
        hides("\"ws://app/ws\"", &[]);
        hides("\"ws://app/ws?token=x\"", &["token=x"]);
        hides("'ws://me:word@app/a@b?c@d'", &["me:word", "c@d"]);
        hides("\"me:word@app\"", &["me:word"]);
        hides("\"\"\"http://a?b\"\"\"", &["b"]);
        hides("\"?\"", &[""]);
        hides("\"\"", &[]);
        hides("1", &[]);
    }

    #[test]
    fn no_key_is_both_served_and_promised() {
        for (path, key) in later::all() {
            assert_eq!(served(path, key), Some(false), "{path}: {key}");
        }
    }
}
