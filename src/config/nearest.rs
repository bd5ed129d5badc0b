//! The nearest of several names to one that was mistyped.

use std::cmp::Reverse;

use super::problem::quoted;

/// How many names are listed where none is near.
const SHOWN: usize = 24;

/// The name of `known` that `name` was probably meant to be: at most a third of its letters differ.
#[must_use]
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name_length = name.chars().count();
    known
        .into_iter()
        .filter_map(|candidate| {
            let longer = name_length.max(candidate.chars().count());
            // A name that is far too long can not be near, and is not worth a table.
            if longer > 2 * candidate.chars().count().max(4) {
                return None;
            }
            let distance = distance(name, candidate);
            (distance <= longer.div_ceil(3) && distance < longer).then_some((distance, candidate))
        })
        .min_by_key(|&(distance, candidate)| (distance, Reverse(shared_start(name, candidate))))
        .map(|(_, candidate)| candidate)
}

/// What to write where `name` is not one of `known`: the nearest, or else all of them.
#[must_use]
pub fn write_one_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(nearest) = nearest(name, known.clone()) {
        return format!("write {}", quoted(nearest));
    }
    let all: Vec<String> = known.into_iter().map(quoted).collect();
    match all.as_slice() {
        [] => "remove it".to_owned(),
        [only] => format!("write {only}"),
        [first @ .., _, _] if all.len() > SHOWN => {
            let shown = first.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("write one of {shown}, … ({} in all)", all.len())
        }
        [most @ .., last] => format!("write one of {} or {last}", most.join(", ")),
    }
}

/// How many letters two names start with alike: what is typed first is rarely wrong.
fn shared_start(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

/// Letters to insert, remove, replace or swap with their neighbour to make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (row[j] + usize::from(x != y)).min(row[j + 1] + 1).min(next[j] + 1);
            if j > 0 && previous == Some(y) && b[j - 1] == x {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        previous = Some(x);
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, known: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(name, known.iter().copied()), expected, "{name}");
    }

    #[test]
    fn the_nearest_name_is_found_or_none() {
        check("adress", &["address", "tls"], Some("address"));
        check("Address", &["address", "tls"], Some("address"));
        check("sahpe", &["share", "shape"], Some("shape"));
        check("keep_alive", &["keepalive", "key"], Some("keepalive"));
        check("listeners", &["listener", "limits"], Some("listener"));
        check("foo", &["bar", "baz"], None);
        check("", &["a"], None);
        check("x", &["y"], None);
        check("anything", &[], None);
        check(&"a".repeat(1_000_000), &["aaaa"], None);
    }

    #[test]
    fn distances_count_edits() {
        for (a, b, expected) in [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn without_a_near_one_all_are_named() {
        assert_eq!(write_one_of("q", ["on", "off", "auto"]), "write one of `on`, `off` or `auto`");
        assert_eq!(write_one_of("of", ["on", "off"]), "write `off`");
        let many = write_one_of("q", ["aaa"; 1000]);
        assert!(many.len() < 200 && many.ends_with("`aaa`, … (1000 in all)"), "{many}");
    }
}
