//! A feed as it is configured: what all branches of it have in common.
//!
//! Never: anything that holds a message.

use super::branch::Forward;
use super::normalize::Normalizer;
use super::options::Options;
use super::pointer::PointerError;
use crate::telemetry::FeedMeters;

/// A feed's options and what is made of them once for all its branches.
#[derive(Debug)]
pub struct Plan {
    options: Options,
    normalizer: Normalizer,
    meters: FeedMeters,
    /// One of its sources is `publish`.
    publishes: bool,
    forward: Option<Forward>,
}

impl Plan {
    /// `forward` is how a viewer's own token goes upstream, where it does.
    ///
    /// # Errors
    /// If the options' `key` or the `at` of a `skip` is no JSON Pointer.
    pub fn try_new(
        options: Options,
        publishes: bool,
        forward: Option<Forward>,
        meters: FeedMeters,
    ) -> Result<Plan, PointerError> {
        Ok(Plan { normalizer: Normalizer::new(&options.normalize)?, options, meters, publishes, forward })
    }

    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    #[must_use]
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    #[must_use]
    pub fn meters(&self) -> &FeedMeters {
        &self.meters
    }

    /// Whether the admin listener may publish to it.
    #[must_use]
    pub fn publishes(&self) -> bool {
        self.publishes
    }

    /// How a viewer's own token goes upstream.
    #[must_use]
    pub fn forward(&self) -> Option<&Forward> {
        self.forward.as_ref()
    }
}
