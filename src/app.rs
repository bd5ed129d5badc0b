//! The composition root: binds everything, then runs it.
