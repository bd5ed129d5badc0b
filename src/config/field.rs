//! The containers of the config's mirror: a value that knows its place, or what is wrong with it.
//!
//! Owns: [`Field`], [`Table`], [`List`], [`Named`]. Deserializing a `Field` never fails: a wrong value becomes
//! [`Field::Broken`], so that one bad value hides no other problem.
//! Never: drops a problem; [`Field::read`] is the only way to a value, and reports.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess};
use toml::Spanned;

use super::problem::{Span, Wrong};
use super::problems::Problems;
use super::visit::read;

/// Stands between what is wrong and what to write instead in a message that serde carries; `quoted` text has none.
pub(super) const SEPARATOR: char = '\u{1f}';

/// A value of the config as it was written.
#[derive(Debug, Clone, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Given(Span, T),
    Broken(Span, Wrong),
}

/// A table of known keys. (A derived `Deserialize` alone would take a list too.)
#[derive(Debug, Clone, Default)]
pub(super) struct Table<T>(pub T);

/// A list; each item has its own place and its own problems.
#[derive(Debug, Clone)]
pub(super) struct List<T>(pub Vec<Field<T>>);

/// A table whose keys are the user's own names, in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Named<T>(pub Vec<(Spanned<String>, Field<T>)>);

impl<T> Field<T> {
    /// The value and its place; a wrong one is reported. `None` if it is absent or wrong.
    pub(super) fn read(self, problems: &mut Problems) -> Option<(Span, T)> {
        match self {
            Field::Absent => None,
            // What could not be expanded was reported there.
            Field::Given(span, _) | Field::Broken(span, _) if problems.is_poisoned(&span) => None,
            Field::Given(span, value) => Some((span, value)),
            Field::Broken(span, wrong) => {
                problems.error(span, wrong);
                None
            }
        }
    }

    /// The value alone.
    pub(super) fn value(self, problems: &mut Problems) -> Option<T> {
        self.read(problems).map(|(_, value)| value)
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Field::Absent)
    }

    /// Where it stands, if its value alone is right.
    pub(super) fn right(&self, problems: &Problems) -> Option<Span> {
        match self {
            Field::Given(span, _) if !problems.is_poisoned(span) => Some(span.clone()),
            Field::Absent | Field::Given(..) | Field::Broken(..) => None,
        }
    }

    /// Where it stands, right or wrong.
    pub(super) fn span(&self) -> Option<Span> {
        match self {
            Field::Absent => None,
            Field::Given(span, _) | Field::Broken(span, _) => Some(span.clone()),
        }
    }
}

impl<T: Default> Field<Table<T>> {
    /// The table's keys; none of them where the table is absent or wrong.
    pub(super) fn keys(self, problems: &mut Problems) -> T {
        self.value(problems).map(|table| table.0).unwrap_or_default()
    }
}

impl<T> Field<List<T>> {
    /// The list's items; none where it is absent or wrong.
    pub(super) fn items(self, problems: &mut Problems) -> Vec<Field<T>> {
        self.value(problems).map(|list| list.0).unwrap_or_default()
    }

    /// The list's right items.
    pub(super) fn values(self, problems: &mut Problems) -> Vec<(Span, T)> {
        self.items(problems).into_iter().filter_map(|item| item.read(problems)).collect()
    }
}

impl<T> Field<Named<T>> {
    /// The entries; none where it is absent or wrong.
    pub(super) fn entries(self, problems: &mut Problems) -> Vec<(Spanned<String>, Field<T>)> {
        self.value(problems).map(|named| named.0).unwrap_or_default()
    }
}

/// What a value became, in place of an error that would end everything.
enum Tried<T> {
    Right(T),
    Wrong(Wrong),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tried<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match T::deserialize(deserializer) {
            Ok(value) => Tried::Right(value),
            Err(error) => Tried::Wrong(humane(&error.to_string())),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tried<T>>::deserialize(deserializer)?;
        let span = spanned.span();
        Ok(match spanned.into_inner() {
            Tried::Right(value) => Field::Given(span, value),
            Tried::Wrong(wrong) => Field::Broken(span, wrong),
        })
    }
}

/// serde's message, or ours that serde carried, as what is wrong and what to write.
fn humane(message: &str) -> Wrong {
    let message = message.lines().next().unwrap_or_default();
    if let Some((what, instead)) = message.split_once(SEPARATOR) {
        return Wrong::new(what, instead);
    }
    let described = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match described.and_then(|described| described.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            let found = match found {
                "map" => "a table",
                "sequence" => "a list",
                // The text may be long, or hold what a terminal would act on; the line that is shown has it.
                found if found.starts_with("string") => "text",
                found => found,
            };
            Wrong::new(format!("{found} does not belong here"), format!("write {expected}"))
        }
        None => Wrong::new(message, "correct it"),
    }
}

read!(['de, T: Deserialize<'de>] Table<T>, deserialize_map, "a table, as in { key = \"value\" }", {
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Table)
    }
});

read!(['de, T: Deserialize<'de>] List<T>, deserialize_seq, "a list, as in [ ... ] or [[ ... ]]", {
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }
});

read!(['de, T: Deserialize<'de>] Named<T>, deserialize_map, "a table of names, as in { name = ... }", {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
        let mut entries: Vec<(Spanned<String>, Field<T>)> = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        entries.sort_by_key(|(name, _)| name.span().start);
        Ok(Named(entries))
    }
});

/// Has the schema of what is in it.
macro_rules! transparent {
    ($type:ident) => {
        impl<T: JsonSchema> JsonSchema for $type<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }
            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }
            fn schema_id() -> Cow<'static, str> {
                T::schema_id()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    };
}

transparent!(Field);
transparent!(Table);

impl<T: JsonSchema> JsonSchema for List<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("ListOf{}", T::schema_name()))
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({ "type": "array", "items": items })
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("Named{}", T::schema_name()))
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}
