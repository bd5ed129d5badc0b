//! Configs as nobody writes them.

use proptest::prelude::*;

use super::{full, outcome};
use crate::config::BUILT_IN;

/// A right config with pieces of configs put in and cut out.
fn mangled() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        "\"",
        "'''",
        "\n",
        ".",
        ",",
        "#",
        "1",
        "-",
        "nan",
        "true",
        "${",
        "}",
        "\\u",
        "é",
        "\u{0}",
        "feed",
        "[feed.a]",
        "[[route]]",
        "[[listener]]",
        "path = \"/\"\n",
        "feed.a = 1\n",
        "1979-05-27",
        "\r",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, pieces), 1..6);
    (prop::sample::select(vec![BUILT_IN.to_owned(), full()]), edits).prop_map(|(mut text, edits)| {
        for (at, cut, piece) in edits {
            let floor = |mut at: usize| {
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let start = floor(at.index(text.len() + 1));
            let end = floor((start + cut).min(text.len()));
            text.replace_range(start..end.max(start), piece);
        }
        text
    })
}

/// Whatever is said is said at a place within the text.
fn holds(text: &str) {
    match outcome(text) {
        Ok(loaded) => drop(loaded.render(&loaded.warnings, true)),
        Err(refused) => {
            assert!(!refused.problems.is_empty());
            for problem in &refused.problems {
                assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len(), "{problem:?}");
            }
            drop(refused.render(true));
        }
    }
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in any::<String>()) {
        holds(&text);
    }

    #[test]
    fn no_mangled_config_is_too_odd(text in mangled()) {
        holds(&text);
    }
}
