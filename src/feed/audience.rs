//! An audience: the viewers of a feed, on one worker, who get the same bytes.
//!
//! Owns: the choice of shape, members, types and keys, and the last message encoded for it. Never: encodes a message
//! that was left unchanged by the selection; that encoding is the message's own, shared by all workers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::message::{Encoding, Message};
use super::options::Shape;
use super::select::Selection;

/// Who gets what. Viewers with equal terms share one.
#[derive(Debug)]
pub struct Audience {
    shape: Shape,
    deflate: bool,
    selection: Selection,
    /// The newest message encoded with only the selected members of its data.
    encoded: RefCell<Option<(u64, Rc<Encoding>)>>,
}

/// The audiences of one roster. Those without a viewer are forgotten.
#[derive(Debug, Default)]
pub struct Audiences {
    known: RefCell<HashMap<Terms, Weak<Audience>>>,
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
        &self.selection
    }

    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    #[must_use]
    pub fn deflate(&self) -> bool {
        self.deflate
    }

    #[must_use]
    pub fn wants(&self, message: &Message) -> bool {
        let envelope = message.envelope();
        self.selection.matches(envelope.type_(), envelope.key())
    }

    /// Calls `then` with the WebSocket frame of `message`, without copying it.
    pub fn with_frame<T>(&self, message: &Message, then: impl FnOnce(&Bytes) -> T) -> T {
        self.with_encoding(message, |encoding| then(if self.deflate { encoding.deflated() } else { encoding.frame() }))
    }

    /// Calls `then` with the encoding of `message` for this audience.
    pub fn with_encoding<T>(&self, message: &Message, then: impl FnOnce(&Encoding) -> T) -> T {
        let Some(fields) = self.selection.fields.as_deref().filter(|_| self.shape != Shape::Raw) else {
            return then(message.encoding(self.shape));
        };
        let known = self.encoded.borrow().as_ref().filter(|(seq, _)| *seq == message.seq()).map(|(_, e)| Rc::clone(e));
        let encoding = known.unwrap_or_else(|| {
            let made = Rc::new(Encoding::new(message.envelope(), self.shape, Some(fields)));
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
        let mut known = self.known.borrow_mut();
        if let Some(audience) = known.get(&terms).and_then(Weak::upgrade) {
            return audience;
        }
        known.retain(|_, audience| audience.strong_count() > 0);
        let audience =
            Rc::new(Audience { shape, deflate, selection: terms.selection.clone(), encoded: RefCell::new(None) });
        known.insert(terms, Rc::downgrade(&audience));
        audience
    }
}
