//! Gauges that are shown as one: their sum at the moment they are asked for.
//!
//! Owns: which parts there are. Never: counts a part that has been dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use slab::Slab;

/// The sum, and the gauge that shows it.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    shown: Gauge,
    parts: Arc<Mutex<Slab<Gauge>>>,
}

/// One of the gauges, until it is dropped.
#[derive(Debug)]
pub struct Part {
    sum: Sum,
    gauge: Gauge,
    slot: usize,
}

impl Sum {
    pub(super) fn shown_by(shown: Gauge) -> Sum {
        Sum { shown, parts: Arc::default() }
    }

    pub(super) fn part(&self) -> Part {
        let gauge = Gauge::default();
        let slot = self.lock().insert(gauge.clone());
        Part { sum: self.clone(), gauge, slot }
    }

    pub(super) fn show(&self) {
        let sum = self.lock().iter().map(|(_, part)| part.get()).sum();
        self.shown.set(sum);
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Gauge>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    #[must_use]
    pub fn gauge(&self) -> &Gauge {
        &self.gauge
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.sum.lock().try_remove(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::gauge::Gauge;

    use super::Sum;

    #[test]
    fn a_part_counts_until_it_is_dropped() {
        let shown = Gauge::default();
        let sum = Sum::shown_by(shown.clone());
        let check = |expected: i64| {
            sum.show();
            assert_eq!(shown.get(), expected);
        };
        let (one, other) = (sum.part(), sum.part());
        one.gauge().set(1);
        other.gauge().set(1);
        check(2);
        drop(one);
        check(1);
        other.gauge().set(0);
        check(0);
    }
}
