//! The numbers of a feed's standing.
//!
//! Never: how long a fallback waits, which the config says.

/// Changes of a feed's standing that its log keeps: a viewer that missed more has missed nothing by missing the oldest.
pub const NOTICES: usize = 16;
