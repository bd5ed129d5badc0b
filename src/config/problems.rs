//! The problems of one config while they are being collected.
//!
//! Owns: what keeps one mistake from being told twice: a value that could not be expanded is not judged, and a table
//! whose keys are wrong is not also said to lack some.

use std::collections::{BTreeMap, HashSet};

use super::problem::{Problem, Severity, Span, Wrong};

/// Everything wrong that was found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    /// Values that stand for nothing: what they would expand to is unknown.
    poisoned: HashSet<(usize, usize)>,
    /// Tables with a key that was refused.
    flawed: HashSet<(usize, usize)>,
    /// Lines that could not be parsed (start, end): what became of them is not judged, and nothing can be said to be absent.
    torn: BTreeMap<usize, usize>,
}

impl Problems {
    pub(super) fn error(&mut self, span: Span, wrong: Wrong) {
        self.push(Problem::error(span, wrong));
    }

    pub(super) fn warning(&mut self, span: Span, wrong: Wrong) {
        self.push(Problem::warning(span, wrong));
    }

    /// Something is absent from the table at `span`: said only where what is there was understood.
    pub(super) fn absent(&mut self, span: Span, wrong: Wrong) {
        if self.torn.is_empty() && !self.is_flawed(&span) {
            self.error(span, wrong);
        }
    }

    fn push(&mut self, problem: Problem) {
        let start = problem.span.start;
        let is_torn = self.torn.range(..=start).next_back().is_some_and(|(_, end)| start < *end);
        if !is_torn {
            self.list.push(problem);
        }
    }

    /// This line could not be parsed.
    pub(super) fn tear(&mut self, line: Span) {
        self.torn.insert(line.start, line.end);
    }

    pub(super) fn poison(&mut self, span: &Span) {
        self.poisoned.insert((span.start, span.end));
    }

    pub(super) fn is_poisoned(&self, span: &Span) -> bool {
        self.poisoned.contains(&(span.start, span.end))
    }

    pub(super) fn flaw(&mut self, table: &Span) {
        self.flawed.insert((table.start, table.end));
    }

    pub(super) fn is_flawed(&self, table: &Span) -> bool {
        self.flawed.contains(&(table.start, table.end))
    }

    pub(super) fn have_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them, in the order of the file, each once, whoever found it.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.list.sort_by_key(|problem| problem.span.start);
        self.list.dedup();
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_called_absent_from_what_was_not_understood() {
        let mut problems = Problems::default();
        problems.flaw(&(3..9));
        problems.absent(3..9, Wrong::new("a", "b"));
        assert!(!problems.have_errors());
        problems.absent(4..9, Wrong::new("a", "b"));
        assert!(problems.have_errors());
        problems.tear(20..25);
        problems.error(21..22, Wrong::new("a", "b"));
        problems.absent(5..9, Wrong::new("a", "b"));
        assert_eq!(problems.into_sorted().len(), 1);
    }

    #[test]
    fn problems_come_once_and_in_the_order_of_the_file() {
        let mut problems = Problems::default();
        problems.warning(9..10, Wrong::new("a", "b"));
        problems.error(1..2, Wrong::new("c", "d"));
        problems.error(1..2, Wrong::new("c", "d"));
        let starts: Vec<usize> = problems.into_sorted().iter().map(|problem| problem.span.start).collect();
        assert_eq!(starts, [1, 9]);
    }
}
