//! Every key there is: explained in `config/full.toml` and in the schema, and refused in the same way where it is wrong.

use serde_json::Value;

use super::{SMALLEST, first_lines, full, outcome, served};
use crate::config::{Problem, Wrong, later, schema};

#[test]
fn the_full_config_is_right() {
    assert_eq!(served(&full()).warnings, []);
}

/// Every key of the schema, as a path of names; `*` is a name of the user's own, and lists add nothing.
fn keys_of(schema: &Value, path: &str, out: &mut Vec<String>) {
    if let Some(items) = schema.get("items") {
        keys_of(items, path, out);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        keys_of(values, &format!("{path}.*"), out);
    }
    for (key, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{key}");
        out.push(path.clone());
        keys_of(value, &path, out);
    }
}

/// Every key that a config sets, in the same form.
fn keys_in(value: &toml::Value, schema: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        toml::Value::Array(items) => {
            for item in items {
                keys_in(item, schema.get("items").unwrap_or(&Value::Null), path, out);
            }
        }
        toml::Value::Table(table) => {
            for (key, value) in table {
                if let Some(schema) = schema.get("properties").and_then(|keys| keys.get(key)) {
                    let path = format!("{path}.{key}");
                    out.push(path.clone());
                    keys_in(value, schema, &path, out);
                } else if let Some(schema) = schema.get("additionalProperties").filter(|values| values.is_object()) {
                    keys_in(value, schema, &format!("{path}.*"), out);
                }
            }
        }
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => {}
    }
}

fn all_keys() -> Vec<String> {
    let mut keys = Vec::new();
    keys_of(&schema(), "", &mut keys);
    keys
}

#[test]
fn the_full_config_has_every_key_there_is() {
    // Those that exclude another one stand there as comments.
    let (mut set, schema) = (Vec::new(), schema());
    let value = toml::from_str(&full().replace("#= ", "")).unwrap();
    keys_in(&toml::Value::Table(value), &schema, "", &mut set);
    // A source is the same thing in any of three places, and is explained once.
    let one = |key: &str| key.replace(".sources.", ".source.").replace(".fallback.", ".source.");
    let set: Vec<String> = set.iter().map(|key| one(key)).collect();
    let missing: Vec<String> = all_keys().into_iter().filter(|key| !set.contains(&one(key))).collect();
    assert_eq!(missing, [""; 0], "config/full.toml does not explain these keys");
}

#[test]
fn the_schema_explains_every_key_and_names_its_draft() {
    fn undescribed(schema: &Value, out: &mut Vec<String>) {
        for (key, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if value.get("description").is_none() && key != "equals" {
                out.push(key.clone());
            }
            undescribed(value, out);
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(schema) = schema.get(inner) {
                undescribed(schema, out);
            }
        }
    }
    let (schema, mut missing) = (schema(), Vec::new());
    undescribed(&schema, &mut missing);
    assert_eq!(missing, [""; 0]);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["log"]["properties"]["format"]["enum"], serde_json::json!(["text", "json"]));
    assert_eq!(schema["additionalProperties"], false);
}

/// A config in which only the key at `path` is set, to `value`.
fn config_with(path: &str, value: &str) -> String {
    let (mut text, mut closing, mut schema) = (String::new(), String::new(), &schema());
    for part in path.trim_start_matches('.').split('.') {
        if part == "*" {
            schema = &schema["additionalProperties"];
            text.push_str("name");
        } else {
            schema = &schema["properties"][part];
            text.push_str(part);
        }
        text.push_str(" = ");
        let is_list = schema.get("items").is_some();
        schema = schema.get("items").unwrap_or(schema);
        text.push_str(if is_list { "[{ " } else { "{ " });
        closing.insert_str(0, if is_list { " }]" } else { " }" });
    }
    // The last pair of brackets was for a table, and there is a value in its place.
    let text = text.trim_end_matches(['[', '{', ' ']);
    let closing = closing.strip_prefix(" }]").or(closing.strip_prefix(" }")).unwrap();
    format!("{text} {value}{closing}")
}

#[test]
fn a_wrong_type_is_told_of_every_key_at_its_place() {
    for key in all_keys() {
        // What fits nowhere, but where anything does.
        let wrong = if key.ends_with(".equals") { "nan" } else { "-1.5" };
        if key.ends_with(".above") {
            continue;
        }
        let text = config_with(&key, wrong);
        let refused = outcome(&text).expect_err(&text);
        let at = text.find(wrong).unwrap();
        let found: Vec<&Problem> =
            refused.problems.iter().filter(|problem| problem.span == (at..at + wrong.len())).collect();
        assert_eq!(found.len(), 1, "{text}\n{refused}");
    }
}

#[test]
fn an_unset_variable_is_told_once_of_every_key() {
    for key in all_keys() {
        let text = config_with(&key, "\"${NONE}\"");
        let refused = outcome(&text).expect_err(&text);
        let at = text.find("${").unwrap();
        let found = refused.problems.iter().filter(|problem| problem.span.start.abs_diff(at) < 2).count();
        assert_eq!(found, 1, "{text}\n{refused}");
    }
}

#[test]
fn a_key_that_is_not_served_yet_is_refused_by_name() {
    for (table, key) in later::all() {
        let path = if table.is_empty() { format!(".{key}") } else { format!(".{table}.{key}") };
        // The key itself is not in the schema, so its parents alone are walked, and it is put in last.
        let text = match path.rsplit_once('.') {
            Some(("", key)) => format!("{key} = {{}}"),
            Some((parent, key)) => {
                let list = matches!(parent, ".listener" | ".route" | ".feed.*.sources");
                let inner = format!("{{ {key} = {{}} }}");
                config_with(parent, &if list { format!("[{inner}]") } else { inner })
            }
            None => unreachable!(),
        };
        let refused = outcome(&text).expect_err(&text);
        let at = text.find(&format!("{key} = {{}}")).unwrap();
        let expected = Problem::error(
            at..at + key.len(),
            Wrong::new(format!("`{key}` is not served by this version yet"), "remove it"),
        );
        assert!(refused.problems.contains(&expected), "{text}\n{refused}");
    }
}

#[test]
fn a_refused_key_is_not_also_called_absent() {
    let text = format!("{SMALLEST}[feed.a]\nsource = {{ nats = \"app\" }}\n");
    assert_eq!(first_lines(&text), ["steadfeed.toml:7:12: `nats` is not served by this version yet; remove it"]);
}
