//! The listeners of the process, from which the first worker accepts for all.
//!
//! Owns: that each ends when its gate is closed or everything drains, and that nothing more is placed once all have. Never:
//! serves a connection.

use std::cell::Cell;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::Placement;
use crate::net::connection::Edge;
use crate::net::listener::Listener;
use crate::shutdown::Tasks;

/// A listener, and what lets its connections in.
#[derive(Debug)]
pub struct Bound {
    pub listener: Listener,
    pub gate: Arc<Gate>,
}

/// What the connections of one listener have in common, and its end.
#[derive(Debug)]
pub struct Gate {
    edge: ArcSwap<Edge>,
    closing: CancellationToken,
    closed: CancellationToken,
}

/// All listeners that are accepted from.
#[derive(Debug)]
pub(super) struct Accepting {
    tasks: Tasks,
    /// The end of all is waited for.
    sealing: Cell<bool>,
}

impl Gate {
    #[must_use]
    pub fn new(edge: Edge) -> Gate {
        Gate { edge: ArcSwap::from_pointee(edge), closing: CancellationToken::new(), closed: CancellationToken::new() }
    }

    /// What connections have that are accepted from now on.
    pub fn set_edge(&self, edge: Edge) {
        self.edge.store(Arc::new(edge));
    }

    /// Accepts no more; completes when the address is free. What is open stays.
    pub async fn close(&self) {
        self.closing.cancel();
        self.closed.cancelled().await;
    }
}

impl Accepting {
    pub(super) fn new(tasks: &Tasks) -> Accepting {
        Accepting { tasks: Tasks::new(tasks.stages().clone()), sealing: Cell::new(false) }
    }

    /// Accepts from these, too, until they close or everything drains.
    pub(super) fn accept(&self, listeners: Vec<Bound>, placement: &Arc<Placement>) {
        for Bound { listener, gate } in listeners {
            let (placement, tasks) = (Arc::clone(placement), self.tasks.clone());
            self.tasks.spawn_small(async move {
                let _closed = gate.closed.clone().drop_guard();
                tokio::select! {
                    biased;
                    () = tasks.stages().draining() => {}
                    () = gate.closing.cancelled() => {}
                    outcome = listener.accept_each(|accepted| placement.place(accepted, &gate.edge.load())) => {
                        if let Err(error) = outcome {
                            tracing::error!(%error, "a listener ended");
                        }
                    }
                }
            });
        }
        if self.sealing.replace(true) {
            return;
        }
        let (placement, tasks) = (Arc::clone(placement), self.tasks.clone());
        self.tasks.spawn_background(async move {
            tasks.stages().draining().await;
            tasks.finished().await;
            placement.sealed.cancel();
        });
    }
}
