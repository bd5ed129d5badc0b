//! What routes share by name: every `[limit.NAME]` and `[auth.NAME]`, one of each for all workers.
//!
//! Owns: what becomes of a route whose auth cannot be had: nobody is let in.

use std::sync::Arc;

use super::auth::{AuthError, Auths, Fetching};
use super::denied::Denied;
use super::fault::TokenFault;
use super::limit::Limit;
use super::options::{AuthOptions, KeyOptions, LimitOptions};
use super::token::TokenRule;
use crate::limits;
use crate::shutdown::{Running, Tasks};
use crate::telemetry::Metrics;
use crate::upstream::Upstreams;

/// All limits and auths.
#[derive(Debug, Default)]
pub struct Wardens {
    limits: Vec<Arc<Limit>>,
    auths: Auths,
    /// Names of auths, and the variables that would have held their secrets.
    absent: Vec<(String, String)>,
}

/// What is done for them in the background, for as long as this is kept.
#[derive(Debug, Default)]
pub struct Chores {
    fetching: Fetching,
    trimming: Option<Running>,
}

impl Wardens {
    /// # Errors
    /// If a key cannot be had.
    pub fn try_new(limits: &[LimitOptions], auths: &[AuthOptions], metrics: &Metrics) -> Result<Wardens, AuthError> {
        Wardens::after(&Wardens::default(), limits, auths, metrics)
    }

    /// As another config has them: what is still the same stays, with its counts and keys. Nothing of `before` changes.
    ///
    /// # Errors
    /// If a key cannot be had.
    pub fn after(
        before: &Wardens,
        limits: &[LimitOptions],
        auths: &[AuthOptions],
        metrics: &Metrics,
    ) -> Result<Wardens, AuthError> {
        let variable = |options: &AuthOptions| match &options.key {
            KeyOptions::Absent { variable } => Some(variable.clone()),
            KeyOptions::Secret(_) | KeyOptions::PublicKeyFile(_) | KeyOptions::JwksUrl(_) | KeyOptions::JwksFile(_) => {
                None
            }
        };
        let absent = auths.iter().filter_map(|auth| Some((auth.name.clone(), variable(auth)?))).collect();
        let there: Vec<_> = auths.iter().filter(|auth| variable(auth).is_none()).cloned().collect();
        let limit = |options: &LimitOptions| match before.limit(&options.name) {
            Some(limit) => Limit::after(limit, options),
            None => Arc::new(Limit::new(options)),
        };
        Ok(Wardens {
            limits: limits.iter().map(limit).collect(),
            auths: Auths::after(&before.auths, &there, metrics)?,
            absent,
        })
    }

    /// The `[limit.NAME]` of this name.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<&Arc<Limit>> {
        self.limits.iter().find(|limit| limit.name() == name)
    }

    /// What a route asks for that names this `[auth.NAME]`.
    #[must_use]
    pub fn token(&self, name: &str, tickets: bool) -> TokenRule {
        if let Some(auth) = self.auths.get(name) {
            return TokenRule::By { auth, tickets };
        }
        TokenRule::Never(match self.absent.iter().find(|(auth, _)| auth == name) {
            Some((_, variable)) => Denied::NotSetUp { variable: variable.as_str().into() },
            // The config refuses a route that names none.
            None => Denied::Token(TokenFault::Missing { auth: name.into() }),
        })
    }

    /// Whether whom the auth of this name lets in was let in by the same one before.
    #[must_use]
    pub fn lets_in_as(&self, before: &Wardens, name: &str) -> bool {
        match (self.auths.get(name), before.auths.get(name)) {
            (Some(now), Some(before)) => Arc::ptr_eq(&now, &before),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// These are in use from now on, and `before` no more: fetches key sets, and forgets, from time to time, the clients that
    /// have their whole rate again.
    pub fn run(self: &Arc<Self>, before: &Wardens, chores: &mut Chores, tasks: &Tasks, upstreams: &Upstreams) {
        self.auths.replace(&before.auths);
        self.auths.run(&mut chores.fetching, tasks, upstreams);
        let wardens = Arc::clone(self);
        let trimming = async move {
            loop {
                tokio::time::sleep(limits::CLIENT_TRIM).await;
                for limit in &wardens.limits {
                    limit.trim();
                }
            }
        };
        chores.trimming = (!self.limits.is_empty()).then(|| tasks.spawn_running(trimming));
    }
}
