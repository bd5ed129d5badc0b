//! An audience: the viewers of a feed, on one worker, who get the same bytes.
//!
//! Owns: the choice of shape, members, types and keys, and the last message encoded for it. Never: encodes a message
//! that was left unchanged by the selection; that encoding is the message's own, shared by all workers. Nor holds on to
//! a field set that no viewer has any more.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::message::{Encoding, Message};
use super::options::Shape;
use super::select::Selection;
use crate::limits;

/// Who gets what. Viewers with equal terms share one.
#[derive(Debug)]
pub struct Audience {
    terms: Terms,
    /// The newest message encoded with only the selected members of its data.
    encoded: RefCell<Option<(u64, Rc<Encoding>)>>,
}

/// The audiences of one roster. Those without a viewer are forgotten.
#[derive(Debug, Default)]
pub struct Audiences {
    known: RefCell<Known>,
    hasher: RandomState,
}

/// By the hash of their terms, which they hold themselves: a copy here would keep a field set in use.
#[derive(Debug, Default)]
struct Known {
    by_hash: HashMap<u64, Vec<Weak<Audience>>>,
    count: usize,
    /// At this count those without a viewer are looked for: at twice what was left the last time.
    full: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Terms {
    shape: Shape,
    deflate: bool,
    selection: Selection,
}

impl Audience {
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.terms.selection
    }

    #[must_use]
    pub fn shape(&self) -> Shape {
        self.terms.shape
    }

    #[must_use]
    pub fn deflate(&self) -> bool {
        self.terms.deflate
    }

    #[must_use]
    pub fn wants(&self, message: &Message) -> bool {
        let envelope = message.envelope();
        self.terms.selection.matches(envelope.type_(), envelope.key())
    }

    /// Calls `then` with the WebSocket frame of `message`, without copying it.
    pub fn with_frame<T>(&self, message: &Message, then: impl FnOnce(&Bytes) -> T) -> T {
        self.with_encoding(message, |encoding| {
            then(if self.terms.deflate { encoding.deflated() } else { encoding.frame() })
        })
    }

    /// Calls `then` with the encoding of `message` for this audience.
    pub fn with_encoding<T>(&self, message: &Message, then: impl FnOnce(&Encoding) -> T) -> T {
        let Terms { shape, selection, .. } = &self.terms;
        let Some(fields) = selection.fields.as_deref().filter(|_| *shape != Shape::Raw) else {
            return message.with_encoding(*shape, then);
        };
        let known = self.encoded.borrow().as_ref().filter(|(seq, _)| *seq == message.seq()).map(|(_, e)| Rc::clone(e));
        let encoding = known.unwrap_or_else(|| {
            let made = Rc::new(Encoding::new(message.envelope(), *shape, Some(fields)));
            *self.encoded.borrow_mut() = Some((message.seq(), Rc::clone(&made)));
            made
        });
        then(&encoding)
    }
}

impl Audiences {
    /// The audience with these terms; a selection's pace (`every`) is each viewer's own.
    pub fn join(&self, shape: Shape, deflate: bool, selection: &Selection) -> Rc<Audience> {
        let selection = Selection { every: None::<Duration>, ..selection.clone() };
        let terms = Terms { shape, deflate, selection };
        let hash = self.hasher.hash_one(&terms);
        let mut known = self.known.borrow_mut();
        let same =
            known.by_hash.get(&hash).into_iter().flatten().filter_map(Weak::upgrade).find(|one| one.terms == terms);
        if let Some(audience) = same {
            return audience;
        }
        let audience = Rc::new(Audience { terms, encoded: RefCell::new(None) });
        known.add(hash, &audience);
        audience
    }
}

impl Known {
    /// Gives how many were looked at on that occasion: over time, about two for each that is added.
    fn add(&mut self, hash: u64, audience: &Rc<Audience>) -> usize {
        let looked_at = if self.count >= self.full { self.prune() } else { 0 };
        self.by_hash.entry(hash).or_default().push(Rc::downgrade(audience));
        self.count += 1;
        looked_at
    }

    fn prune(&mut self) -> usize {
        let before = self.count;
        self.count = 0;
        self.by_hash.retain(|_, audiences| {
            audiences.retain(|audience| audience.strong_count() > 0);
            self.count += audiences.len();
            !audiences.is_empty()
        });
        self.full = (2 * self.count).max(limits::FIELD_SETS);
        before
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use super::Audiences;
    use crate::feed::Shape;
    use crate::feed::select::from_query;
    use crate::limits;

    #[test]
    fn equal_terms_share_an_audience_whatever_their_pace() {
        let audiences = Audiences::default();
        let join = |query: &str, shape, deflate| {
            audiences.join(shape, deflate, &from_query(query).expect("a query").selection)
        };
        let first = join("fields=a,b&every=1s", Shape::Envelope, false);
        assert!(Rc::ptr_eq(&first, &join("fields=b,a", Shape::Envelope, false)));
        for other in [
            join("fields=a", Shape::Envelope, false),
            join("fields=a,b", Shape::Mirrored, false),
            join("fields=a,b", Shape::Envelope, true),
        ] {
            assert!(!Rc::ptr_eq(&first, &other));
        }
    }

    #[test]
    fn a_field_set_goes_with_its_last_viewer() {
        let audiences = Audiences::default();
        let selection = from_query("fields=a").expect("a query").selection;
        let audience = audiences.join(Shape::Envelope, false, &selection);
        let set = Arc::downgrade(selection.fields.as_ref().expect("fields"));
        drop(selection);
        assert_eq!(set.strong_count(), 1);
        drop(audience);
        assert_eq!(set.strong_count(), 0);
    }

    #[test]
    fn as_many_audiences_as_there_are_viewers_cost_no_more_each_than_a_few() {
        const MANY: usize = 5000;
        let mut known = super::Known::default();
        let make = |number: usize| {
            let selection = from_query(&format!("types={number}")).expect("a query").selection;
            Audiences::default().join(Shape::Envelope, false, &selection)
        };
        let held: Vec<_> = (0..MANY).map(make).collect();
        let looked_at: usize = held.iter().enumerate().map(|(hash, audience)| known.add(hash as u64, audience)).sum();
        assert!(looked_at <= 2 * MANY, "{looked_at}");
        drop(held);
        let mut most = 0;
        for number in 0..4 * MANY {
            known.add(number as u64, &make(number));
            most = most.max(known.count);
        }
        assert!(most <= 2 * MANY && known.count <= limits::FIELD_SETS, "{most}, then {}", known.count);
    }
}
