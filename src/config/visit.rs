//! How a value of the config is read from whatever was written.
//!
//! Owns: `read!`, out of which each of the mirror's types makes its `Deserialize`. Never: knows a type.

/// Reads `$type` from what the `visit_*` functions take; anything else is refused, naming `$expected`. The lifetime is
/// that of the text, for bounds and functions to name.
macro_rules! read {
    ([$de:lifetime $(, $param:ident: $bound:path)*] $type:ty, $method:ident, $expected:expr, { $($visit:item)* }) => {
        impl<$de $(, $param: $bound)*> serde::Deserialize<$de> for $type {
            fn deserialize<Source: serde::Deserializer<$de>>(source: Source) -> Result<Self, Source::Error> {
                struct Reader<$($param),*>(std::marker::PhantomData<($($param,)*)>);
                impl<$de $(, $param: $bound)*> serde::de::Visitor<$de> for Reader<$($param),*> {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }
                    $($visit)*
                }
                source.$method(Reader(std::marker::PhantomData))
            }
        }
    };
}

pub(super) use read;
