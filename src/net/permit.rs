//! Counting connections: the process's cap, and each worker's load.
//!
//! Never: counts by hand; a [`ConnectionPermit`] gives its place back on drop, wherever its socket ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::gauge::Gauge;

use crate::limits;

/// The process's connections.
#[derive(Debug)]
pub struct Connections {
    open: AtomicUsize,
    cap: AtomicUsize,
    gauge: Gauge,
}

/// How many sockets one worker holds.
pub type Load = Arc<AtomicUsize>;

/// One connection's place, in the process and on its worker.
#[derive(Debug)]
pub struct ConnectionPermit {
    connections: Arc<Connections>,
    load: Load,
}

/// A connection's permit as it is given.
#[derive(Debug)]
pub struct Place {
    pub permit: ConnectionPermit,
    /// Beyond the cap: it is there to be refused.
    pub over_cap: bool,
}

impl Connections {
    #[must_use]
    pub fn new(cap: usize, gauge: Gauge) -> Connections {
        Connections { open: AtomicUsize::new(0), cap: AtomicUsize::new(cap), gauge }
    }

    /// Those that are open beyond it stay.
    pub fn set_cap(&self, cap: usize) {
        self.cap.store(cap, Ordering::Relaxed);
    }

    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place on the worker with this `load`; `None` beyond the cap and the few that are let in to be told so.
    pub fn admit(self: &Arc<Self>, load: &Load) -> Option<Place> {
        let (cap, before) = (self.cap.load(Ordering::Relaxed), self.open.fetch_add(1, Ordering::Relaxed));
        if before >= cap + limits::REFUSED_CONNECTIONS {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        load.fetch_add(1, Ordering::Relaxed);
        self.gauge.inc();
        let permit = ConnectionPermit { connections: Arc::clone(self), load: Arc::clone(load) };
        Some(Place { permit, over_cap: before >= cap })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.connections.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use prometheus_client::metrics::gauge::Gauge;

    use super::{Connections, Load};
    use crate::limits;

    #[test]
    fn a_few_over_the_cap_are_refused_politely_and_the_rest_not_at_all() {
        let connections = Arc::new(Connections::new(2, Gauge::default()));
        let load = Load::default();
        let permits: Vec<_> = (0..2 + limits::REFUSED_CONNECTIONS).filter_map(|_| connections.admit(&load)).collect();
        assert_eq!(permits.iter().filter(|place| place.over_cap).count(), limits::REFUSED_CONNECTIONS);
        assert!(connections.admit(&load).is_none());
        drop(permits);
        assert_eq!((connections.open(), load.load(Ordering::Relaxed)), (0, 0));
        assert!(connections.admit(&load).is_some_and(|place| !place.over_cap));
    }
}
