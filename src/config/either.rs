//! Values of the config that may be written in either of two ways.
//!
//! Owns: [`FlagOr`], [`TextOr`]. Never: tries one after the other; what was written says which of the two it is.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, MapAccess};

use super::values::{FromText, carried};
use super::visit::read;

/// `true` or `false`, or a text that is read as `T`.
#[derive(Debug, Clone)]
pub(super) enum FlagOr<T> {
    Flag(bool),
    Text(T),
}

/// A text that is read as `T`, or a table of known keys.
#[derive(Debug, Clone)]
pub(super) enum TextOr<T, F> {
    Text(T),
    Table(F),
}

read!(['de, T: FromText] FlagOr<T>, deserialize_any, T::EXPECTED, {
    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<FlagOr<T>, E> {
        Ok(FlagOr::Flag(flag))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<FlagOr<T>, E> {
        T::from_text(text).map(FlagOr::Text).map_err(|wrong| carried(&wrong))
    }
});

read!(['de, T: FromText, F: Deserialize<'de>] TextOr<T, F>, deserialize_any, T::EXPECTED, {
    fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<T, F>, E> {
        T::from_text(text).map(TextOr::Text).map_err(|wrong| carried(&wrong))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T, F>, A::Error> {
        F::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Table)
    }
});

impl<T: FromText> JsonSchema for FlagOr<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("FlagOr{}", T::EXPECTED))
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"], "examples": T::EXAMPLES })
    }
}

impl<T: FromText, F: JsonSchema> JsonSchema for TextOr<T, F> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("{}Or{}", T::EXPECTED, F::schema_name()))
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // The keys stand where those of any table do, so that they are walked like them.
        let mut schema = F::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["string", "object"]));
        if T::IS_URL {
            schema.insert("format".to_owned(), "uri".into());
        }
        schema
    }
}
