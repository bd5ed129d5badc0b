//! The inlets of one feed: which of its sources stand, and what that makes of the feed.
//!
//! Owns: the four standings and the way from one to another. Never: a clock or a lock; times are arguments.

use tokio::time::Instant;

use super::standing::{Report, Standing};

/// What is known of a feed's sources.
#[derive(Debug)]
pub(super) struct Inlets {
    /// Of its own sources, those that have an inlet; a handful.
    sources: Vec<(u64, Condition)>,
    opened: u64,
    standing: Standing,
    /// Since when no source stands.
    down_since: Option<Instant>,
    /// One of its sources cannot fall: it is published to.
    publishes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// Neither has it stood nor fallen.
    Unheard,
    Stands,
    Fell,
}

impl Inlets {
    pub(super) fn new(publishes: bool, now: Instant) -> Inlets {
        let down_since = (!publishes).then_some(now);
        Inlets { sources: Vec::new(), opened: 0, standing: Standing::Starting, down_since, publishes }
    }

    pub(super) fn report(&self) -> Report {
        Report { standing: self.standing, down_since: self.down_since }
    }

    /// Whether what the fallback says is to be heard.
    pub(super) fn wants_fallback(&self) -> bool {
        self.standing != Standing::Live
    }

    /// A source's inlet is there: its id.
    pub(super) fn open(&mut self) -> u64 {
        self.opened += 1;
        self.sources.push((self.opened, Condition::Unheard));
        self.opened
    }

    /// It is gone. With the last of all the feed stays as it is: that is the end of the process, or of the feed.
    pub(super) fn close(&mut self, id: u64, now: Instant) {
        self.sources.retain(|(source, _)| *source != id);
        self.judge(now);
    }

    /// The source has said something or is known to stand; `None` is who publishes.
    pub(super) fn stands(&mut self, id: Option<u64>) {
        self.mark(id, Condition::Stands);
        self.standing = Standing::Live;
        self.down_since = None;
    }

    pub(super) fn fell(&mut self, id: u64, now: Instant) {
        self.mark(Some(id), Condition::Fell);
        self.judge(now);
    }

    /// The fallback has said something that was heard.
    pub(super) fn fell_back(&mut self) {
        if self.wants_fallback() {
            self.standing = Standing::Fallback;
        }
    }

    /// The fallback is down as well.
    pub(super) fn fallback_fell(&mut self) {
        if self.standing == Standing::Fallback {
            self.standing = Standing::Stale;
        }
    }

    fn mark(&mut self, id: Option<u64>, condition: Condition) {
        for (source, known) in &mut self.sources {
            if Some(*source) == id {
                *known = condition;
            }
        }
    }

    /// A feed none of whose sources stands is stale once one has fallen, or where it was live.
    fn judge(&mut self, now: Instant) {
        let stands = self.publishes || self.sources.iter().any(|(_, condition)| *condition == Condition::Stands);
        let fell = self.sources.iter().any(|(_, condition)| *condition == Condition::Fell);
        if stands || !fell {
            return;
        }
        match self.standing {
            Standing::Starting | Standing::Live => self.standing = Standing::Stale,
            Standing::Stale | Standing::Fallback => {}
        }
        self.down_since.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Inlets;
    use crate::feed::standing::Standing;

    /// What happens to the sources `a` and `b` and to the fallback `f`, a second after each other: a letter and `+` for
    /// a sign of life, `-` for a failure, `x` for its end. Gives what viewers are told at each (`s`, `l`, `f`, or `.` for
    /// nothing), and since which second no source stands.
    #[track_caller]
    fn check(publishes: bool, story: &str, told: &str, down_since: Option<u64>) {
        let start = Instant::now();
        let mut inlets = Inlets::new(publishes, start);
        let (a, b) = (inlets.open(), inlets.open());
        let mut heard = String::new();
        for (second, event) in (1..).zip(story.split(' ')) {
            let now = start + Duration::from_secs(second);
            let before = inlets.report().standing;
            match event {
                "a+" => inlets.stands(Some(a)),
                "b+" => inlets.stands(Some(b)),
                "p+" => inlets.stands(None),
                "a-" => inlets.fell(a, now),
                "b-" => inlets.fell(b, now),
                "ax" => inlets.close(a, now),
                "bx" => inlets.close(b, now),
                "f+" => inlets.fell_back(),
                "f-" => inlets.fallback_fell(),
                other => panic!("{other}"),
            }
            heard.push(match before.told(inlets.report().standing) {
                None => '.',
                Some(Standing::Stale) => 's',
                Some(Standing::Live) => 'l',
                Some(Standing::Fallback) => 'f',
                Some(Standing::Starting) => panic!("it never starts again"),
            });
        }
        let since = inlets.report().down_since.map(|since| since.duration_since(start).as_secs());
        assert_eq!((heard.as_str(), since), (told, down_since), "{story}");
    }

    #[test]
    fn a_first_connect_is_not_told_and_a_failure_is_told_once() {
        check(false, "a+ a+ b+", "...", None);
        check(false, "a-", "s", Some(0));
        check(false, "a- a- b- a-", "s...", Some(0));
        check(false, "a- a+", "sl", None);
        check(false, "a+ a- a- a+", ".s.l", None);
        check(false, "a+ a-", ".s", Some(2));
    }

    #[test]
    fn a_feed_is_live_while_one_of_its_sources_stands() {
        check(false, "a+ b+ a- b-", "...s", Some(4));
        check(false, "a+ b- a- b+", "..sl", None);
        check(false, "a- b+ b-", "sls", Some(3));
    }

    #[test]
    fn a_source_that_is_gone_counts_no_more() {
        check(false, "a+ b- ax", "..s", Some(3));
        check(false, "a+ b- bx", "...", None);
        check(false, "a- ax b+", "s.l", None);
        check(false, "a+ ax bx", "...", None);
    }

    #[test]
    fn the_fallback_counts_while_no_source_stands() {
        check(false, "a+ a- f+ f+ a- a+", ".sf..l", None);
        check(false, "a+ a- f+ b+ f+", ".sfl.", None);
        check(false, "a+ f+ f-", "...", None);
        check(false, "f+ a- b-", "f..", Some(0));
        check(false, "a- f+ f- f+", "sfsf", Some(0));
        check(false, "f+ a+", "fl", None);
    }

    #[test]
    fn a_feed_that_is_published_to_never_falls() {
        check(true, "a- p+ a- a+ a-", ".....", None);
        check(true, "p+ a- ax bx", "....", None);
    }
}
