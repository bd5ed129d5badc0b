//! The control thread: what it runs beside the workers, and how another config comes into use.
//!
//! Owns: that a config is had whole before anything changes, one at a time, and that each reload is told in one line. Never:
//! closes a socket that could have been opened as it was with the config that is in use.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::fill::Filler;
use super::made::{Beginnings, Made};
use super::{BindError, change};
use crate::admin::{Admin, Ask, Changes, Outcome, Reloads, Trouble, View};
use crate::config::{Config, Loaded, Problem, Refused, Severity, Summary};
use crate::guard::Wardens;
use crate::guard::wardens::Chores;
use crate::limits;
use crate::net::Connections;
use crate::net::tls::watch::Watcher;
use crate::shutdown::{self, Stages, Tasks};
use crate::telemetry::{self, Metrics};
use crate::upstream::{Upkeep, Upstreams};
use crate::worker::{Edition, Workers};

/// How a config is read again.
#[derive(Clone)]
pub struct Reader {
    /// Reads and checks it. It may block.
    pub read: Arc<dyn Fn() -> Result<Loaded, Refused> + Send + Sync>,
    /// What could not be bound, as a problem of the config.
    pub place: fn(&Loaded, &BindError) -> Option<Problem>,
}

/// What runs on the control thread.
pub(super) struct Control {
    config: Config,
    reader: Option<Reader>,
    made: Made,
    filler: Rc<Filler>,
    upstreams: Rc<Upstreams>,
    upkeep: Upkeep,
    chores: Chores,
    admin: Rc<Admin>,
    watcher: Option<Watcher>,
    metrics: Arc<Metrics>,
    connections: Arc<Connections>,
    tasks: Tasks,
}

/// What it is made with.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) reader: Option<Reader>,
    pub(super) made: Made,
    pub(super) metrics: Arc<Metrics>,
    pub(super) connections: Arc<Connections>,
    pub(super) stages: Stages,
    pub(super) reloads: Reloads,
}

impl Control {
    /// Runs what belongs to the first config.
    pub(super) fn start(parts: Parts, beginnings: Beginnings, workers: &Workers) -> Control {
        let Parts { config, reader, made, metrics, connections, stages, reloads } = parts;
        let tasks = Tasks::new(stages.clone());
        let upstreams = Rc::new(Upstreams::new(Arc::clone(&made.upstreams), tasks.clone()));
        let filler = Rc::new(Filler::new(&made, &metrics, &upstreams, &tasks));
        filler.turn_to(&made, &upstreams, beginnings.filled);
        let (mut upkeep, mut chores) = (Upkeep::new(&tasks), Chores::default());
        upkeep.turn_to(&made.upstreams, &metrics);
        made.wardens.run(&Wardens::default(), &mut chores, &tasks, &upstreams);
        let admin = Rc::new(Admin {
            metrics: Arc::clone(&metrics),
            sockets: workers.sockets(),
            stages,
            reloads,
            view: RefCell::new(Rc::new(view(&config, &made))),
        });
        let watcher = watch(&made);
        Control { config, reader, made, filler, upstreams, upkeep, chores, admin, watcher, metrics, connections, tasks }
    }

    pub(super) fn admin(&self) -> &Rc<Admin> {
        &self.admin
    }

    pub(super) fn filler(&self) -> &Rc<Filler> {
        &self.filler
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The config that is in use.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Reloads each time that someone asks; never ends while anyone may.
    pub(super) async fn obey(&mut self, asked: &mut mpsc::Receiver<Ask>, workers: &Workers) {
        while let Some(ask) = asked.recv().await {
            let outcome = self.reload(workers).await;
            tell(&outcome);
            self.metrics.reloaded(match &outcome {
                Outcome::Applied(_) => "ok",
                Outcome::Refused(_) => "refused",
            });
            // Whoever asked may have gone.
            ask.map(|answer| answer.send(outcome));
        }
    }

    async fn reload(&mut self, workers: &Workers) -> Outcome {
        let Some(reader) = self.reader.clone() else {
            return refused("this process was given a config that cannot be read again");
        };
        let read = Arc::clone(&reader.read);
        let loaded = match shutdown::blocking(move || read()).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(Refused { problems, text })) => {
                return Outcome::Refused(change::troubles(&problems, &text, Severity::Error));
            }
            Err(error) => return refused(&format!("the config cannot be read: {error}")),
        };
        let mut config = loaded.config.clone();
        let needs_restart = change::hold_back(&self.config, &mut config);
        let (made, beginnings) = match self.made.after(&config, &self.metrics) {
            Ok(made) => made,
            Err(errors) => {
                return Outcome::Refused(errors.iter().map(|error| trouble(&loaded, &reader, error)).collect());
            }
        };
        let mut changes = self.changes(&config, &made);
        changes.needs_restart = needs_restart;
        changes.warnings = change::troubles(&loaded.warnings, &loaded.text, Severity::Warning);
        self.put_into_use(config, made, beginnings, workers).await;
        Outcome::Applied(changes)
    }

    fn changes(&self, config: &Config, made: &Made) -> Changes {
        let mut changes = change::of(&self.config, config);
        let listeners = |made: &Made| -> Vec<_> {
            let all = made.doors.options();
            all.map(|(address, options)| (format!("listener {address}"), options.clone())).collect()
        };
        let (before, now) = (listeners(&self.made), listeners(made));
        change::compare(&mut changes, (by_name(&before), by_name(&now)));
        for name in self.made.rekeyed(made, &config.auths) {
            if !changes.added.contains(&name) && !changes.changed.contains(&name) {
                changes.changed.push(name);
            }
        }
        changes
    }

    /// From here on nothing can fail. New addresses are listened on already, and are accepted from last: what comes there is
    /// served by the new config.
    async fn put_into_use(&mut self, config: Config, made: Made, beginnings: Beginnings, workers: &Workers) {
        let Beginnings { filled, bound } = beginnings;
        let before = std::mem::replace(&mut self.made, made);
        let made = &self.made;
        self.upstreams = Rc::new(self.upstreams.after(&made.upstreams));
        self.upkeep.turn_to(&made.upstreams, &self.metrics);
        self.filler.turn_to(made, &self.upstreams, filled);
        made.wardens.run(&before.wardens, &mut self.chores, &self.tasks, &self.upstreams);
        for auth in key_sets(&self.config).filter(|auth| !key_sets(&config).any(|now| now == *auth)) {
            self.metrics.forget_key_set(auth);
        }
        self.connections.set_cap(config.limits.connections);
        telemetry::log::set_level(config.log.level);
        before.retire(made);
        let edition = Arc::new(edition(&config, made));
        if let Err(behind) = workers.change(&edition).await {
            tracing::warn!(behind, "workers are slow to take up the new config; they do as soon as they can");
        }
        let closing = made.doors.put_into_use(&before.doors);
        if let Err(error) = workers.accept(bound) {
            tracing::error!(%error, "new listeners are not accepted from");
        }
        let closed = join_all(closing.iter().map(|gate| gate.close()));
        if timeout(limits::RELOAD_TURN, closed).await.is_err() {
            tracing::warn!("listeners are slow to close; they do as soon as they can");
        }
        self.admin.view.replace(Rc::new(view(&config, made)));
        // It begins by reading all files again.
        self.watcher = watch(made);
        self.config = config;
    }
}

/// The auths that have one.
fn key_sets(config: &Config) -> impl Iterator<Item = &str> {
    config.auths.iter().filter(|auth| auth.has_key_set()).map(|auth| auth.name.as_str())
}

fn by_name<T>(all: &[(String, T)]) -> Vec<(String, &T)> {
    all.iter().map(|(name, options)| (name.clone(), options)).collect()
}

/// What the workers are given.
pub(super) fn edition(config: &Config, made: &Made) -> Edition {
    Edition {
        table: Arc::clone(&made.table),
        hub: Arc::clone(&made.hub),
        upstreams: Arc::clone(&made.upstreams),
        drain: config.drain,
    }
}

/// What the admin listener is given.
fn view(config: &Config, made: &Made) -> View {
    View {
        token: config.admin.as_ref().and_then(|admin| admin.token.clone()),
        hub: Arc::clone(&made.hub),
        upstreams: Arc::clone(&made.upstreams),
        summary: Summary(config).to_string(),
        limits: Arc::new(config.limits.clone()),
    }
}

/// Re-reads certificates when their files change, for as long as what it gives is kept.
fn watch(made: &Made) -> Option<Watcher> {
    let tls = made.doors.tls();
    if tls.is_empty() {
        return None;
    }
    Watcher::start(tls)
        .inspect_err(|error| tracing::warn!(%error, "certificates are not watched: restart to have new ones read"))
        .ok()
}

/// One line for each problem, and one for what came of it.
fn tell(outcome: &Outcome) {
    match outcome {
        Outcome::Applied(changes) => {
            for warning in &changes.warnings {
                tracing::warn!("{}", change::shown(warning));
            }
            tracing::info!("config reloaded: {}", change::line(changes));
        }
        Outcome::Refused(problems) => {
            for problem in problems {
                tracing::error!("{}", change::shown(problem));
            }
            let problems = problems.len();
            tracing::error!(problems, "config not reloaded: the one in use stays as it is");
        }
    }
}

fn refused(what: &str) -> Outcome {
    Outcome::Refused(vec![Trouble { place: None, what: what.to_owned(), instead: None }])
}

fn trouble(loaded: &Loaded, reader: &Reader, error: &BindError) -> Trouble {
    let placed =
        (reader.place)(loaded, error).map(|problem| change::troubles(&[problem], &loaded.text, Severity::Error));
    let placed = placed.and_then(|mut troubles| troubles.pop());
    placed.unwrap_or_else(|| Trouble { place: None, what: error.to_string(), instead: None })
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}
