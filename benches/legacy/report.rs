//! What was found, each figure beside what it must be.

use std::fmt::Write;

use super::support::report::number;

/// One figure.
#[derive(Debug)]
pub struct Finding {
    row: &'static str,
    what: String,
    figure: String,
    aim: String,
    missed: bool,
}

impl Finding {
    /// A figure that is at most this; it is printed at once.
    pub fn at_most(row: &'static str, what: &str, figure: f64, most: f64, unit: &str) -> Finding {
        let aim = format!("at most {most} {unit}");
        // Nothing measured is no success.
        let missed = figure.is_nan() || figure > most;
        Finding { row, what: what.to_owned(), figure: format!("{} {unit}", number(figure)), aim, missed }.told()
    }

    /// A count that must be exactly this.
    pub fn exactly(row: &'static str, what: &str, count: u64, wanted: u64) -> Finding {
        let (figure, aim) = (count.to_string(), wanted.to_string());
        Finding { row, what: what.to_owned(), figure, aim, missed: count != wanted }.told()
    }

    /// What is only told.
    pub fn told_only(row: &'static str, what: &str, figure: f64, unit: &str) -> Finding {
        let figure = format!("{} {unit}", number(figure));
        Finding { row, what: what.to_owned(), figure, aim: "-".to_owned(), missed: false }.told()
    }

    fn told(self) -> Finding {
        let Finding { what, figure, aim, missed, .. } = &self;
        println!("  {what:<72} {figure:>14}   ({aim}{})", if *missed { ", MISSED" } else { "" });
        self
    }
}

/// The whole, for a README. Writing to a String does not fail.
pub fn markdown(findings: &[Finding]) -> String {
    let mut text = "| row | what | measured | aim |\n|---|---|---|---|\n".to_owned();
    for Finding { row, what, figure, aim, missed } in findings {
        let missed = if *missed { ", missed" } else { "" };
        let _ = writeln!(text, "| {row} | {what} | {figure} | {aim}{missed} |");
    }
    text
}
