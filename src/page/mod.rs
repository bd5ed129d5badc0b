//! The embedded live page.
