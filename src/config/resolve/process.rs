//! What concerns the whole process: `[log]`, `[admin]`, `[drain]`, `[limits]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;

use super::{ANY, POSITIVE, cut, duration, size, whole};
use crate::admin;
use crate::bounded;
use crate::config::field::{Field, List, Table};
use crate::config::file::{AdminFile, DrainFile, LimitsFile, LogFile};
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::surroundings;
use crate::config::texts::AdminListen;
use crate::config::values::{Flag, Hidden, Parsed};
use crate::limits;
use crate::net::Limits;
use crate::secret::Secret;
use crate::shutdown::DrainOptions;
use crate::telemetry::{LogFormat, LogOptions};

/// The port of the admin listener where none is set.
const ADMIN_PORT: u16 = 9090;

/// `[admin]`, and where its address stands.
pub(super) struct Admin {
    pub(super) options: Option<admin::Options>,
    pub(super) place: Span,
}

pub(super) fn log(file: Field<Table<LogFile>>, problems: &mut Problems) -> LogOptions {
    let file = file.keys(problems);
    LogOptions {
        format: file.format.value(problems).map_or(LogFormat::default(), |word| word.0),
        level: file.level.value(problems).map_or(tracing::Level::INFO, |word| word.0),
        access: file.access.value(problems).is_none_or(|Flag(access)| access),
    }
}

pub(super) fn admin(file: Field<Table<AdminFile>>, problems: &mut Problems) -> Admin {
    let header = file.span();
    let file = file.keys(problems);
    let place = file.listen.span().or(header.clone()).unwrap_or_default();
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT));
    let listen = file.listen.value(problems).map_or(AdminListen::At(default), |Parsed(listen)| listen);
    let token_place = file.token.span().or(file.token_file.span());
    let has_token = token_place.is_some();
    if let (AdminListen::Off, Some(span)) = (listen, token_place) {
        let what = "the token changes nothing: the admin listener is off";
        problems.warning(span, Wrong::new(what, "remove it, or write a `listen` address"));
    }
    let token = secret("token", file.token, file.token_file, problems);
    let options = match listen {
        AdminListen::Off => None,
        AdminListen::At(listen) => Some(admin::Options { listen, token }),
    };
    if let Some(admin::Options { listen, .. }) = &options
        && !listen.ip().to_canonical().is_loopback()
        && !has_token
    {
        let what = format!("the admin listener would be open to all who reach {listen}");
        let instead = format!("add a `token` or `token_file`, or listen on \"127.0.0.1:{}\"", listen.port());
        // Of the header, because a key there that was refused may be a token misspelt.
        if header.is_none_or(|header| !problems.is_flawed(&header)) {
            problems.absent(place.clone(), Wrong::new(what, instead));
        }
    }
    Admin { options, place }
}

/// A secret: itself, or the file it is in.
fn secret(name: &str, text: Field<Hidden>, file: Field<Parsed<String>>, problems: &mut Problems) -> Option<Secret> {
    let (text, file) = (text.read(problems), file.read(problems));
    if let (Some(_), Some((span, _))) = (&text, &file) {
        let what = format!("`{name}_file` stands beside `{name}`");
        problems.error(span.clone(), Wrong::new(what, "keep one of them"));
        return None;
    }
    let (span, text) = match (text, file) {
        (Some((span, Hidden(text))), _) => (span, text),
        (None, Some((span, Parsed(path)))) => {
            let text = secret_in(&path, &span, problems)?;
            (span, text)
        }
        (None, None) => return None,
    };
    // What a browser or curl can send as `Authorization: Bearer`.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = if text.is_empty() { "this secret is empty" } else { "this secret can't be sent in a header" };
        let instead = "use letters, digits and punctuation of ASCII, as `openssl rand -hex 32` prints";
        problems.error(span, Wrong::new(what, instead));
        return None;
    }
    Some(Secret::new(text))
}

/// The secret that the file at `path` holds; one that can't be read is reported.
pub(super) fn secret_in(path: &str, span: &Span, problems: &mut Problems) -> Option<String> {
    let read = bounded::read_line(Path::new(path), limits::SECRET_SIZE).map_err(|error| {
        let what = format!("the file {} can not be read: {error}", quoted(path));
        problems.error(span.clone(), Wrong::new(what, "name a file that this user can read"));
    });
    read.ok()
}

/// `trusted_proxies`: whose word on a client is taken.
pub(super) fn trusted_proxies(file: Field<List<Parsed<IpNet>>>, problems: &mut Problems) -> Vec<IpNet> {
    let mut items = file.items(problems);
    cut(&mut items, limits::TRUSTED_PROXIES, "networks", |item| item.span().unwrap_or_default(), problems);
    let mut nets = Vec::new();
    for item in items {
        let Some((span, Parsed(net))) = item.read(problems) else { continue };
        if net.prefix_len() == 0 {
            let what = "this trusts everyone: any client may claim any address, scheme and host";
            problems.warning(span, Wrong::new(what, "name the networks of your proxies alone"));
        }
        nets.push(net);
    }
    nets
}

pub(super) fn drain(file: Field<Table<DrainFile>>, problems: &mut Problems) -> DrainOptions {
    let file = file.keys(problems);
    let spread_place = file.spread.span();
    let drain = DrainOptions {
        spread: duration(file.spread, ANY, limits::DRAIN_SPREAD, problems),
        timeout: duration(file.timeout, ANY, limits::DRAIN_TIMEOUT, problems),
    };
    if let Some(span) = spread_place
        && drain.spread > drain.timeout
    {
        let what = "`spread` is longer than `timeout`, which ends all that is left at once";
        problems.warning(span, Wrong::new(what, "make `timeout` the longer of the two"));
    }
    drain
}

pub(super) fn limits(file: Field<Table<LimitsFile>>, descriptors: usize, problems: &mut Problems) -> Limits {
    let file = file.keys(problems);
    let allowed = surroundings::connections(descriptors);
    let connections_place = file.connections.span();
    let connections = match whole(file.connections, 0..=limits::DESCRIPTORS_MAX, 0, problems) {
        0 => allowed,
        connections => connections,
    };
    if let Some(span) = connections_place
        && (allowed + 1..=limits::DESCRIPTORS_MAX).contains(&connections)
    {
        let what = format!("this process may open {descriptors} files, enough for {allowed} connections");
        problems.warning(span, Wrong::new(what, "raise its limit of open files (ulimit -n), or write 0"));
    }
    Limits {
        connections,
        header_timeout: duration(file.header_timeout, POSITIVE, limits::HEADER_TIMEOUT, problems),
        header_size: size(
            file.header_size,
            limits::HEADER_SIZE_MIN..=limits::HEADER_SIZE_MAX,
            limits::HEADER_SIZE,
            problems,
        ),
        body_size: size(file.body_size, 0..=usize::MAX, limits::BODY_SIZE, problems),
        body_timeout: duration(file.body_timeout, POSITIVE, limits::BODY_TIMEOUT, problems),
        send_timeout: duration(file.send_timeout, POSITIVE, limits::SEND_TIMEOUT, problems),
        keepalive_timeout: duration(file.keepalive_timeout, POSITIVE, limits::KEEPALIVE_TIMEOUT, problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_file_loses_one_newline_and_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = |path: &str| secret_in(path, &(0..0), &mut Problems::default());
        let path = path.to_str().unwrap();
        for (text, expected) in [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("abc\n\n", "abc\n")] {
            std::fs::write(path, text).unwrap();
            assert_eq!(read(path).unwrap(), expected);
        }
        std::fs::write(path, "x".repeat(limits::SECRET_SIZE)).unwrap();
        assert_eq!(read(path).unwrap().len(), limits::SECRET_SIZE);
        std::fs::write(path, "x".repeat(limits::SECRET_SIZE + 1)).unwrap();
        assert_eq!(read(path), None);
        assert_eq!(read("/dev/zero"), None);
    }
}
