//! `steadfeed check`: every problem of a config at once, or what it makes.
//!
//! Owns: the checks that need the machine: ports, certificates.
//! Never: serves anything; a port is bound and closed at once.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::keys::key_problems;
use crate::config::{self, Chosen, Loaded, Problem, Severity, Summary, Surroundings, TlsPart, Wrong};
use crate::net::tls::error::Part;
use crate::net::tls::{self, Identity, TlsError};

/// How long the admin listener of a running instance may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of its answer is read, in bytes: its head.
const PROBE_SIZE: u64 = 4096;

/// Checks the config that `--config` names, or else the usual one. Exits with 1 where there are errors.
#[must_use]
pub fn run(config: Option<&Path>) -> ExitCode {
    let surroundings = Surroundings::real();
    let chosen = Chosen::choose(config, surroundings.variable);
    let stdout = io::stdout();
    let (text, code) = examine(&chosen, &surroundings, stdout.is_terminal());
    match stdout.lock().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What `check` prints, and its exit code.
fn examine(chosen: &Chosen, surroundings: &Surroundings<'_>, colour: bool) -> (String, ExitCode) {
    let loaded = match config::load(chosen, surroundings) {
        Ok(loaded) => loaded,
        Err(refused) => return (refused.render(colour) + &sum(&refused.problems), ExitCode::FAILURE),
    };
    let mut problems = loaded.warnings.clone();
    problems.extend(folder_problems(&loaded));
    problems.extend(tls_problems(&loaded));
    problems.extend(key_problems(&loaded));
    problems.extend(bind_problems(&loaded, is_ours));
    problems.sort_by_key(|problem| problem.span.start);
    let shown = loaded.render(&problems, colour) + &sum(&problems);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return (shown, ExitCode::FAILURE);
    }
    let name = &loaded.text.name;
    (format!("{shown}{name} can be served\n{}", Summary(&loaded.config)), ExitCode::SUCCESS)
}

/// How many problems there are, as a last line; nothing where there are none.
fn sum(problems: &[Problem]) -> String {
    let count = |severity, one: &str, many: &str| {
        let count = problems.iter().filter(|problem| problem.severity == severity).count();
        (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
    };
    let counts = [count(Severity::Error, "problem", "problems"), count(Severity::Warning, "warning", "warnings")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    if counts.is_empty() { String::new() } else { format!("{}\n", counts.join(", ")) }
}

/// The folders of files that are not there. They are served all the same: a volume may come later.
pub(super) fn folder_problems(loaded: &Loaded) -> Vec<Problem> {
    let folders = loaded.places.folders.iter();
    folders.filter_map(|(root, span)| Some(Problem::warning(span.clone(), folder_fault(root)?))).collect()
}

fn folder_fault(root: &Path) -> Option<Wrong> {
    let what = match root.metadata() {
        Ok(metadata) if metadata.is_dir() => return None,
        Ok(_) => format!("{} is no folder", root.display()),
        Err(error) => format!("{} can not be read: {error}", root.display()),
    };
    Some(Wrong::new(what, "name a folder that this user can read; until then there is nothing in it"))
}

/// What is wrong with the listeners' certificates. Those of our own making are made on the first start, not here.
fn tls_problems(loaded: &Loaded) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (listener, options) in loaded.config.listeners.iter().enumerate() {
        let Some(tls) = &options.tls else { continue };
        let Identity::Files(pairs) = &tls.identity else { continue };
        for (index, pair) in pairs.iter().enumerate() {
            // One at a time: a listener's own loading ends at the first that is wrong.
            let alone = tls::Options { identity: Identity::Files(vec![pair.clone()]), clients: None, ..tls.clone() };
            let loading = tls::Shared::new().and_then(|shared| tls::Tls::load(&alone, &shared));
            problems.extend(loading.err().map(|mut error| {
                if let TlsError::Pair { index: place, .. } = &mut error {
                    *place = index;
                }
                let (part, wrong) = tls_fault(index, &error);
                loaded.places.at_tls(listener, part, wrong)
            }));
        }
    }
    problems
}

/// Which part of the pair at `index` is at fault, and how.
pub(super) fn tls_fault(index: usize, error: &TlsError) -> (TlsPart, Wrong) {
    let part = match error.place() {
        Some((_, Part::Cert)) => TlsPart::Cert(index),
        Some((_, Part::Key)) => TlsPart::Key(index),
        None => TlsPart::Whole,
    };
    (part, Wrong::new(error.wrong(), error.remedy()))
}

/// The addresses that can't be bound. `is_ours` tells whether steadfeed's own admin listener is at an address.
fn bind_problems(loaded: &Loaded, is_ours: impl Fn(SocketAddr) -> bool) -> Vec<Problem> {
    let admin = loaded.config.admin.as_ref().map(|admin| admin.listen);
    let mut problems = Vec::new();
    let mut held: Option<bool> = None;
    let mut try_to_bind = |address: SocketAddr, problem: &dyn Fn(Wrong) -> Problem| {
        let Err(error) = bind(address) else { return };
        if error.kind() == io::ErrorKind::AddrInUse && *held.get_or_insert_with(|| admin.is_some_and(&is_ours)) {
            let wrong =
                Wrong::new(format!("{address} is held by the steadfeed that runs"), "stop it first to start another");
            problems.push(Problem { severity: Severity::Warning, ..problem(wrong) });
        } else {
            problems.push(problem(bind_fault(address, &error)));
        }
    };
    for (index, address) in loaded.config.addresses().enumerate() {
        try_to_bind(address, &|wrong| loaded.places.at_address(index, wrong));
    }
    if let Some(address) = admin {
        try_to_bind(address, &|wrong| loaded.places.at_admin(wrong));
    }
    problems
}

/// Port 0 is one that is free.
fn bind(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 { Ok(()) } else { TcpListener::bind(address).map(drop) }
}

/// What keeps an address from being bound.
pub(super) fn bind_fault(address: SocketAddr, error: &io::Error) -> Wrong {
    let what = format!("{address} can not be listened on: {error}");
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        let instead = format!("end what holds it (ss -ltnp 'sport = :{}'), or choose another port", address.port());
        Wrong::new(format!("{address} is in use"), instead)
    } else if kind == io::ErrorKind::PermissionDenied && address.port() < 1024 {
        Wrong::new(what, "choose a port from 1024, or give it CAP_NET_BIND_SERVICE")
    } else if kind == io::ErrorKind::AddrNotAvailable {
        let any = if address.is_ipv4() { "0.0.0.0" } else { "[::]" };
        Wrong::new(what, format!("write an address of this machine, or \"{any}:{}\" for all of them", address.port()))
    } else {
        Wrong::new(what, "choose another address")
    }
}

/// Whether steadfeed answers at an admin listener's address.
fn is_ours(admin: SocketAddr) -> bool {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    let address = SocketAddr::new(ip, admin.port());
    server_of(address).is_ok_and(|server| server.is_some_and(|server| server.starts_with("steadfeed")))
}

/// The `Server` header of what answers `GET /healthz`.
fn server_of(address: SocketAddr) -> io::Result<Option<String>> {
    let mut socket = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    socket.set_read_timeout(Some(PROBE_TIMEOUT))?;
    socket.set_write_timeout(Some(PROBE_TIMEOUT))?;
    // In one piece: who answers a part of it and closes would be taken for nobody.
    let question = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    // What came before a timeout or a reset may be all we need.
    let _cut_short = socket.take(PROBE_SIZE).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    Ok(fields.find(|(name, _)| name.eq_ignore_ascii_case("server")).map(|(_, value)| value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::thread;

    use super::*;

    fn surroundings() -> Surroundings<'static> {
        Surroundings { variable: &|_| None, cpus: NonZeroUsize::MIN, descriptors: 1024 }
    }

    fn loaded(text: &str) -> Loaded {
        let text = format!("{text}\n[[route]]\npath = \"/\"\nrespond = {{}}\n");
        config::check("a.toml".to_owned(), text, &surroundings()).unwrap_or_else(|refused| panic!("{refused}"))
    }

    fn first_lines(loaded: &Loaded, problems: &[Problem]) -> Vec<String> {
        let shown = problems.iter().map(|problem| loaded.render(std::slice::from_ref(problem), false));
        shown.map(|shown| shown.lines().next().unwrap().to_owned()).collect()
    }

    /// An admin listener that answers once, naming itself `server`.
    fn answering(server: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let read = socket.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            write!(socket, "HTTP/1.1 200 OK\r\nserver: {server}\r\ncontent-length: 2\r\n\r\nok").unwrap();
        });
        address
    }

    #[test]
    fn a_busy_port_is_a_problem_unless_we_hold_it_ourselves() {
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = busy.local_addr().unwrap();
        let loaded = loaded(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n[[listener]]\naddress = \"{address}\""));
        let strangers = first_lines(&loaded, &bind_problems(&loaded, |_| false));
        assert!(
            strangers[0].starts_with(&format!("a.toml:4:11: {address} is in use; end what holds it")),
            "{strangers:?}"
        );
        let ours = first_lines(&loaded, &bind_problems(&loaded, |_| true));
        let expected = format!(
            "a.toml:4:11: warning: {address} is held by the steadfeed that runs; stop it first to start another"
        );
        assert_eq!(ours, [expected]);
    }

    #[test]
    fn a_free_port_is_none() {
        let loaded = loaded("[admin]\nlisten = \"off\"\n[[listener]]\naddress = \"127.0.0.1:0\"");
        assert_eq!(bind_problems(&loaded, |_| false), []);
    }

    #[test]
    fn a_busy_admin_port_is_told_at_its_place() {
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = busy.local_addr().unwrap();
        let loaded = loaded(&format!("admin.listen = \"{address}\"\n[[listener]]\naddress = \"127.0.0.1:0\""));
        let lines = first_lines(&loaded, &bind_problems(&loaded, |_| false));
        assert!(lines.len() == 1 && lines[0].starts_with("a.toml:1:16: "), "{lines:?}");
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        // TEST-NET-1 (RFC 5737) is nobody's.
        let loaded = loaded("[admin]\nlisten = \"off\"\n[[listener]]\naddress = \"192.0.2.1:8080\"");
        let lines = first_lines(&loaded, &bind_problems(&loaded, |_| false));
        assert!(lines[0].contains("write an address of this machine, or \"0.0.0.0:8080\""), "{lines:?}");
    }

    #[test]
    fn only_steadfeed_is_ours() {
        assert!(is_ours(answering("steadfeed")));
        assert!(is_ours(answering("steadfeed/0.1.0")));
        assert!(!is_ours(answering("nginx")));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(!is_ours(closed));
    }

    #[test]
    fn every_file_that_can_not_be_read_is_told_at_its_place() {
        let loaded = loaded(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n\
             tls.certificates = [{ cert = \"Cargo.toml\", key = \"/nonexistent.key\" },\n\
             { cert = \"/nonexistent.pem\", key = \"Cargo.toml\" }]",
        );
        let lines = first_lines(&loaded, &tls_problems(&loaded));
        let missing = "it cannot be read: No such file";
        let expected = [
            format!("a.toml:3:50: certificates[0].key: /nonexistent.key: {missing}"),
            format!("a.toml:4:10: certificates[1].cert: /nonexistent.pem: {missing}"),
        ];
        assert!(lines.iter().zip(&expected).all(|(line, start)| line.starts_with(start)), "{lines:?}");
        assert_eq!(lines.len(), expected.len());
    }

    #[test]
    fn a_key_that_can_not_be_had_is_told_at_its_place() {
        let loaded = loaded(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[auth.a]\npublic_key_file = \"/nonexistent.pem\"\n\
             [auth.b]\nsecret = \"${NONE:-}\"\n[auth.c]\njwks_file = \"Cargo.toml\"",
        );
        let lines = first_lines(&loaded, &key_problems(&loaded));
        let starts = [
            "a.toml:4:19: /nonexistent.pem can not be read: No such file".to_owned(),
            "a.toml:8:13: Cargo.toml is not JSON".to_owned(),
        ];
        assert!(lines.iter().zip(&starts).all(|(line, start)| line.starts_with(start)), "{lines:?}");
        assert_eq!(lines.len(), starts.len());
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().display();
        let loaded = loaded(&format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n\
             [[route]]\npath = \"/a/*\"\nfiles = \"{there}\"\n\
             [[route]]\npath = \"/b/*\"\nfiles = \"{there}/none\"\n\
             [[route]]\npath = \"/c/*\"\nfiles = \"Cargo.toml\""
        ));
        let lines = first_lines(&loaded, &folder_problems(&loaded));
        let starts = [
            format!("a.toml:8:9: warning: {there}/none can not be read: No such file"),
            "a.toml:11:9: warning: Cargo.toml is no folder; name a folder".to_owned(),
        ];
        assert!(lines.iter().zip(&starts).all(|(line, start)| line.starts_with(start)), "{lines:?}");
        assert_eq!(lines.len(), starts.len());
    }

    #[test]
    fn problems_are_counted_last() {
        let problem = |severity| Problem { span: 0..0, severity, wrong: Wrong::new("a", "b") };
        assert_eq!(sum(&[]), "");
        assert_eq!(sum(&[problem(Severity::Error)]), "1 problem\n");
        let several = [Severity::Error, Severity::Warning, Severity::Error].map(problem);
        assert_eq!(sum(&several), "2 problems, 1 warning\n");
    }

    #[test]
    fn a_bad_config_fails_with_every_problem() {
        let (shown, code) = examine(&Chosen::File("tests/fixtures/bad/words.toml".into()), &surroundings(), false);
        let expected = std::fs::read_to_string("tests/fixtures/bad/words.txt").unwrap();
        assert_eq!(shown, expected.replace("words.toml:", "tests/fixtures/bad/words.toml:") + "8 problems\n");
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
    }

    #[test]
    fn a_right_config_passes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        let text = "[admin]\nlisten = \"off\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\npath = \"/\"\nrespond = {}\n";
        std::fs::write(&path, text).unwrap();
        let (shown, code) = examine(&Chosen::File(path), &surroundings(), false);
        assert!(
            shown.ends_with("a.toml can be served\n\nlisteners\n  http://127.0.0.1:0\n\nroutes\n  /  respond 200\n"),
            "{shown}"
        );
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
    }
}
