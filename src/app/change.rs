//! What one config changes of another, in words.
//!
//! Owns: the names that an operator reads of it, in the log and in the answer to `POST /api/reload`; what is put into use only
//! by a restart. Never: says a value, which may be secret.

use std::collections::{HashMap, HashSet};

use crate::admin::{Changes, Trouble};
use crate::config::{Config, Problem, Severity, Text};
use crate::route;

/// Entries of a config by their names.
type Entries<'a, T> = Vec<(String, &'a T)>;

/// What `now` changes of `before`, but for the listeners.
pub(super) fn of(before: &Config, now: &Config) -> Changes {
    let mut changes = Changes::default();
    let named = |kind: &str, name: &str| format!("{kind} {name}");
    compare(&mut changes, entries(&before.upstreams, &now.upstreams, |one| named("upstream", &one.name)));
    compare(&mut changes, entries(&before.auths, &now.auths, |one| named("auth", &one.name)));
    compare(&mut changes, entries(&before.limit, &now.limit, |one| named("limit", &one.name)));
    compare(&mut changes, entries(&before.feeds, &now.feeds, |one| named("feed", &one.feed.name)));
    compare(&mut changes, entries(&before.routes, &now.routes, |one| named("route", &route_name(one))));
    let token = |config: &Config| config.admin.as_ref().and_then(|admin| admin.token.clone());
    let both_listen = before.admin.is_some() && now.admin.is_some();
    let settings = [
        ("trusted_proxies", before.trusted_proxies != now.trusted_proxies),
        ("[drain]", before.drain != now.drain),
        ("[limits]", before.limits != now.limits),
        ("log.level", before.log.level != now.log.level),
        ("admin.token", both_listen && token(before) != token(now)),
    ];
    let changed = settings.into_iter().filter(|(_, differs)| *differs);
    changes.changed.extend(changed.map(|(name, _)| name.to_owned()));
    changes
}

/// What stays as it is in `before` until a restart, and is therefore taken over into `now`.
pub(super) fn hold_back(before: &Config, now: &mut Config) -> Vec<String> {
    let listen = |config: &Config| config.admin.as_ref().map(|admin| admin.listen);
    let held = [
        ("workers", before.workers != now.workers),
        ("admin.listen", listen(before) != listen(now)),
        ("log.format", before.log.format != now.log.format),
        ("log.access", before.log.access != now.log.access),
    ];
    now.workers = before.workers;
    now.log.format = before.log.format;
    now.log.access = before.log.access;
    match (&before.admin, &mut now.admin) {
        (Some(before), Some(now)) => now.listen = before.listen,
        // It cannot begin or end; what it asks for stays with it.
        (before, now) => now.clone_from(before),
    }
    held.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}

/// Adds what differs between two lists of entries.
pub(super) fn compare<T: PartialEq>(changes: &mut Changes, (before, now): (Entries<'_, T>, Entries<'_, T>)) {
    let known: HashMap<&str, &T> = before.iter().map(|(name, entry)| (name.as_str(), *entry)).collect();
    let kept: HashSet<&str> = now.iter().map(|(name, _)| name.as_str()).collect();
    for (name, entry) in &now {
        match known.get(name.as_str()) {
            None => changes.added.push(name.clone()),
            Some(known) if known != entry => changes.changed.push(name.clone()),
            Some(_) => {}
        }
    }
    changes.removed.extend(before.iter().map(|(name, _)| name).filter(|name| !kept.contains(name.as_str())).cloned());
}

fn entries<'a, T>(before: &'a [T], now: &'a [T], name: impl Fn(&T) -> String) -> (Entries<'a, T>, Entries<'a, T>) {
    let list = |all: &'a [T]| all.iter().map(|one| (name(one), one)).collect();
    (list(before), list(now))
}

fn route_name(route: &route::Options) -> String {
    format!("{}{}", route.host, route.path)
}

/// One line.
pub(super) fn line(changes: &Changes) -> String {
    let parts = [
        ("added", &changes.added),
        ("changed", &changes.changed),
        ("removed", &changes.removed),
        ("used after a restart", &changes.needs_restart),
    ];
    let said: Vec<String> = parts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(verb, names)| format!("{verb}: {}", names.join(", ")))
        .collect();
    if said.is_empty() { "nothing has changed".to_owned() } else { said.join("; ") }
}

/// Those of `problems` that are of this severity, at their places in `text`.
pub(super) fn troubles(problems: &[Problem], text: &Text, severity: Severity) -> Vec<Trouble> {
    let of_kind = problems.iter().filter(|problem| problem.severity == severity);
    of_kind
        .map(|problem| {
            let (line, column) = text.position(problem.span.start);
            Trouble {
                place: Some(format!("{}:{line}:{column}", text.name)),
                what: problem.wrong.what.clone(),
                instead: Some(problem.wrong.instead.clone()),
            }
        })
        .collect()
}

/// As `check` writes it.
pub(super) fn shown(trouble: &Trouble) -> String {
    let Trouble { place, what, instead } = trouble;
    let place = place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    let instead = instead.as_ref().map(|instead| format!("; {instead}")).unwrap_or_default();
    format!("{place}{what}{instead}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Changes, Config, compare, hold_back, line, of};
    use crate::config::{Surroundings, check as read};

    fn config(text: &str) -> Config {
        let surroundings = Surroundings { variable: &|_| None, cpus: std::num::NonZeroUsize::MIN, descriptors: 20_000 };
        let loaded = read("a.toml".to_owned(), text.to_owned(), &surroundings);
        loaded.unwrap_or_else(|refused| panic!("{refused}")).config
    }

    #[track_caller]
    fn check(before: &str, now: &str, expected: &str) {
        let (before, mut now) = (config(before), config(now));
        let held = hold_back(&before, &mut now);
        let changes = crate::admin::Changes { needs_restart: held, ..of(&before, &now) };
        assert_eq!(line(&changes), expected);
    }

    #[test]
    fn a_change_is_told_by_its_names_in_one_line() {
        let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
        let route =
            |path: &str, body: &str| format!("[[route]]\npath = \"{path}\"\nrespond = {{ body = \"{body}\" }}\n");
        let before = format!("{listener}{}{}", route("/a", "1"), route("/b", "1"));
        check(&before, &before, "nothing has changed");
        let now = format!("{listener}{}{}", route("/c", "1"), route("/b", "2"));
        check(&before, &now, "added: route /c; changed: route /b; removed: route /a");
        check(
            &before,
            &format!("{before}[drain]\nspread = \"1s\"\n[log]\nlevel = \"warn\"\n"),
            "changed: [drain], log.level",
        );
        let restart =
            format!("workers = 7\n{before}[admin]\nlisten = \"off\"\n[log]\naccess = false\nformat = \"json\"\n");
        check(&before, &restart, "used after a restart: workers, admin.listen, log.format, log.access");
    }

    #[test]
    fn many_entries_are_compared_in_the_time_that_it_takes_to_look_at_each() {
        const COUNT: usize = 200_000;
        let all = |from: usize| (from..from + COUNT).map(|number| format!("route /{number}")).collect::<Vec<_>>();
        let values = [0, 1];
        let list =
            |names: Vec<String>, at: usize| names.into_iter().map(|name| (name, &values[at])).collect::<Vec<_>>();
        let mut changes = Changes::default();
        let began = Instant::now();
        compare(&mut changes, (list(all(0), 0), list(all(1), 1)));
        // One by one it would be forty thousand million comparisons.
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!((changes.added, changes.removed), (vec![format!("route /{COUNT}")], vec!["route /0".to_owned()]));
        assert_eq!((changes.changed.len(), &*changes.changed[0]), (COUNT - 1, "route /1"));
    }
}
