//! One `[auth.NAME]`: where its tokens come, what they are verified with, and the tickets that stand for them.
//!
//! Owns: joining carriers, keys, rules and tickets. Never: answers, or shows a token.

use std::collections::HashMap;
use std::sync::Arc;

use http::request::Parts;
use jiff::Timestamp;

use super::Denied;
use super::carrier::Found;
use super::fault::TokenFault;
use super::options::{AuthOptions, Carrier};
use crate::admission::{Credential, Renew};
use crate::shutdown::Tasks;
use crate::telemetry::Metrics;
use crate::upstream::Upstreams;

/// All of the process, by name.
#[derive(Debug, Default)]
pub struct Auths(HashMap<String, Arc<Auth>>);

/// Who is let in by a token.
#[derive(Debug)]
pub struct Auth {
    name: Arc<str>,
    from: Arc<[Carrier]>,
}

/// Why an auth cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {}

impl Auths {
    /// Reads keys; key sets that are at a URL are fetched later.
    ///
    /// # Errors
    /// If a key cannot be had, or fits none of the algorithms.
    pub fn try_new(options: &[AuthOptions], _metrics: &Metrics) -> Result<Auths, AuthError> {
        let auth = |options: &AuthOptions| {
            (
                options.name.clone(),
                Arc::new(Auth { name: options.name.as_str().into(), from: options.from.as_slice().into() }),
            )
        };
        Ok(Auths(options.iter().map(auth).collect()))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Auth>> {
        self.0.get(name).map(Arc::clone)
    }

    /// Fetches key sets, again and again, in the background of this thread.
    pub fn run(&self, _tasks: &Tasks, _upstreams: &Upstreams) {}
}

impl Auth {
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What came with the request; the first carrier present decides.
    ///
    /// # Errors
    /// If there is nothing.
    pub fn find(&self, request: &Parts) -> Result<Found, Denied> {
        self.look(request, true)
    }

    /// The same, but no ticket: one cannot be had for another.
    ///
    /// # Errors
    /// If there is nothing.
    pub fn find_token(&self, request: &Parts) -> Result<Found, Denied> {
        self.look(request, false)
    }

    fn look(&self, request: &Parts, tickets: bool) -> Result<Found, Denied> {
        let missing = || TokenFault::Missing { auth: Arc::clone(&self.name) }.into();
        Found::look(&self.from, request, tickets).ok_or_else(missing)
    }

    /// Whose token it is. A ticket is used up. Waits only where the token's key is not known, for one fetch of the key set.
    ///
    /// # Errors
    /// If it is not good.
    pub async fn verify(&self, _found: &Found, _now: Timestamp) -> Result<Credential, Denied> {
        Err(TokenFault::Missing { auth: Arc::clone(&self.name) }.into())
    }
}

impl Renew for Auth {
    fn renew(&self, _token: &str, _now: Timestamp) -> Result<Credential, String> {
        Err("not yet".to_owned())
    }
}
