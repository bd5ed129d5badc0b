//! The bench itself: rows in turn, each in rounds in which every peer runs once, in an order that rotates.
//!
//! A proxy is started anew for each run, so that none carries over what another row made it hold. A run that fails is told
//! at once and counted; the others go on, and the whole ends with an error.

use std::path::Path;
use std::time::Duration;

use super::load::Figures;
use super::report::{self, Taken};
use super::rows::{self, Row, Work};
use super::server::{Peer, Program};
use super::support::measure::size;
use super::support::process::{Output, Process, clean_up_on_signal, raise_descriptors};
use super::{Outcome, tls};

/// For a load's line, beyond the time that it measures: opening, warming up, waiting for idle sockets.
const PATIENCE: Duration = Duration::from_secs(180);

/// What all runs share.
struct Bench {
    folder: tempfile::TempDir,
    programs: Vec<Program>,
    backend: Process,
    port: u16,
    rounds: usize,
    seconds: usize,
}

/// All rows, or those of these names.
pub fn run(names: &[&str]) -> Outcome<()> {
    let rows = chosen(names)?;
    raise_descriptors();
    let mut bench = Bench::new()?;
    let mut taken = Vec::new();
    for row in rows {
        println!("\n== {}: {}", row.name, row.title);
        let of_row = bench.row(row)?;
        println!("{}", report::summary(row, &of_row));
        taken.push((row, of_row));
    }
    let failures = taken.iter().flat_map(|(_, of_row)| of_row).map(|taken| taken.failures).sum::<usize>();
    println!("\n{}", report::markdown(&taken, &bench.programs, bench.rounds, bench.seconds));
    if failures > 0 { Err(format!("{failures} runs failed").into()) } else { Ok(()) }
}

fn chosen(names: &[&str]) -> Outcome<Vec<&'static Row>> {
    if names.is_empty() {
        return Ok(rows::ALL.iter().collect());
    }
    let known = || rows::ALL.map(|row| row.name).join(", ");
    let find = |name: &&str| rows::named(name).ok_or_else(|| format!("no row `{name}`; there are {}", known()).into());
    names.iter().map(find).collect()
}

/// Those that `PEERS` names, or all.
fn taking_part() -> Outcome<Vec<Peer>> {
    let Ok(text) = std::env::var("PEERS") else { return Ok(Peer::ALL.to_vec()) };
    let find = |name: &str| Peer::ALL.into_iter().find(|peer| peer.name().eq_ignore_ascii_case(name.trim()));
    text.split(',').map(|name| find(name).ok_or_else(|| format!("PEERS: no peer `{name}`").into())).collect()
}

impl Bench {
    fn new() -> Outcome<Bench> {
        let (rounds, seconds) = (size("ROUNDS", 5)?, size("SECONDS", 3)?);
        let programs = taking_part()?.into_iter().map(Program::find).collect::<Outcome<Vec<_>>>()?;
        let folder = tempfile::Builder::new().prefix("steadfeed-peers-").tempdir()?;
        clean_up_on_signal(folder.path().to_owned())?;
        tls::write_certificate(folder.path())?;
        std::fs::create_dir(folder.path().join("files"))?;
        for (name, bytes) in [("1k.bin", 1 << 10), ("1m.bin", 1 << 20)] {
            std::fs::write(folder.path().join("files").join(name), vec![b'x'; bytes])?;
        }
        let (backend, port) = start_backend(folder.path())?;
        Ok(Bench { folder, programs, backend, port, rounds, seconds })
    }

    /// All rounds of a row.
    fn row(&mut self, row: &'static Row) -> Outcome<Vec<Taken>> {
        let takers: Vec<usize> = (0..self.programs.len()).filter(|at| row.takes(self.programs[*at].peer)).collect();
        let taken = |at: &usize| Taken { peer: self.programs[*at].peer, rounds: Vec::new(), failures: 0 };
        let mut taken: Vec<Taken> = takers.iter().map(taken).collect();
        for round in 0..self.rounds {
            for turn in 0..takers.len() {
                let place = (round + turn) % takers.len();
                let program = &self.programs[takers[place]];
                let figures = self.one(row, program);
                let name = program.peer.name();
                match &figures {
                    Ok(figures) => println!("  round {}  {}", round + 1, report::line(row, name, figures)),
                    Err(error) => println!("  round {}  error: {name}: {error}", round + 1),
                }
                taken[place].failures += usize::from(figures.is_err());
                taken[place].rounds.push(figures.ok());
            }
            if self.backend.has_ended() {
                return Err(format!("the backend ended: {}", self.backend.said()).into());
            }
        }
        Ok(taken)
    }

    /// One peer, once.
    fn one(&self, row: &Row, program: &Program) -> Outcome<Figures> {
        let folder = self.folder.path();
        let first = if row.work.is_http() { row.path() } else { "/1k" };
        let server = program.start(folder, self.port, first)?;
        let this = std::env::current_exe()?;
        let address = server.address(row.tls).to_string();
        let pids: Vec<String> = server.process.pids().iter().map(u32::to_string).collect();
        let folder_text = folder.to_string_lossy();
        let mut args = vec!["--load", row.name, &address, &folder_text];
        args.extend(pids.iter().map(String::as_str));
        let mut load = Process::start(1, &this, &args, folder.join("load.log"), Output::Piped)?;
        let line = load.line(PATIENCE + Duration::from_secs(self.seconds as u64))?;
        let figures = Figures::parse(&line);
        figures.ok_or_else(|| format!("{line}{} / {}", load.said(), server.process.said()).into())
    }
}

fn start_backend(folder: &Path) -> Outcome<(Process, u16)> {
    let this = std::env::current_exe()?;
    let mut backend = Process::start(1, &this, &["--backend"], folder.join("backend.log"), Output::Piped)?;
    let port = backend.line(Duration::from_secs(10))?.parse()?;
    Ok((backend, port))
}

impl Work {
    fn is_http(self) -> bool {
        match self {
            Work::Http1(_) | Work::Http2(_) => true,
            Work::Echo | Work::Upgrade | Work::Idle => false,
        }
    }
}
