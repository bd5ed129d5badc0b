//! The keys of the config's language that no code serves yet.
//!
//! Owns: their names. Never: a key that is in the mirror too (a test holds it). They are refused by name, so that a
//! file written for a later version is neither half served nor told that its keys don't exist.

/// A table of the config (its keys joined by dots, `*` for a name of the user's own), and its keys that are not served.
const LATER: &[(&str, &[&str])] = &[
    ("listener.tls", &["acme"]),
    ("feed.*.source", NOT_DIALLED),
    ("feed.*.sources", NOT_DIALLED),
    ("feed.*.fallback", NOT_DIALLED),
];

/// What a source will dial one day.
const NOT_DIALLED: &[&str] = &["nats"];

/// The keys of the table at `path` that a later version serves.
#[must_use]
pub(super) fn keys(path: &str) -> &'static [&'static str] {
    LATER.iter().find(|(table, _)| *table == path).map_or(&[], |(_, keys)| keys)
}

/// All of them: table and key.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    LATER.iter().flat_map(|(table, keys)| keys.iter().map(move |key| (*table, *key)))
}
