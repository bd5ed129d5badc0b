//! The composition root: binds everything, then runs it.
//!
//! Owns: the order of start and end. Never: serves a request.

mod change;
mod control;
mod doors;
mod fill;
mod keep;
mod made;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::admin::{self, Admin, Ask, Reloads};
use crate::config::Config;
use crate::feed::branches::Starts;
use crate::feed::pointer::PointerError;
use crate::guard::AuthError;
use crate::limits;
use crate::net::connection::{self, Edge};
use crate::net::listener::{Accepted, Listener};
use crate::net::permit::Load;
use crate::net::tls::TlsError;
use crate::net::{Connections, Limits};
use crate::route::service::Shared;
use crate::shutdown::{Stages, Tasks};
use crate::source::SourceError;
use crate::telemetry::{AccessLog, Metrics};
use crate::upstream::SetupError;
use crate::worker::{self, Work, Workers};
pub use control::Reader;
use control::{Control, Parts};
use made::{Beginnings, Made};

/// Everything bound, nothing served yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    reader: Option<Reader>,
    made: Made,
    beginnings: Beginnings,
    admin: Option<Listener>,
    starts: Starts,
    metrics: Arc<Metrics>,
    shared: Arc<Shared>,
    stages: Stages,
    reloads: Reloads,
    asked: mpsc::Receiver<Ask>,
}

/// An address served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// With its real port.
    pub address: SocketAddr,
    pub tls: bool,
}

/// Why the config's parts cannot be bound. `listener` is its place in the config.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address}: {error}")]
    Listener { listener: usize, address: SocketAddr, error: io::Error },
    #[error(
        "cannot listen on {address} while this process listens on {by}; take that away with one reload and add this with \
         the next, or restart"
    )]
    Held { listener: usize, address: SocketAddr, by: SocketAddr },
    #[error("cannot listen on {address} for admin: {error}")]
    Admin { address: SocketAddr, error: io::Error },
    #[error("listener {listener}: {error}")]
    Tls { listener: usize, error: TlsError },
    #[error("TLS cannot start: {0}")]
    TlsStart(TlsError),
    #[error("feed `{feed}`: {error}")]
    Source { feed: String, error: SourceError },
    #[error("feed `{feed}`: {error}")]
    Pointer { feed: String, error: PointerError },
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("upstreams cannot be set up: {0}")]
    Upstream(#[from] SetupError),
    #[error("the access log cannot start: {0}")]
    Log(io::Error),
}

impl App {
    /// Takes every address and file that the config names.
    ///
    /// # Errors
    /// The first that cannot be had.
    pub fn bind(config: Config) -> Result<App, BindError> {
        let metrics = Arc::new(Metrics::new());
        let (nothing, starts) = Made::nothing(&metrics)?;
        // The first is reported, as it always is where more than one is in the way.
        let first = |mut errors: Vec<BindError>| errors.swap_remove(0);
        let (made, beginnings) = nothing.after(&config, &metrics).map_err(first)?;
        let bind = |admin: &admin::Options| {
            let address = admin.listen;
            Listener::bind(address).map_err(|error| BindError::Admin { address, error })
        };
        let admin = config.admin.as_ref().map(bind).transpose()?;
        let access = AccessLog::start(config.log, metrics.log_lines_dropped.clone()).map_err(BindError::Log)?;
        let shared = Arc::new(Shared::new(access, &metrics));
        let (reloads, asked) = Reloads::queue();
        let (reader, stages) = (None, Stages::default());
        Ok(App { config, reader, made, beginnings, admin, starts, metrics, shared, stages, reloads, asked })
    }

    /// With this it can be told to [reload](App::reloads).
    #[must_use]
    pub fn with_reader(self, reader: Reader) -> App {
        App { reader: Some(reader), ..self }
    }

    /// To have the config read again from elsewhere.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// What is served, in the config's order.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.made.doors.addresses()
    }

    /// The admin listener's address, with its real port.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.address().ok()
    }

    /// To drain or end it from elsewhere.
    #[must_use]
    pub fn stages(&self) -> Stages {
        self.stages.clone()
    }

    /// Serves until `stop` completes, then drains and returns, at once where it completes a second time. The calling
    /// thread becomes the control thread.
    ///
    /// # Errors
    /// If a thread or a runtime cannot be had.
    pub fn run<F: Future<Output = ()>>(mut self, stop: impl Fn() -> F) -> io::Result<()> {
        let work = Work {
            shared: Arc::clone(&self.shared),
            edition: Arc::new(control::edition(&self.config, &self.made)),
            stages: self.stages.clone(),
        };
        let connections =
            Arc::new(Connections::new(self.config.limits.connections, self.metrics.connections_open.clone()));
        let access = self.shared.access.clone();
        let runtime = worker::runtime()?;
        let workers = Workers::start(self.config.workers.get(), &work, Arc::clone(&connections))?;
        // What it holds of the first config would outlive it.
        drop(work);
        let accepting = workers.accept(std::mem::take(&mut self.beginnings.bound));
        let stages = self.stages.clone();
        if accepting.is_ok() {
            runtime.block_on(self.control(&workers, connections, stop));
        }
        stages.end();
        drop(runtime);
        workers.join();
        // What was cut off has been put on record by now.
        access.flush();
        accepting
    }

    async fn control<F: Future<Output = ()>>(
        self,
        workers: &Workers,
        connections: Arc<Connections>,
        stop: impl Fn() -> F,
    ) {
        let App { config, reader, made, beginnings, admin, starts, metrics, stages, reloads, mut asked, .. } = self;
        let admin_limits = Arc::new(config.limits.clone());
        let parts = Parts { config, reader, made, metrics, connections, stages: stages.clone(), reloads };
        let mut control = Control::start(parts, beginnings, workers);
        let (tasks, filler) = (control.tasks().clone(), Rc::clone(control.filler()));
        tasks.spawn_background(starts.run(tasks.clone(), move |feed| filler.branch(feed)));
        if let Some(listener) = admin {
            tasks.spawn_background(serve_admin(listener, Rc::clone(control.admin()), admin_limits));
        }
        tokio::select! {
            () = stop() => stages.drain(),
            () = stages.draining() => {}
            () = control.obey(&mut asked, workers) => {}
        }
        // Whoever asks from now on is told so.
        asked.close();
        while asked.try_recv().is_ok() {}
        let drain = control.config().drain;
        tracing::info!("draining: no new connections; open ones are closed over {:?}", drain.spread);
        tokio::select! {
            drained = timeout(drain.timeout, workers.finished()) => if drained.is_err() {
                tracing::warn!("the drain's time is over; what is left is ended");
            },
            () = stop() => tracing::warn!("told to stop again: what is left is ended"),
        }
        stages.end();
    }
}

/// Serves the admin listener, also while draining: that is when it is asked most.
async fn serve_admin(listener: Listener, admin: Rc<Admin>, limits: Arc<Limits>) {
    let connections = Arc::new(Connections::new(limits::ADMIN_CONNECTIONS, Default::default()));
    let load = Load::default();
    // Its own stages: the drain is not its end.
    let tasks = Tasks::new(Stages::default());
    let edge = Edge::plain(limits);
    let accepting = listener.accept_each(|accepted: Accepted| {
        let Some(place) = connections.admit(&load) else { return };
        let (admin, own_tasks, edge) = (Rc::clone(&admin), tasks.clone(), edge.clone());
        tasks.spawn_small(async move { connection::serve(accepted, place, edge, own_tasks, admin).await });
    });
    if let Err(error) = accepting.await {
        tracing::error!(%error, "the admin listener ended");
    }
}
