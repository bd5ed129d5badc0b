//! `[upstream.NAME]`: pools of servers to forward to.

use std::ops::RangeInclusive;

use rustls_pki_types::CertificateDer;

use super::{INTERVAL, POSITIVE, authorities, check_name, cut, duration, whole};
use crate::config::field::{Field, List, Named, Table};
use crate::config::file::{HealthFile, UpstreamFile};
use crate::config::nearest;
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::urls::Target;
use crate::config::values::{Parsed, Whole};
use crate::limits;
use crate::upstream::{Health, Options, Scheme, Server};

/// How many failures or successes in a row may be asked for.
const COUNTS: RangeInclusive<usize> = 1..=limits::HEALTH_COUNT_MAX as usize;

/// An upstream, as far as it could be read.
pub(super) struct Upstream {
    pub(super) options: Options,
    /// Where its name stands.
    pub(super) place: Span,
}

pub(super) fn upstreams(file: Field<Named<Table<UpstreamFile>>>, problems: &mut Problems) -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    let files = file.entries(problems);
    // None is dropped: a route that names the last of too many is right.
    let mut places: Vec<Span> = files.iter().map(|(name, _)| name.span()).collect();
    cut(&mut places, limits::UPSTREAMS, "upstreams", Span::clone, problems);
    for (name, file) in files {
        let place = name.span();
        check_name("an upstream", name.get_ref(), &place, problems);
        let header = file.span().unwrap_or_default();
        // One that is wrong is there all the same: whoever names it is right, and nothing of it is absent.
        if matches!(file, Field::Broken(..)) {
            problems.flaw(&header);
        }
        let file = file.keys(problems);
        upstreams.push(Upstream { options: options(name.into_inner(), &header, file, problems), place });
    }
    upstreams
}

/// `servers` with the defaults of everything else.
pub(super) fn plain(name: String, servers: Vec<Server>) -> Options {
    Options {
        name,
        servers,
        resolve: limits::RESOLVE_EVERY,
        balance: crate::upstream::Balance::default(),
        health: None,
        authorities: None,
        connect_timeout: limits::CONNECT_TIMEOUT,
        response_timeout: limits::RESPONSE_TIMEOUT,
        idle_timeout: limits::IDLE_TIMEOUT,
    }
}

fn options(name: String, header: &Span, file: UpstreamFile, problems: &mut Problems) -> Options {
    let servers = servers(&name, header, file.servers, problems);
    let default = plain(name, servers);
    Options {
        authorities: believed(file.ca, &default.servers, problems),
        resolve: duration(file.resolve, INTERVAL, default.resolve, problems),
        balance: file.balance.value(problems).map_or(default.balance, |word| word.0),
        health: file.health.read(problems).and_then(|(span, Table(file))| health(&span, file, problems)),
        connect_timeout: duration(file.connect_timeout, POSITIVE, default.connect_timeout, problems),
        response_timeout: duration(file.response_timeout, POSITIVE, default.response_timeout, problems),
        idle_timeout: duration(file.idle_timeout, POSITIVE, default.idle_timeout, problems),
        ..default
    }
}

fn servers(name: &str, header: &Span, file: Field<List<Parsed<Server>>>, problems: &mut Problems) -> Vec<Server> {
    if file.is_absent() {
        let what = format!("upstream {} has no server", quoted(name));
        problems.absent(header.clone(), Wrong::new(what, "add one: servers = [\"http://app:8000\"]"));
    }
    let Some((list, List(mut items))) = file.read(problems) else { return Vec::new() };
    if items.is_empty() {
        problems.error(list, Wrong::new("this list is empty", "write [\"http://app:8000\"]"));
    }
    cut(&mut items, limits::SERVERS, "servers", |item| item.span().unwrap_or_default(), problems);
    let mut servers = Vec::new();
    for item in items {
        let Some((span, Parsed(server))) = item.read(problems) else { continue };
        if servers.contains(&server) {
            let what = format!("{} stands here twice", quoted(&server.to_string()));
            problems.error(span, Wrong::new(what, "remove one"));
        } else {
            servers.push(server);
        }
    }
    servers
}

/// Whom `ca` says to believe.
fn believed(
    field: Field<Parsed<String>>,
    servers: &[Server],
    problems: &mut Problems,
) -> Option<Vec<CertificateDer<'static>>> {
    let (span, Parsed(path)) = field.read(problems)?;
    let is_https = |server: &Server| matches!(server, Server::Tcp { scheme: Scheme::Https, .. });
    if !servers.is_empty() && !servers.iter().any(is_https) {
        let what = "`ca` is for https servers, and this upstream has none";
        problems.error(span, Wrong::new(what, "write \"https://...\" in `servers`, or remove `ca`"));
        return None;
    }
    authorities::read(&span, &path, problems)
}

fn health(span: &Span, file: HealthFile, problems: &mut Problems) -> Option<Health> {
    if file.path.is_absent() {
        problems.absent(span.clone(), Wrong::new("this asks for no path", "add one: path = \"/health\""));
    }
    let path = file.path.value(problems).map(|Parsed(Target(path))| path);
    let health = Health {
        path: path.clone().unwrap_or_default(),
        every: duration(file.every, INTERVAL, limits::HEALTH_EVERY, problems),
        timeout: duration(file.timeout, POSITIVE, limits::HEALTH_ANSWER, problems),
        fall: count(file.fall, limits::HEALTH_FALL, problems),
        rise: count(file.rise, limits::HEALTH_RISE, problems),
    };
    path.map(|_| health)
}

fn count(field: Field<Whole>, default: u32, problems: &mut Problems) -> u32 {
    if field.is_absent() {
        return default;
    }
    u32::try_from(whole(field, COUNTS, 1, problems)).unwrap_or(u32::MAX)
}

/// The upstream that a route names.
pub(super) fn known_upstream<'a>(
    field: Field<Parsed<String>>,
    upstreams: &'a [Upstream],
    problems: &mut Problems,
) -> Option<&'a Upstream> {
    let (span, Parsed(name)) = field.read(problems)?;
    let found = upstreams.iter().find(|upstream| upstream.options.name == name);
    if found.is_none() {
        let names = upstreams.iter().map(|upstream| upstream.options.name.as_str());
        let wrong = if name.contains("://") || name.starts_with("unix:") {
            let what = format!("{} is no name of an upstream", quoted(&name));
            let authority = name.split_once("://").map_or(name.as_str(), |(scheme, rest)| {
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                name.get(..scheme.len() + 3 + host.len()).unwrap_or(&name)
            });
            let instead = format!("write proxy = \"app\" here, and [upstream.app] with servers = [\"{authority}\"]");
            Wrong::new(what, instead)
        } else {
            let instead = match names.clone().next() {
                Some(_) => nearest::write_one_of(&name, names),
                None => "define it: [upstream.NAME] with `servers`".to_owned(),
            };
            Wrong::new(format!("there is no upstream {}", quoted(&name)), instead)
        };
        problems.absent(span, wrong);
    }
    found
}
