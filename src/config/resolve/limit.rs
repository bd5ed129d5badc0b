//! `[limit.NAME]`: how often and how much.

use std::num::NonZeroU32;

use super::{check_name, cut, size, whole};
use crate::config::field::{Field, Named, Table};
use crate::config::file::LimitFile;
use crate::config::nearest;
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::values::{Parsed, Whole};
use crate::guard::LimitOptions;
use crate::limits;

/// A limit, as far as it could be read.
pub(super) struct Limit {
    pub(super) options: LimitOptions,
    /// Where its name stands.
    pub(super) place: Span,
    /// Its keys that are not for every route, and where their values stand.
    pub(super) keys: Vec<(&'static str, Of, Span)>,
}

/// What a key is a bound on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Sockets,
    /// Sockets of one token's subject.
    Subjects,
    /// What is said on a socket.
    Messages,
}

pub(super) fn limits(file: Field<Named<Table<LimitFile>>>, problems: &mut Problems) -> Vec<Limit> {
    let mut limits = Vec::new();
    let files = file.entries(problems);
    // None is dropped: a route that names the last of too many is right.
    let mut places: Vec<Span> = files.iter().map(|(name, _)| name.span()).collect();
    cut(&mut places, limits::LIMITS, "limits", Span::clone, problems);
    for (name, file) in files {
        let place = name.span();
        check_name("a limit", name.get_ref(), &place, problems);
        let file = file.keys(problems);
        let keys = keys(&file);
        limits.push(Limit { options: options(name.into_inner(), file, problems), place, keys });
    }
    limits
}

fn keys(file: &LimitFile) -> Vec<(&'static str, Of, Span)> {
    let given = [
        ("upgrades", Of::Sockets, file.upgrades.span()),
        ("connections_per_client", Of::Sockets, file.connections_per_client.span()),
        ("connections_per_subject", Of::Subjects, file.connections_per_subject.span()),
        ("connections", Of::Sockets, file.connections.span()),
        ("messages", Of::Messages, file.messages.span()),
        ("message_size", Of::Messages, file.message_size.span()),
    ];
    given.into_iter().filter_map(|(key, of, span)| Some((key, of, span?))).collect()
}

fn options(name: String, file: LimitFile, problems: &mut Problems) -> LimitOptions {
    if let Some(span) = file.burst.right(problems).filter(|_| file.upgrades.is_absent() && file.requests.is_absent()) {
        let what = "`burst` changes nothing: there is no rate beside it";
        problems.warning(span, Wrong::new(what, "add `upgrades` or `requests`, or remove it"));
    }
    let most = limits::DESCRIPTORS_MAX;
    LimitOptions {
        name,
        upgrades: file.upgrades.value(problems).map(|Parsed(rate)| rate),
        burst: count(file.burst, usize::try_from(limits::RATE_MAX).unwrap_or(usize::MAX), problems),
        requests: file.requests.value(problems).map(|Parsed(rate)| rate),
        connections_per_client: count(file.connections_per_client, most, problems),
        connections_per_subject: count(file.connections_per_subject, most, problems),
        connections: count(file.connections, most, problems),
        messages: file.messages.value(problems).map(|Parsed(rate)| rate),
        message_size: size(file.message_size, 1..=limits::MESSAGE_SIZE_MAX, limits::MESSAGE_SIZE, problems),
    }
}

/// A bound, `None` where none is set.
fn count(field: Field<Whole>, most: usize, problems: &mut Problems) -> Option<NonZeroU32> {
    if field.is_absent() {
        return None;
    }
    NonZeroU32::new(u32::try_from(whole(field, 1..=most, 1, problems)).unwrap_or(u32::MAX))
}

/// The limit that a route names.
pub(super) fn known_limit(field: Field<Parsed<String>>, limits: &[Limit], problems: &mut Problems) -> Option<String> {
    let (span, Parsed(name)) = field.read(problems)?;
    let names = limits.iter().map(|limit| limit.options.name.as_str());
    if !names.clone().any(|known| known == name) {
        let instead = match limits {
            [] => "define it: [limit.NAME], as in upgrades = \"30/min\"".to_owned(),
            [..] => nearest::write_one_of(&name, names),
        };
        problems.absent(span, Wrong::new(format!("there is no limit {}", quoted(&name)), instead));
    }
    Some(name)
}
