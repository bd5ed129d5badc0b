//! What routes share by name: every `[limit.NAME]` and `[auth.NAME]`, one of each for all workers.
//!
//! Owns: what becomes of a route whose auth cannot be had: nobody is let in.

use std::sync::Arc;

use super::auth::{AuthError, Auths};
use super::denied::Denied;
use super::fault::TokenFault;
use super::limit::Limit;
use super::options::{AuthOptions, KeyOptions, LimitOptions};
use super::token::TokenRule;
use crate::limits;
use crate::shutdown::Tasks;
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

impl Wardens {
    /// # Errors
    /// If a key cannot be had.
    pub fn try_new(limits: &[LimitOptions], auths: &[AuthOptions], metrics: &Metrics) -> Result<Wardens, AuthError> {
        let variable = |options: &AuthOptions| match &options.key {
            KeyOptions::Absent { variable } => Some(variable.clone()),
            KeyOptions::Secret(_) | KeyOptions::PublicKeyFile(_) | KeyOptions::JwksUrl(_) | KeyOptions::JwksFile(_) => {
                None
            }
        };
        let absent = auths.iter().filter_map(|auth| Some((auth.name.clone(), variable(auth)?))).collect();
        let there: Vec<_> = auths.iter().filter(|auth| variable(auth).is_none()).cloned().collect();
        Ok(Wardens {
            limits: limits.iter().map(|options| Arc::new(Limit::new(options))).collect(),
            auths: Auths::try_new(&there, metrics)?,
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

    /// Fetches key sets, and forgets, from time to time, the clients that have their whole rate again.
    pub fn run(self: Arc<Self>, tasks: &Tasks, upstreams: &Upstreams) {
        self.auths.run(tasks, upstreams);
        if self.limits.is_empty() {
            return;
        }
        tasks.spawn_background(async move {
            loop {
                tokio::time::sleep(limits::CLIENT_TRIM).await;
                for limit in &self.limits {
                    limit.trim();
                }
            }
        });
    }
}
