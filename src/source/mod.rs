//! Sources: where a feed's messages come from.

pub mod options;
pub mod stats;

pub use options::{AlertRule, AlertsOptions, Options, StatsOptions};
