//! Sources that are dialled: where, and with which headers.

use http::header::{HOST, HeaderName, HeaderValue};

use super::around::{not_theirs, stands_twice};
use super::cut;
use super::upstream::plain;
use crate::config::dials::Dial;
use crate::config::field::{Field, Named};
use crate::config::file::SourceFile;
use crate::config::problem::Wrong;
use crate::config::problems::Problems;
use crate::config::texts::HeaderText;
use crate::config::values::{FromText as _, Parsed};
use crate::limits;
use crate::message::rules::is_ours;
use crate::source::DialOptions;

/// How many of the kinds that dial are given.
pub(super) fn is_given(file: &SourceFile) -> usize {
    let absent = [file.websocket.is_absent(), file.poll.is_absent(), file.sse.is_absent()];
    absent.iter().filter(|absent| !**absent).count()
}

/// Reports the keys that are of no use to this kind of source.
pub(super) fn check_fit(file: &SourceFile, is_dialled: bool, problems: &mut Problems) {
    if let Some(span) = file.every.right(problems).filter(|_| file.poll.is_absent()) {
        let instead = if file.stats.is_absent() { "remove it" } else { "write it into `stats`: { every = \"2s\" }" };
        problems.error(span, Wrong::new("`every` is for sources with `poll`", instead));
    }
    if let Some(span) = file.headers.right(problems).filter(|_| !is_dialled) {
        let what = "`headers` is for sources with `websocket`, `poll` or `sse`";
        problems.error(span, Wrong::new(what, "remove it"));
    }
}

/// No `[upstream.NAME]` has a name like this one's, which is the URL less its query.
pub(super) fn options(dial: Dial, headers: Vec<(HeaderName, HeaderValue)>) -> DialOptions {
    let Dial { server, authority, target, url } = dial;
    DialOptions { upstream: plain(url.clone(), vec![server]), path: target, authority, url, headers }
}

/// `headers`, all taken for secret. One without a value is not sent, so that a variable may leave it out.
pub(super) fn headers(
    file: Field<Named<Parsed<HeaderText>>>,
    problems: &mut Problems,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut entries = file.entries(problems);
    cut(&mut entries, limits::HEADER_RULES, "headers", |(name, _)| name.span(), problems);
    let mut headers: Vec<(HeaderName, Option<HeaderValue>)> = Vec::new();
    for (written, value) in entries {
        let value = value.value(problems).map(|Parsed(HeaderText(value))| value);
        let wrong = match HeaderName::from_text(written.get_ref()) {
            Err(wrong) => Some(wrong),
            Ok(HOST) => Some(Wrong::new("`Host` is that of the URL", "write the host there, and remove this")),
            Ok(name) if is_ours(&name) || name.as_str().starts_with("sec-websocket-") => {
                Some(not_theirs(written.get_ref()))
            }
            Ok(name) if headers.iter().any(|(known, _)| *known == name) => Some(stands_twice(written.get_ref())),
            Ok(name) => {
                headers.push((name, value));
                None
            }
        };
        if let Some(wrong) = wrong {
            problems.error(written.span(), wrong);
        }
    }
    let sent = headers.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    sent.map(|(name, mut value)| {
        value.set_sensitive(true);
        (name, value)
    })
    .collect()
}
