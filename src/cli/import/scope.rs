//! What holds at a place of the configuration: its own directives, and those of the blocks around it.
//!
//! Owns: inheritance, as nginx has it: a directive of an inner block replaces all of its name further out.

use super::syntax::Directive;

/// The blocks around a place.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'a> {
    /// Outermost first.
    levels: Vec<&'a [Directive]>,
}

impl<'a> Scope<'a> {
    /// This scope with one more block inside.
    pub(super) fn with(&self, block: &'a [Directive]) -> Scope<'a> {
        let mut levels = self.levels.clone();
        levels.push(block);
        Scope { levels }
    }

    /// The directives of this name in the innermost block that has any.
    pub(super) fn nearest(&self, name: &str) -> Vec<&'a Directive> {
        self.levels_with(|directive| directive.name == name)
    }

    /// All that are `wanted` in the innermost block that has any.
    pub(super) fn levels_with(&self, wanted: impl Fn(&&'a Directive) -> bool) -> Vec<&'a Directive> {
        let found = |block: &&'a [Directive]| block.iter().filter(&wanted).collect::<Vec<_>>();
        self.levels.iter().rev().map(found).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The one that holds.
    pub(super) fn last(&self, name: &str) -> Option<&'a Directive> {
        self.nearest(name).pop()
    }

    /// Whether the one that holds says `on`.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.last(name).is_some_and(|directive| directive.arg(0) == "on")
    }

    /// The directives of the innermost block.
    pub(super) fn own(&self) -> &'a [Directive] {
        self.levels.last().copied().unwrap_or_default()
    }

    /// Those of the innermost block that have this name.
    pub(super) fn own_named(&self, name: &str) -> impl Iterator<Item = &'a Directive> + use<'a> {
        let name = name.to_owned();
        self.own().iter().filter(move |directive| directive.name == name)
    }

    /// Those of all blocks that have this name, outermost first.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a Directive> {
        self.levels.iter().flat_map(|block| block.iter()).filter(move |directive| directive.name == name)
    }

    /// What `set` makes of a variable, unless a condition may set it otherwise.
    pub(super) fn set_to(&self, variable: &str) -> Option<&'a str> {
        let sets = |d: &Directive| d.name == "set" && d.arg(0).strip_prefix('$') == Some(variable);
        if self.all("if").any(|condition| condition.inside().iter().any(sets)) {
            return None;
        }
        self.all("set").filter(|d| sets(d)).last().map(|d| d.arg(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::testing::directive;

    #[test]
    fn an_inner_block_replaces_all_of_a_name() {
        let outer = [directive("a", &["1"]), directive("a", &["2"]), directive("b", &["on"])];
        let inner = [directive("a", &["3"])];
        let scope = Scope::default().with(&outer).with(&inner);
        assert_eq!(scope.nearest("a").len(), 1);
        assert_eq!(scope.last("a").unwrap().arg(0), "3");
        assert!(scope.is_on("b"));
        assert_eq!(scope.all("a").count(), 3);
        assert_eq!(scope.own_named("b").count(), 0);
    }

    #[test]
    fn a_variable_that_a_condition_sets_is_no_constant() {
        let sure = [directive("set", &["$a", "1"]), directive("set", &["$a", "2"])];
        assert_eq!(Scope::default().with(&sure).set_to("a"), Some("2"));
        assert_eq!(Scope::default().with(&sure).set_to("b"), None);
        let perhaps = [sure[0].clone(), Directive { block: Some(sure.to_vec()), ..directive("if", &["($b)"]) }];
        assert_eq!(Scope::default().with(&perhaps).set_to("a"), None);
    }
}
