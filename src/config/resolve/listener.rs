//! `[[listener]]`: addresses and certificates.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::{authorities, cut, tables};
use crate::admin;
use crate::config::either::FlagOr;
use crate::config::field::{Field, List, Table};
use crate::config::file::{CertificateFile, ListenerFile, TlsFile};
use crate::config::place::{IdentityPlaces, ListenerPlaces, PairPlaces};
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::texts::is_host_name;
use crate::config::urls::HttpsUrl;
use crate::config::values::{Flag, Parsed};
use crate::limits;
use crate::net::tls::{self, Identity, MinVersion, PairFiles};
use crate::net::{HttpsTarget, ListenerOptions};

/// Where certificates of our own making are kept.
const SELF_SIGNED_FOLDER: &str = "certs";

/// The listeners, and where each stands.
pub(super) struct Listeners {
    pub(super) options: Vec<ListenerOptions>,
    pub(super) places: Vec<ListenerPlaces>,
}

pub(super) fn listeners(
    file: Field<List<Table<ListenerFile>>>,
    admin: Option<&admin::Options>,
    trusts_nobody: bool,
    problems: &mut Problems,
) -> Listeners {
    let list_place = file.span();
    let is_broken = matches!(file, Field::Broken(..));
    let mut files = tables("listener", file, problems).map(|(_, files)| files).unwrap_or_default();
    cut(&mut files, limits::LISTENERS, "listeners", |file| file.span().unwrap_or_default(), problems);
    if files.is_empty() && !is_broken {
        let instead = "add one: [[listener]] with address = \"127.0.0.1:8080\"";
        problems.absent(list_place.unwrap_or_default(), Wrong::new("nothing is listened on", instead));
    }
    let mut taken: Vec<(SocketAddr, String)> =
        admin.map(|admin| (admin.listen, "the admin listener has".to_owned())).into_iter().collect();
    let mut listeners = Listeners { options: Vec::new(), places: Vec::new() };
    let has_tls = files.iter().any(|file| matches!(file, Field::Given(_, Table(file)) if !file.tls.is_absent()));
    let mut redirects = Vec::new();
    for file in files {
        let Some((header, Table(file))) = file.read(problems) else { continue };
        if file.address.is_absent() {
            let instead = "add one: address = \"127.0.0.1:8080\"";
            problems.absent(header, Wrong::new("this listener has no address", instead));
        }
        let address = file.address.read(problems);
        let websocket_h2 = file.websocket_h2.value(problems).is_some_and(|Flag(on)| on);
        let proxy_protocol = proxy_protocol(file.proxy_protocol, trusts_nobody, problems);
        let redirect = redirect_to_https(file.redirect_to_https, !file.tls.is_absent(), has_tls, problems);
        let tls = tls(file.tls, problems);
        let Some((span, Parsed(address))) = address else { continue };
        if let Some((other, who)) = taken.iter().find(|(other, _)| collide(*other, address)) {
            let what = format!("{who} {other} already");
            problems.error(span.clone(), Wrong::new(what, "choose another port"));
        }
        taken.push((address, "another listener has".to_owned()));
        let (tls, identity) = match tls {
            Some((options, places)) => (Some(options), places),
            None => (None, IdentityPlaces::Plain),
        };
        let options = ListenerOptions { address, tls, websocket_h2, proxy_protocol, redirect_to_https: None };
        listeners.options.push(options);
        listeners.places.push(ListenerPlaces { address: span, identity });
        redirects.push(redirect);
    }
    let first_tls = listeners.options.iter().position(|options| options.tls.is_some());
    for (options, redirect) in listeners.options.iter_mut().zip(redirects) {
        options.redirect_to_https = match redirect {
            None => None,
            Some(FlagOr::Text(HttpsUrl { host, port })) => Some(HttpsTarget::At { host, port }),
            Some(FlagOr::Flag(on)) => first_tls.filter(|_| on).map(HttpsTarget::Listener),
        };
    }
    listeners
}

fn proxy_protocol(field: Field<Flag>, trusts_nobody: bool, problems: &mut Problems) -> bool {
    let Some((span, Flag(on))) = field.read(problems) else { return false };
    if on && trusts_nobody {
        let what = "nobody may connect: a PROXY header is taken from `trusted_proxies` only, and there are none";
        problems.absent(span, Wrong::new(what, "add trusted_proxies = [\"10.0.0.0/8\"] at the top, with your proxies"));
    }
    on
}

/// What `redirect_to_https` says of a listener that has `tls` itself or not, where any listener has it or none.
fn redirect_to_https(
    field: Field<FlagOr<HttpsUrl>>,
    tls: bool,
    any_tls: bool,
    problems: &mut Problems,
) -> Option<FlagOr<HttpsUrl>> {
    let (span, value) = field.read(problems)?;
    match &value {
        FlagOr::Flag(false) => {}
        FlagOr::Flag(true) | FlagOr::Text(_) if tls => {
            problems.error(span, Wrong::new("this listener serves HTTPS itself", "remove `redirect_to_https`"));
        }
        FlagOr::Flag(true) if !any_tls => {
            let instead = "add a [[listener]] with `tls`, or say where it is: \"https://example.com\"";
            problems.absent(span, Wrong::new("no listener serves HTTPS", instead));
        }
        FlagOr::Flag(true) | FlagOr::Text(_) => {}
    }
    Some(value)
}

/// Whether two listeners can't both be bound. Port 0 is a free one each time.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let wildcard = (a.ip().is_unspecified() || b.ip().is_unspecified()) && a.is_ipv4() == b.is_ipv4();
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || wildcard)
}

/// `[listener.tls]`. `None` where there is none, or where its identity is wrong.
fn tls(file: Field<Table<TlsFile>>, problems: &mut Problems) -> Option<(tls::Options, IdentityPlaces)> {
    let (header, Table(file)) = file.read(problems)?;
    let min_version = file.min_version.value(problems).map_or(MinVersion::default(), |word| word.0);
    let clients = file.client_ca.read(problems);
    let clients = clients.and_then(|(span, Parsed(path))| authorities::read(&span, &path, problems));
    let has_none = file.certificates.is_absent() && file.self_signed.is_absent();
    let (certificates_place, self_signed_place) = (file.certificates.span(), file.self_signed.span());
    let pairs = pairs(file.certificates, problems);
    let names = names(file.self_signed, problems);
    if has_none {
        let instead = "add certificates = [{ cert = \"...\", key = \"...\" }] or self_signed = [\"localhost\"]";
        problems.absent(header, Wrong::new("this listener has no certificate", instead));
    }
    if let (Some(first), Some(second)) = (&certificates_place, &self_signed_place) {
        let later = if first.start > second.start { first } else { second };
        let what = "`certificates` and `self_signed` stand side by side";
        problems.error(later.clone(), Wrong::new(what, "keep one of them"));
        return None;
    }
    let (identity, places) = match (pairs, names, self_signed_place) {
        (Some((pairs, places)), _, _) => (Identity::Files(pairs), IdentityPlaces::Files(places)),
        (None, Some(names), Some(span)) => {
            let folder = PathBuf::from(SELF_SIGNED_FOLDER);
            (Identity::SelfSigned { names, folder }, IdentityPlaces::SelfSigned(span))
        }
        (None, _, _) => return None,
    };
    Some((tls::Options { identity, min_version, clients }, places))
}

fn pairs(
    file: Field<List<Table<CertificateFile>>>,
    problems: &mut Problems,
) -> Option<(Vec<PairFiles>, Vec<PairPlaces>)> {
    let (list, List(files)) = file.read(problems)?;
    if files.is_empty() {
        problems.error(list, Wrong::new("this list is empty", "write [{ cert = \"...\", key = \"...\" }]"));
    }
    let (mut pairs, mut places) = (Vec::new(), Vec::new());
    for file in files {
        let Some((header, Table(file))) = file.read(problems) else { continue };
        let cert = pem("cert", file.cert, &header, problems);
        let key = pem("key", file.key, &header, problems);
        if let (Some((cert_place, cert)), Some((key_place, key))) = (cert, key) {
            pairs.push(PairFiles { cert, key });
            places.push(PairPlaces { cert: cert_place, key: key_place });
        }
    }
    Some((pairs, places))
}

/// The path of a PEM file.
fn pem(name: &str, field: Field<Parsed<String>>, header: &Span, problems: &mut Problems) -> Option<(Span, PathBuf)> {
    if field.is_absent() {
        let what = format!("this certificate has no `{name}`");
        problems.absent(header.clone(), Wrong::new(what, format!("add {name} = \"...\", a PEM file")));
    }
    let (span, Parsed(path)) = field.read(problems)?;
    if path.is_empty() {
        problems.error(span.clone(), Wrong::new("no file is named", "write the path of a PEM file"));
    }
    Some((span, PathBuf::from(path)))
}

/// The names of a certificate of our own making.
fn names(file: Field<List<Parsed<String>>>, problems: &mut Problems) -> Option<Vec<String>> {
    let (list, List(items)) = file.read(problems)?;
    if items.is_empty() {
        problems.error(list, Wrong::new("this list is empty", "write [\"localhost\"]"));
    }
    let mut names = Vec::new();
    for item in items {
        let Some((span, Parsed(name))) = item.read(problems) else { continue };
        let lower = name.to_ascii_lowercase();
        if name.parse::<IpAddr>().is_err() && !is_host_name(lower.strip_prefix("*.").unwrap_or(&lower)) {
            let what = format!("{} is neither a DNS name nor an address", quoted(&name));
            problems.error(span, Wrong::new(what, "write one, as in \"localhost\", \"127.0.0.1\" or \"::1\""));
        }
        names.push(lower);
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: bool) {
        assert_eq!(collide(a.parse().unwrap(), b.parse().unwrap()), expected, "{a} {b}");
    }

    #[test]
    fn addresses_collide_where_both_can_not_be_bound() {
        check("127.0.0.1:80", "127.0.0.1:80", true);
        check("127.0.0.1:80", "127.0.0.1:81", false);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("0.0.0.0:80", "127.0.0.2:80", true);
        check("[::1]:80", "[::]:80", true);
        check("127.0.0.1:80", "[::]:80", false);
        check("127.0.0.1:0", "127.0.0.1:0", false);
    }
}
