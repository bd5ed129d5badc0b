//! Sources: where a feed's messages come from.

pub mod alerts;
pub mod options;
pub mod stats;

pub use options::{AlertRule, AlertsOptions, Options, StatsOptions};
