//! Field sets: which members of `data` a viewer wants.
//!
//! Owns: [`FieldSet`], and [`FieldSets`], through which a feed bounds how many different ones its viewers have, since
//! each is encoded by itself. A set is given back when its last viewer drops it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::limits;

/// Names of members of `data`, sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldSet(Box<[Box<str>]>);

/// The different field sets of one feed's viewers, shared by all workers.
#[derive(Debug, Default)]
pub struct FieldSets(Mutex<Vec<Weak<FieldSet>>>);

/// The feed's viewers already have [`limits::FIELD_SETS`] different field sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this feed's viewers already ask for {max} different sets of fields; ask for one of those, or for all fields", max = limits::FIELD_SETS)]
pub struct TooManyFieldSets;

impl FieldSet {
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = Box<str>>) -> FieldSet {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        FieldSet(names.into())
    }

    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|own| (**own).cmp(name)).is_ok()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }
}

impl FieldSets {
    /// The one `Arc` of all that equal `set`: two viewers want the same if theirs are `ptr_eq`. `given_up` is what the
    /// viewer had until now, and lets go of where it is given another: its place is free if nobody else holds it.
    ///
    /// # Errors
    /// If the set is new and there are [`limits::FIELD_SETS`] others in use.
    pub fn intern(
        &self,
        set: Arc<FieldSet>,
        given_up: Option<&Arc<FieldSet>>,
    ) -> Result<Arc<FieldSet>, TooManyFieldSets> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|known| known.strong_count() > 0);
        if let Some(known) = sets.iter().filter_map(Weak::upgrade).find(|known| *known == set) {
            return Ok(known);
        }
        if sets.len() >= limits::FIELD_SETS {
            // Others come by it only through this lock.
            let free = given_up.filter(|own| Arc::strong_count(own) == 1).ok_or(TooManyFieldSets)?;
            sets.retain(|known| !std::ptr::eq(known.as_ptr(), Arc::as_ptr(free)));
        }
        if sets.len() >= limits::FIELD_SETS {
            return Err(TooManyFieldSets);
        }
        sets.push(Arc::downgrade(&set));
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{FieldSet, FieldSets, TooManyFieldSets};
    use crate::limits;

    fn set(names: &[&str]) -> Arc<FieldSet> {
        Arc::new(FieldSet::new(names.iter().map(|name| Box::from(*name))))
    }

    #[test]
    fn a_set_is_its_names_in_any_order() {
        assert_eq!(set(&["b", "a", "b"]), set(&["a", "b"]));
        assert_eq!(set(&["b", "a"]).names().collect::<Vec<_>>(), ["a", "b"]);
        assert!(set(&["cpu", "a"]).contains("cpu"));
        assert!(!set(&["cpu", "a"]).contains("cp"));
    }

    #[test]
    fn equal_sets_become_one() {
        let sets = FieldSets::default();
        let first = sets.intern(set(&["a", "b"]), None).unwrap();
        let second = sets.intern(set(&["b", "a"]), None).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &sets.intern(set(&["a"]), None).unwrap()));
    }

    #[test]
    fn the_sets_are_bounded_and_given_back() {
        let sets = FieldSets::default();
        let mut held: Vec<_> =
            (0..limits::FIELD_SETS).map(|n| sets.intern(set(&[&n.to_string()]), None).unwrap()).collect();
        assert_eq!(sets.intern(set(&["one more"]), None), Err(TooManyFieldSets));
        assert!(sets.intern(set(&["0"]), None).is_ok(), "a known one still goes");
        held.pop();
        assert!(sets.intern(set(&["one more"]), None).is_ok());
    }

    #[test]
    fn the_set_that_is_given_up_for_another_makes_room_where_it_is_nobody_elses() {
        let sets = FieldSets::default();
        let mut held: Vec<_> =
            (0..limits::FIELD_SETS).map(|n| sets.intern(set(&[&n.to_string()]), None).unwrap()).collect();
        let other = Arc::clone(&held[0]);
        assert_eq!(sets.intern(set(&["new"]), Some(&held[0])), Err(TooManyFieldSets));
        drop(other);
        held[0] = sets.intern(set(&["new"]), Some(&held[0])).unwrap();
        assert_eq!(sets.intern(set(&["newer"]), None), Err(TooManyFieldSets), "there are as many as before");
        assert!(Arc::ptr_eq(&held[0], &sets.intern(set(&["new"]), None).unwrap()));
    }
}
