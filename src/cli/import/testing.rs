//! What tests of the importer are made of.

use super::syntax::{Directive, Place};

/// A directive without a block.
pub(super) fn directive(name: &str, args: &[&str]) -> Directive {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Directive { id: 0, name: name.to_owned(), args, place: Place::default(), block: None }
}
