//! `[auth.NAME]`: which tokens are good; their key is in `key`.

use std::time::Duration;

use super::key::{self, Family};
use super::{check_name, cut, duration};
use crate::config::choice::{OneOf, word};
use crate::config::field::{Field, List, Named, Table};
use crate::config::file::AuthFile;
use crate::config::nearest;
use crate::config::problem::{Span, Text, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::values::{Json, Parsed};
use crate::guard::{Algorithm, AuthOptions, Carrier};
use crate::limits;

/// An auth, as far as it could be read.
pub(super) struct Auth {
    pub(super) options: AuthOptions,
    /// Where its name stands.
    pub(super) place: Span,
    /// Where its key is named.
    pub(super) key_place: Span,
    /// Where its `from` has "ticket", if it says so itself.
    pub(super) ticket_place: Option<Span>,
}

impl Auth {
    /// Whether browsers send its tokens by themselves.
    pub(super) fn takes_cookies(&self) -> bool {
        self.options.from.iter().any(|carrier| matches!(carrier, Carrier::Cookie(_)))
    }
}

pub(super) fn auths(file: Field<Named<Table<AuthFile>>>, text: &Text, problems: &mut Problems) -> Vec<Auth> {
    let mut auths = Vec::new();
    let files = file.entries(problems);
    // None is dropped: a route that names the last of too many is right.
    let mut places: Vec<Span> = files.iter().map(|(name, _)| name.span()).collect();
    cut(&mut places, limits::AUTHS, "auths", Span::clone, problems);
    for (name, file) in files {
        let place = name.span();
        check_name("an auth", name.get_ref(), &place, problems);
        let header = file.span().unwrap_or_default();
        // One that is wrong is there all the same: whoever names it is right, and nothing of it is absent.
        if matches!(file, Field::Broken(..)) {
            problems.flaw(&header);
        }
        let file = file.keys(problems);
        auths.push(auth(name.into_inner(), place, &header, file, text, problems));
    }
    auths
}

fn auth(name: String, place: Span, header: &Span, mut file: AuthFile, text: &Text, problems: &mut Problems) -> Auth {
    let ticket_place = ticket_place(&file.from);
    let key = key::key(&name, header, &mut file, text, problems);
    let algorithms = algorithms(file.algorithms, &key, problems);
    let options = AuthOptions {
        name,
        key: key.options,
        algorithms,
        issuer: claim("issuer", file.issuer, problems),
        audience: claim("audience", file.audience, problems),
        leeway: duration(file.leeway, Duration::ZERO..=limits::LEEWAY_MAX, limits::LEEWAY, problems),
        require: require(file.require, problems),
        from: from(file.from, problems),
    };
    Auth { options, place, key_place: key.place, ticket_place }
}

fn ticket_place(from: &Field<List<Parsed<Carrier>>>) -> Option<Span> {
    let Field::Given(_, List(items)) = from else { return None };
    items.iter().find_map(|item| match item {
        Field::Given(span, Parsed(Carrier::Ticket)) => Some(span.clone()),
        Field::Absent | Field::Given(..) | Field::Broken(..) => None,
    })
}

/// Those that are named, or all that fit the key.
fn algorithms(field: Field<List<OneOf<Algorithm>>>, key: &key::Key, problems: &mut Problems) -> Vec<Algorithm> {
    let Some((list, List(items))) = field.read(problems) else { return key.family.algorithms() };
    if items.is_empty() {
        let instead = "name one, or remove it for all that fit the key";
        problems.error(list, Wrong::new("no token could be good: this list is empty", instead));
    }
    let mut algorithms = Vec::new();
    for item in items {
        let Some((span, OneOf(algorithm))) = item.read(problems) else { continue };
        if Family::of(algorithm) != key.family && key.is_known {
            let what = format!(
                "{} is checked with a {}, and this has `{}`",
                quoted(word(algorithm)),
                Family::of(algorithm).key(),
                key.name
            );
            problems.error(span, Wrong::new(what, format!("write {}", key.family.words())));
        } else if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    algorithms
}

/// What a claim must be: not empty.
fn claim(key: &str, field: Field<Parsed<String>>, problems: &mut Problems) -> Option<String> {
    let (span, Parsed(value)) = field.read(problems)?;
    if value.is_empty() {
        problems.error(span, Wrong::new(format!("no token has an empty `{key}`"), "remove it for any"));
    }
    Some(value)
}

fn require(file: Field<Named<Json>>, problems: &mut Problems) -> Vec<(String, serde_json::Value)> {
    let mut entries = file.entries(problems);
    cut(&mut entries, limits::REQUIRED_CLAIMS, "claims", |(name, _)| name.span(), problems);
    let mut claims = Vec::new();
    for (name, value) in entries {
        let Some((span, Json(value))) = value.read(problems) else { continue };
        if value.is_object() {
            let what = "a claim is compared with one value, and this is a table";
            problems.error(span, Wrong::new(what, "write a text, a number, true or false"));
        } else if value.is_array() {
            let what = "a claim is compared with one value, and this is a list";
            problems.error(span, Wrong::new(what, "write the one that the claim must be, or hold"));
        }
        claims.push((name.into_inner(), value));
    }
    claims
}

fn from(field: Field<List<Parsed<Carrier>>>, problems: &mut Problems) -> Vec<Carrier> {
    let Some((list, List(mut items))) = field.read(problems) else {
        return vec![Carrier::Header, Carrier::Subprotocol, Carrier::Query("token".to_owned()), Carrier::Ticket];
    };
    if items.is_empty() {
        problems.error(list, Wrong::new("nobody could show a token: this list is empty", "write [\"header\"]"));
    }
    cut(&mut items, limits::CARRIERS, "places for a token", |item| item.span().unwrap_or_default(), problems);
    let mut carriers = Vec::new();
    for item in items {
        let Some((_, Parsed(carrier))) = item.read(problems) else { continue };
        if !carriers.contains(&carrier) {
            carriers.push(carrier);
        }
    }
    carriers
}

/// The auth that a route names.
pub(super) fn known_auth<'a>(
    field: Field<Parsed<String>>,
    auths: &'a [Auth],
    problems: &mut Problems,
) -> Option<&'a Auth> {
    let (span, Parsed(name)) = field.read(problems)?;
    let found = auths.iter().find(|auth| auth.options.name == name);
    if found.is_none() {
        let instead = match auths {
            [] => "define it: [auth.NAME] with a `secret`".to_owned(),
            [..] => nearest::write_one_of(&name, auths.iter().map(|auth| auth.options.name.as_str())),
        };
        problems.absent(span, Wrong::new(format!("there is no auth {}", quoted(&name)), instead));
    }
    found
}
