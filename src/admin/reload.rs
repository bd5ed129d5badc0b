//! `POST /api/reload`: has the config read again, and says what came of it.
//!
//! Owns: the queue of those who ask, and the form of the answer. Never: reads a config itself, nor says a secret.

use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::limits;
use crate::message::{Body, respond};

/// Asks for reloads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<Ask>);

/// One who asks; `None` does not wait for an answer.
pub type Ask = Option<oneshot::Sender<Outcome>>;

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The new config is in use.
    Applied(Changes),
    /// Nothing has changed.
    Refused(Vec<Trouble>),
}

/// What another config changed: each an entry of it, as in `route /ws` or `upstream app`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    /// Keys whose new values are used only after a restart.
    pub needs_restart: Vec<String>,
    pub warnings: Vec<Trouble>,
}

/// One thing that is wrong with a config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// `file:line:column`; nothing where it has no one place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    pub what: String,
    /// What to write instead, in the imperative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

/// Why none was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    #[error("draining: the config is not read again")]
    Draining,
    #[error("other reloads wait already; ask again")]
    Busy,
}

impl Reloads {
    /// The queue, and where it comes out.
    #[must_use]
    pub fn queue() -> (Reloads, mpsc::Receiver<Ask>) {
        let (ask, asked) = mpsc::channel(limits::RELOADS_WAITING);
        (Reloads(ask), asked)
    }

    /// Asks for one without waiting for it.
    ///
    /// # Errors
    /// If there will be none.
    pub fn nudge(&self) -> Result<(), NotBegun> {
        self.ask(None)
    }

    /// Asks for one, and waits for what comes of it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn reload(&self) -> Result<Outcome, NotBegun> {
        let (answer, answered) = oneshot::channel();
        self.ask(Some(answer))?;
        answered.await.map_err(|_| NotBegun::Draining)
    }

    fn ask(&self, ask: Ask) -> Result<(), NotBegun> {
        self.0.try_send(ask).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotBegun::Busy,
            mpsc::error::TrySendError::Closed(_) => NotBegun::Draining,
        })
    }
}

/// 200 with what changed, 422 with all that is wrong, or 503.
pub(super) async fn answer(reloads: &Reloads) -> Response<Body> {
    match reloads.reload().await {
        Ok(Outcome::Applied(changes)) => super::json(&changes),
        Ok(Outcome::Refused(problems)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let count = problems.len();
            let text = serde_json::json!({
                "type": "about:blank",
                "title": status.canonical_reason(),
                "status": status.as_u16(),
                "detail": format!("nothing has changed: the new config has {count} problem{}", if count == 1 { "" } else { "s" }),
                "problems": problems,
            });
            respond::whole(status, HeaderValue::from_static("application/problem+json"), text.to_string())
        }
        Err(not_begun) => respond::problem(StatusCode::SERVICE_UNAVAILABLE, &not_begun.to_string()),
    }
}
