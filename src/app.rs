//! The composition root: binds everything, then runs it.
//!
//! Owns: the order of start and end. Never: serves a request.

mod fill;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::timeout;

use crate::admin::Admin;
use crate::config::{Config, FeedConfig, Summary};
use crate::feed::branches::Starts;
use crate::feed::hub::FeedHub;
use crate::feed::pointer::PointerError;
use crate::guard::{AuthError, AuthOptions, Wardens};
use crate::limits;
use crate::net::connection::{self, Edge};
use crate::net::listener::{Accepted, Listener};
use crate::net::permit::Load;
use crate::net::tls::watch::Watcher;
use crate::net::tls::{Shared as TlsShared, Tls, TlsError};
use crate::net::{Connections, HttpsTarget, Limits};
use crate::networks::Networks;
use crate::route::Table;
use crate::route::service::Shared;
use crate::secret::Secret;
use crate::shutdown::{Stages, Tasks};
use crate::source::{self, SourceError};
use crate::telemetry::{AccessLog, Metrics};
use crate::upstream::{self, SetupError, Upstreams};
use crate::worker::{self, Bound, Work, Workers};
use fill::{Filled, Filler};

/// Everything bound, nothing served yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    listeners: Vec<Bound>,
    admin: Option<(Listener, Option<Secret>)>,
    tls: Vec<Tls>,
    hub: Arc<FeedHub>,
    sources: Vec<Filled>,
    starts: Starts,
    metrics: Arc<Metrics>,
    shared: Arc<Shared>,
    wardens: Arc<Wardens>,
    upstreams: Arc<upstream::Shared>,
    stages: Stages,
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
        let (hub, starts) = fill::hub(&config, &metrics)?;
        let hub = Arc::new(hub);
        let sources = fill::sources(&config, &hub)?;
        let limits = Arc::new(config.limits.clone());
        let (listeners, tls) = bind_listeners(&config, &limits)?;
        let admin = match &config.admin {
            None => None,
            Some(admin) => {
                let address = admin.listen;
                let listener = Listener::bind(address).map_err(|error| BindError::Admin { address, error })?;
                Some((listener, admin.token.clone()))
            }
        };
        let wardens = Arc::new(Wardens::try_new(&config.limit, &config.auths, &metrics)?);
        let table = Table::new(&config.routes, &wardens, &metrics, |feed| watchers(&config.feeds, feed));
        let access = AccessLog::start(config.log, metrics.log_lines_dropped.clone()).map_err(BindError::Log)?;
        let shared = Arc::new(Shared::new(table, access, &metrics));
        let upstreams = upstream::Shared::new(upstreams(&config), &metrics)?;
        let stages = Stages::default();
        Ok(App { config, listeners, admin, tls, hub, sources, starts, metrics, shared, wardens, upstreams, stages })
    }

    /// What is served, in the config's order.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        let address =
            |bound: &Bound| Some(Address { address: bound.listener.address().ok()?, tls: bound.edge.tls.is_some() });
        self.listeners.iter().filter_map(address).collect()
    }

    /// The admin listener's address, with its real port.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.0.address().ok()
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
            hub: Arc::clone(&self.hub),
            upstreams: Arc::clone(&self.upstreams),
            stages: self.stages.clone(),
            drain: self.config.drain,
        };
        let connections =
            Arc::new(Connections::new(self.config.limits.connections, self.metrics.connections_open.clone()));
        let access = self.shared.access.clone();
        let runtime = worker::runtime()?;
        let workers = Workers::start(self.config.workers.get(), &work, connections)?;
        let accepting = workers.accept(std::mem::take(&mut self.listeners));
        let stages = self.stages.clone();
        if accepting.is_ok() {
            runtime.block_on(self.control(&workers, stop));
        }
        stages.end();
        drop(runtime);
        workers.join();
        // What was cut off has been put on record by now.
        access.flush();
        accepting
    }

    async fn control<F: Future<Output = ()>>(self, workers: &Workers, stop: impl Fn() -> F) {
        let tasks = Tasks::new(self.stages.clone());
        let summary = Summary(&self.config).to_string();
        let admin_limits = Arc::new(self.config.limits.clone());
        let upstreams = Rc::new(Upstreams::new(Arc::clone(&self.upstreams), tasks.clone()));
        let filler = Filler::new(self.config.feeds, &self.hub, &self.metrics, &upstreams);
        for filled in self.sources {
            tasks.spawn_background(filler.whole(filled));
        }
        tasks.spawn_background(self.starts.run(tasks.clone(), move |feed| filler.branch(feed)));
        self.upstreams.run(&tasks);
        self.wardens.run(&tasks, &upstreams);
        if let Some((listener, token)) = self.admin {
            let admin = Admin {
                token,
                hub: Arc::clone(&self.hub),
                metrics: Arc::clone(&self.metrics),
                sockets: workers.sockets(),
                upstreams: Arc::clone(&self.upstreams),
                summary,
                stages: self.stages.clone(),
                limits: Arc::clone(&admin_limits),
            };
            tasks.spawn_background(serve_admin(listener, admin, admin_limits));
        }
        let _watcher = watch(self.tls);
        tokio::select! {
            () = stop() => self.stages.drain(),
            () = self.stages.draining() => {}
        }
        tracing::info!("draining: no new connections; open ones are closed over {:?}", self.config.drain.spread);
        tokio::select! {
            drained = timeout(self.config.drain.timeout, workers.finished()) => if drained.is_err() {
                tracing::warn!("the drain's time is over; what is left is ended");
            },
            () = stop() => tracing::warn!("told to stop again: what is left is ended"),
        }
        self.stages.end();
    }
}

/// The port that `https` means without one.
const HTTPS: u16 = 443;

fn bind_listeners(config: &Config, limits: &Arc<Limits>) -> Result<(Vec<Bound>, Vec<Tls>), BindError> {
    let shared = TlsShared::new().map_err(BindError::TlsStart)?;
    let trusted = Arc::new(Networks::new(config.trusted_proxies.iter().copied()));
    let (mut bound, mut all) = (Vec::new(), Vec::new());
    for (listener, options) in config.listeners.iter().enumerate() {
        let tls = options.tls.as_ref().map(|options| Tls::load(options, &shared)).transpose();
        let tls = tls.map_err(|error| BindError::Tls { listener, error })?;
        let address = options.address;
        let socket = Listener::bind(address).map_err(|error| BindError::Listener { listener, address, error })?;
        let edge = Edge {
            tls: tls.clone(),
            websocket_h2: options.websocket_h2,
            proxy_protocol: options.proxy_protocol,
            redirect: None,
            trusted: Arc::clone(&trusted),
            limits: Arc::clone(limits),
        };
        bound.push(Bound { listener: socket, edge });
        all.extend(tls);
    }
    for (listener, options) in config.listeners.iter().enumerate() {
        let Some(target) = &options.redirect_to_https else { continue };
        let redirect = redirect_to(target, |listener| Some(bound.get(listener)?.listener.address().ok()?.port()));
        if let Some(bound) = bound.get_mut(listener) {
            bound.edge.redirect = Some(redirect.into());
        }
    }
    Ok((bound, all))
}

/// The template of a redirect to `target`; `port` gives a listener's, as bound.
fn redirect_to(target: &HttpsTarget, port: impl Fn(usize) -> Option<u16>) -> String {
    let (host, port) = match target {
        HttpsTarget::Listener(listener) => (None, port(*listener).unwrap_or(HTTPS)),
        HttpsTarget::At { host, port } => (host.as_deref(), *port),
    };
    let host = host.unwrap_or("{host}");
    if port == HTTPS { format!("https://{host}{{uri}}") } else { format!("https://{host}:{port}{{uri}}") }
}

/// Those that the config names, those that routes ask before they let a request pass, those that have key sets, and those
/// that sources dial.
fn upstreams(config: &Config) -> impl Iterator<Item = &upstream::Options> {
    let asked = config.routes.iter().filter_map(|route| Some(&route.auth_request.as_ref()?.upstream));
    let keys = config.auths.iter().filter_map(AuthOptions::upstream);
    let sources = config.feeds.iter().flat_map(|feed| {
        let fallback = feed.fallback.iter().map(|fallback| &fallback.source);
        feed.sources.iter().chain(fallback).filter_map(source::Options::dial)
    });
    config.upstreams.iter().chain(asked).chain(keys).chain(sources.map(|dial| &dial.upstream))
}

/// The feeds whose alerts watch `feed`.
fn watchers(feeds: &[FeedConfig], feed: &str) -> Vec<String> {
    let watches = |source: &source::Options| matches!(source, source::Options::Alerts(alerts) if alerts.of == feed);
    feeds.iter().filter(|other| other.sources.iter().any(watches)).map(|other| other.feed.name.clone()).collect()
}

/// Re-reads certificates when their files change, for as long as what it gives is kept.
fn watch(tls: Vec<Tls>) -> Option<Watcher> {
    if tls.is_empty() {
        return None;
    }
    Watcher::start(tls)
        .inspect_err(|error| tracing::warn!(%error, "certificates are not watched: restart to have new ones read"))
        .ok()
}

/// Serves the admin listener, also while draining: that is when it is asked most.
async fn serve_admin(listener: Listener, admin: Admin, limits: Arc<Limits>) {
    let connections = Arc::new(Connections::new(limits::ADMIN_CONNECTIONS, Default::default()));
    let admin = Rc::new(admin);
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
