//! The metrics of key sets (JWKS).
//!
//! Owns: their names and help texts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Of all auths.
#[derive(Debug, Default)]
pub(super) struct KeySets {
    keys: Family<AuthLabels, Gauge>,
    fetches: Family<FetchLabels, Counter>,
}

/// One auth's handles.
#[derive(Debug, Clone)]
pub struct KeySetMeters {
    /// Keys that are of use.
    pub keys: Gauge,
    fetched: Counter,
    failed: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AuthLabels {
    auth: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FetchLabels {
    auth: String,
    outcome: &'static str,
}

impl KeySets {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("jwks_keys", "Keys of an auth's key set that are of use", self.keys.clone());
        registry.register("jwks_fetches", "Fetches of an auth's key set, by outcome", self.fetches.clone());
    }

    pub(super) fn forget(&self, auth: &str) {
        self.keys.remove(&AuthLabels { auth: auth.to_owned() });
    }

    pub(super) fn of(&self, auth: &str) -> KeySetMeters {
        let outcome = |outcome| self.fetches.get_or_create_owned(&FetchLabels { auth: auth.to_owned(), outcome });
        KeySetMeters {
            keys: self.keys.get_or_create_owned(&AuthLabels { auth: auth.to_owned() }),
            fetched: outcome("ok"),
            failed: outcome("failed"),
        }
    }
}

impl KeySetMeters {
    pub fn fetched(&self) {
        self.fetched.inc();
    }

    pub fn failed(&self) {
        self.failed.inc();
    }
}
