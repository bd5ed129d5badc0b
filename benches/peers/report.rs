//! What was measured in words: a line a run, a summary a row, and two tables in Markdown at the end.
//!
//! The figure of a peer is the median of its rounds. The ratio is the median, over the rounds, of steadfeed's figure to that
//! of the better peer (by its median) in the same round: a machine whose speed drifts then slows both.

use std::fmt::Write;

use super::load::Figures;
use super::rows::{Limit, Row};
use super::server::{Peer, Program};
use super::support::measure::median;
use super::support::report::number;

/// One peer's runs of a row; a round that failed has none.
#[derive(Debug)]
pub struct Taken {
    pub peer: Peer,
    pub rounds: Vec<Option<Figures>>,
    pub failures: usize,
}

impl Taken {
    fn median(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        median(self.rounds.iter().flatten().map(figure).collect())
    }
}

/// What a row is judged by.
fn cost(row: &Row) -> impl Fn(&Figures) -> f64 + use<> {
    let memory = matches!(row.limit, Limit::Memory(_));
    move |figures| if memory { figures.memory } else { figures.cpu }
}

/// One run.
pub fn line(row: &Row, name: &str, figures: &Figures) -> String {
    match row.limit {
        Limit::Memory(_) => format!("{name:<9} {:>8.2} KiB a socket", figures.memory),
        Limit::Ratio(_) => format!(
            "{name:<9} {:>8.2} {:<15} {:>9.0} a second  p50 {:>7.2} p99 {:>7.2} ms  busy {:>3.0} % waited {:>2.0} %  {:>6} KiB a socket",
            figures.cpu,
            row.unit(),
            figures.units_a_second,
            figures.p50,
            figures.p99,
            figures.busy * 100.0,
            figures.waited * 100.0,
            number(figures.memory)
        ),
    }
}

/// The medians of a row, and how steadfeed does.
pub fn summary(row: &Row, taken: &[Taken]) -> String {
    let medians: Vec<String> =
        taken.iter().map(|taken| format!("{} {}", taken.peer.name(), number(taken.median(cost(row))))).collect();
    format!("  median {}, {}: {}", row.unit(), medians.join(", "), verdict(row, taken))
}

/// The ratio to the better peer, round by round.
fn ratio(row: &Row, taken: &[Taken]) -> Option<(f64, Peer)> {
    let cost = cost(row);
    let ours = taken.iter().find(|taken| taken.peer == Peer::Steadfeed)?;
    let others = taken.iter().filter(|taken| taken.peer != Peer::Steadfeed && !taken.median(&cost).is_nan());
    let better = others.min_by(|one, other| one.median(&cost).total_cmp(&other.median(&cost)))?;
    let pairs = ours.rounds.iter().zip(&better.rounds);
    let ratios: Vec<f64> = pairs.filter_map(|(ours, theirs)| Some(cost(&(*ours)?) / cost(&(*theirs)?))).collect();
    (!ratios.is_empty()).then(|| (median(ratios), better.peer))
}

fn verdict(row: &Row, taken: &[Taken]) -> String {
    let missed = if is_missed(row, taken) { ", MISSED" } else { "" };
    let Some((ratio, better)) = ratio(row, taken) else { return format!("nothing to compare{missed}") };
    format!("{ratio:.2} x {} (at most {}{missed})", better.name(), limit(row))
}

/// That it is over the limit, or failed; not that there was nobody to compare it with.
fn is_missed(row: &Row, taken: &[Taken]) -> bool {
    let Some(ours) = taken.iter().find(|taken| taken.peer == Peer::Steadfeed) else { return false };
    let figure = ours.median(cost(row));
    let over = match row.limit {
        Limit::Ratio(most) => ratio(row, taken).is_some_and(|(ratio, _)| ratio > most),
        Limit::Memory(most) => figure > most,
    };
    over || figure.is_nan()
}

fn limit(row: &Row) -> String {
    match row.limit {
        Limit::Ratio(most) => format!("{most:.1}"),
        Limit::Memory(most) => format!("{most:.0} KiB"),
    }
}

/// The whole, for a README.
pub fn markdown(taken: &[(&Row, Vec<Taken>)], programs: &[Program], rounds: usize, seconds: usize) -> String {
    let versions: Vec<String> = programs.iter().map(Program::version).collect();
    let mut text = format!(
        "`cargo bench --bench peers`: {rounds} rounds of {seconds} s, medians; {}; {}. The proxy alone on core 0, load and \
         backend on core 1.\n\n",
        versions.join(", "),
        machine()
    );
    let peers: Vec<Peer> = programs.iter().map(|program| program.peer).collect();
    costs(&mut text, taken, &peers);
    text.push('\n');
    details(&mut text, taken);
    text
}

/// Writing to a String does not fail.
fn costs(text: &mut String, taken: &[(&Row, Vec<Taken>)], peers: &[Peer]) {
    let names: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
    let _ = writeln!(text, "| work | unit | {} | to the better peer | at most |", names.join(" | "));
    let _ = writeln!(text, "|---|---|{}---|---|", "---|".repeat(names.len()));
    for (row, of_row) in taken {
        let figure = |peer: &Peer| match of_row.iter().find(|taken| taken.peer == *peer) {
            None => "-".to_owned(),
            Some(taken) if taken.failures > 0 => {
                format!("{} ({} failed)", number(taken.median(cost(row))), taken.failures)
            }
            Some(taken) => number(taken.median(cost(row))),
        };
        let figures: Vec<String> = peers.iter().map(figure).collect();
        let ratio = ratio(row, of_row).map_or("-".to_owned(), |(ratio, _)| format!("{ratio:.2}"));
        let missed = if is_missed(row, of_row) { ", missed" } else { "" };
        let (unit, limit) = (row.unit(), limit(row));
        let _ = writeln!(text, "| {} | {unit} | {} | {ratio}{missed} | {limit} |", row.title, figures.join(" | "));
    }
}

fn details(text: &mut String, taken: &[(&Row, Vec<Taken>)]) {
    let _ = writeln!(text, "| row | peer | a second | p50 ms | p99 ms | busy % | waited % | KiB a socket |");
    let _ = writeln!(text, "|---|---|---|---|---|---|---|---|");
    for (row, taken) in taken.iter().flat_map(|(row, of_row)| of_row.iter().map(move |taken| (row, taken))) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            taken.peer.name(),
            number(taken.median(|figures| figures.units_a_second)),
            number(taken.median(|figures| figures.p50)),
            number(taken.median(|figures| figures.p99)),
            number(taken.median(|figures| figures.busy * 100.0)),
            number(taken.median(|figures| figures.waited * 100.0)),
            number(taken.median(|figures| figures.memory)),
        );
    }
}

fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{}, {cores} cores, Linux {}", model.unwrap_or("an unnamed processor"), kernel.trim())
}
