//! Values of the config that may be written in either of two ways.
//!
//! Owns: [`FlagOr`], [`TextOr`]. Never: tries one after the other; what was written says which of the two it is.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::values::{FromText, carried};

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

impl<'de, T: FromText> Deserialize<'de> for FlagOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagOrVisitor<T>(PhantomData<T>);
        impl<T: FromText> Visitor<'_> for FlagOrVisitor<T> {
            type Value = FlagOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(FlagOr::Flag(flag))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::from_text(text).map(FlagOr::Text).map_err(|wrong| carried(&wrong))
            }
        }
        deserializer.deserialize_any(FlagOrVisitor(PhantomData))
    }
}

impl<'de, T: FromText, F: Deserialize<'de>> Deserialize<'de> for TextOr<T, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrVisitor<T, F>(PhantomData<(T, F)>);
        impl<'de, T: FromText, F: Deserialize<'de>> Visitor<'de> for TextOrVisitor<T, F> {
            type Value = TextOr<T, F>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::from_text(text).map(TextOr::Text).map_err(|wrong| carried(&wrong))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                F::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Table)
            }
        }
        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

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
        schema
    }
}
