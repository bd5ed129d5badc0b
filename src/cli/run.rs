//! `steadfeed run`: serves until told to stop.
//!
//! Owns: what start-up prints, and the signals. Never: exits while a drain is under way, unless told a second time.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::check::{bind_fault, folder_problems, tls_fault};
use super::{complain, print};
use crate::admin::Reloads;
use crate::app::{Address, App, BindError, Reader};
use crate::config::{self, Chosen, Config, Loaded, Problem, Refused, Surroundings, Wrong};
use crate::route::{Action, HostPattern, PathPattern};
use crate::telemetry;

/// Serves; 0 after a drain, 1 where it can not start.
#[must_use]
pub fn run(config: Option<&Path>) -> ExitCode {
    let path = config.map(Path::to_owned);
    let loaded = match read(path.as_deref()) {
        Ok(loaded) => loaded,
        Err(refused) => return refuse(&refused.to_string()),
    };
    if !loaded.warnings.is_empty() {
        complain(loaded.render(&loaded.warnings, false).trim_end());
    }
    telemetry::log::start(loaded.config.log);
    let app = match App::bind(loaded.config.clone()) {
        Ok(app) => app.with_reader(reader(move || read(path.as_deref()))),
        Err(error) => return refuse(&explain(&loaded, &error)),
    };
    // Said once signals are heard: who reads it may send one at once.
    let greeting = Cell::new(Some(greeting(&loaded.config, &app)));
    let reloads = app.reloads();
    let stop = || {
        let signals = Signals::hear();
        if let Some(greeting) = greeting.take() {
            let _ = print(&greeting);
        }
        signals.stop(reloads.clone())
    };
    match app.run(stop) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&format!("cannot start serving: {error}")),
    }
}

/// The config that `--config` names, or else the usual one, with a warning for each folder that is not there.
fn read(config: Option<&Path>) -> Result<Loaded, Refused> {
    let surroundings = Surroundings::real();
    let mut loaded = config::load(&Chosen::choose(config, surroundings.variable), &surroundings)?;
    let folders = folder_problems(&loaded);
    loaded.warnings.extend(folders);
    Ok(loaded)
}

/// How a running server has its config again: what `read` gives, with all that cannot be bound at its place in it.
#[must_use]
pub fn reader(read: impl Fn() -> Result<Loaded, Refused> + Send + Sync + 'static) -> Reader {
    Reader { read: Arc::new(read), place: problem }
}

fn refuse(text: &str) -> ExitCode {
    complain(text.trim_end());
    ExitCode::FAILURE
}

/// The error at its place in the config, where it has one.
fn explain(loaded: &Loaded, error: &BindError) -> String {
    match problem(loaded, error) {
        Some(problem) => loaded.render(&[problem], false),
        None => error.to_string(),
    }
}

/// What could not be bound, as a problem of the config.
fn problem(loaded: &Loaded, error: &BindError) -> Option<Problem> {
    Some(match error {
        BindError::Listener { listener, address, error } => {
            loaded.places.at_address(*listener, bind_fault(*address, error))
        }
        BindError::Admin { address, error } => loaded.places.at_admin(bind_fault(*address, error)),
        BindError::Tls { listener, error } => {
            let (part, wrong) = tls_fault(error.place().map_or(0, |(index, _)| index), error);
            loaded.places.at_tls(*listener, part, wrong)
        }
        BindError::Held { listener, address, by } => {
            let what = format!("{address} can not be listened on while {by} is, which is no more in this config");
            let instead = "take that one away with one reload and add this with the next, or restart";
            loaded.places.at_address(*listener, Wrong::new(what, instead))
        }
        BindError::TlsStart(_)
        | BindError::Source { .. }
        | BindError::Pointer { .. }
        | BindError::Upstream(_)
        | BindError::Auth(_)
        | BindError::Log(_) => return None,
    })
}

/// One line a listener, feed and page.
fn greeting(config: &Config, app: &App) -> String {
    let addresses = app.addresses();
    let mut lines = vec![format!("steadfeed {}", env!("CARGO_PKG_VERSION"))];
    lines.extend(addresses.iter().map(|at| format!("  listening  {}", url(at, "http", ""))));
    lines.extend(app.admin_address().map(|at| format!("  admin      http://{at}")));
    for route in &config.routes {
        let PathPattern::Exact(path) = &route.path else { continue };
        let path = match &route.host {
            HostPattern::Any => path.clone(),
            named @ (HostPattern::Exact(_) | HostPattern::Suffix(_)) => format!("{path}  (for {named})"),
        };
        // The best address to try: TLS where there is any.
        let Some(at) = addresses.iter().find(|at| at.tls).or(addresses.first()) else { continue };
        match &route.action {
            Action::Feed { feed, .. } => lines.push(format!("  feed       {feed} at {}", url(at, "ws", &path))),
            Action::Page { feed } => lines.push(format!("  page       {feed} at {}", url(at, "http", &path))),
            Action::Respond(_)
            | Action::Proxy { .. }
            | Action::Session { .. }
            | Action::Ticket { .. }
            | Action::Files(_)
            | Action::Redirect(_) => {}
        }
    }
    lines.join("\n") + "\n"
}

/// With a name that a certificate of our own has, where the address is this host's.
fn url(at: &Address, scheme: &str, path: &str) -> String {
    let secure = if at.tls { "s" } else { "" };
    let ip = at.address.ip();
    let port = at.address.port();
    if ip.is_loopback() || ip.is_unspecified() {
        return format!("{scheme}{secure}://localhost:{port}{path}");
    }
    format!("{scheme}{secure}://{}{path}", at.address)
}

/// The signals that a server hears, from its making on.
struct Signals(io::Result<[Signal; 3]>);

impl Signals {
    /// To be called within a runtime.
    fn hear() -> Signals {
        let hear = || {
            let [terminate, interrupt, hangup] =
                [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
            Ok([terminate?, interrupt?, hangup?])
        };
        Signals(hear())
    }

    /// Completes on a SIGTERM or SIGINT; a SIGHUP asks for a reload.
    async fn stop(self, reloads: Reloads) {
        let [mut terminate, mut interrupt, mut hangup] = match self.0 {
            Ok(signals) => signals,
            Err(error) => {
                tracing::error!(%error, "signals cannot be heard: end the process with SIGKILL");
                return std::future::pending().await;
            }
        };
        loop {
            tokio::select! {
                () = heard(&mut terminate) => return,
                () = heard(&mut interrupt) => return,
                () = heard(&mut hangup) => if let Err(not_begun) = reloads.nudge() {
                    tracing::warn!("SIGHUP: {not_begun}");
                },
            }
        }
    }
}

async fn heard(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending().await
    }
}
