//! One `[auth.NAME]`: where its tokens come, what they are verified with, and the tickets that stand for them.
//!
//! Owns: joining carriers, keys, rules and tickets. Never: answers, or shows a token.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;

use super::Denied;
use super::carrier::Found;
use super::fault::{Flaw, TokenFault};
use super::jwks::Ring;
use super::jwt::{Claims, Rules, Unverified};
use super::key::{self, KeyError};
use super::key_set::KeySet;
use super::options::{AuthOptions, Carrier, JwksUrl, KeyOptions};
use super::ticket::Tickets;
use super::{fetch, options};
use crate::admission::{Credential, Renew};
use crate::limits;
use crate::secret::Secret;
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
    rules: Rules,
    keys: Keys,
    tickets: Arc<Tickets>,
}

/// What signatures are checked with.
#[derive(Debug)]
enum Keys {
    None { reason: String },
    One(DecodingKey),
    Set { set: Arc<KeySet>, place: Place },
}

/// Where a key set is.
#[derive(Debug)]
enum Place {
    Url(Box<JwksUrl>),
    File(PathBuf),
}

/// Why an auth cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("auth `{auth}`: {}: {error}", path.display())]
    Key { auth: String, path: PathBuf, error: KeyError },
    #[error("auth `{auth}`: {}: {reason}", path.display())]
    Set { auth: String, path: PathBuf, reason: String },
}

impl Auths {
    /// Reads keys; key sets that are at a URL are fetched later.
    ///
    /// # Errors
    /// If a key cannot be had, or fits none of the algorithms.
    pub fn try_new(options: &[AuthOptions], metrics: &Metrics) -> Result<Auths, AuthError> {
        let tickets = Arc::<Tickets>::default();
        let auth = |options: &AuthOptions| {
            let auth = Auth::try_new(options, metrics, Arc::clone(&tickets))?;
            Ok((options.name.clone(), Arc::new(auth)))
        };
        Ok(Auths(options.iter().map(auth).collect::<Result<_, _>>()?))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Auth>> {
        self.0.get(name).map(Arc::clone)
    }

    /// Fetches key sets, again and again, in the background of this thread.
    pub fn run(&self, tasks: &Tasks, upstreams: &Upstreams) {
        for auth in self.0.values() {
            let Keys::Set { set, place } = &auth.keys else { continue };
            let set = Arc::clone(set);
            match place {
                Place::File(path) => {
                    let path = path.clone();
                    let work = async move { set.keep(async || fetch::from_file(path.clone()).await).await };
                    drop(tasks.spawn_background(work));
                }
                Place::Url(url) => {
                    let (url, upstream) = (url.clone(), upstreams.get(&url.upstream.name).map(Rc::clone));
                    let work = async move {
                        let fetch = async || match &upstream {
                            Some(upstream) => fetch::from_url(upstream, &url).await,
                            None => Err("there is no such upstream".to_owned()),
                        };
                        set.keep(fetch).await;
                    };
                    drop(tasks.spawn_background(work));
                }
            }
        }
    }
}

impl Auth {
    fn try_new(options: &AuthOptions, metrics: &Metrics, tickets: Arc<Tickets>) -> Result<Auth, AuthError> {
        let name: Arc<str> = options.name.as_str().into();
        let mut algorithms = options.algorithms.clone();
        let keys = match &options.key {
            KeyOptions::Secret(secret) => Keys::One(DecodingKey::from_secret(secret.reveal().as_bytes())),
            KeyOptions::PublicKeyFile(path) => {
                let read = key::read_public(path, &algorithms);
                let unread = |error| AuthError::Key { auth: options.name.clone(), path: path.clone(), error };
                let (key, fitting) = read.map_err(unread)?;
                algorithms = fitting;
                Keys::One(key)
            }
            KeyOptions::JwksUrl(url) => {
                let set = KeySet::new(Arc::clone(&name), url.url.clone(), metrics.key_set(&name));
                Keys::Set { set: Arc::new(set), place: Place::Url(url.clone()) }
            }
            KeyOptions::JwksFile(path) => {
                let unread = |error| AuthError::Key { auth: options.name.clone(), path: path.clone(), error };
                let text = key::read(path, limits::JWKS_SIZE).map_err(unread)?;
                let shown = path.display().to_string();
                let set = KeySet::try_loaded(Arc::clone(&name), shown, &text, metrics.key_set(&name));
                let none = |reason| AuthError::Set { auth: options.name.clone(), path: path.clone(), reason };
                Keys::Set { set: Arc::new(set.map_err(none)?), place: Place::File(path.clone()) }
            }
            KeyOptions::Absent { variable } => Keys::None { reason: format!("{variable} is not set") },
        };
        let rules = Rules::new(Arc::clone(&name), options, algorithms);
        Ok(Auth { name, from: options.from.as_slice().into(), rules, keys, tickets })
    }

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
    pub async fn verify(&self, found: &Found, now: Timestamp) -> Result<Credential, Denied> {
        let token = found.token.as_ref().map_err(|bytes| self.bad(Flaw::TooLong(*bytes)))?;
        if found.is_ticket {
            let credential = self.tickets.take(token.reveal(), &self.name, now);
            return Ok(credential.ok_or_else(|| self.bad(Flaw::Ticket))?);
        }
        let unverified = self.rules.read(token.reveal()).map_err(|flaw| self.bad(flaw))?;
        let claims = match (self.claims(&unverified), &self.keys) {
            (Err(fault), Keys::Set { set, .. }) if may_be_cured(&fault) => {
                let newer = set.wait(|ring| with_ring(&unverified, ring).ok()).await;
                // What is wrong now may be another thing than it was.
                newer.map_or_else(|| self.claims(&unverified), Ok)
            }
            (claims, _) => claims,
        }?;
        Ok(self.credential(Arc::clone(token), &claims, now)?)
    }

    /// What a token says that was signed with a key that is known now.
    fn claims(&self, unverified: &Unverified<'_>) -> Result<Claims, TokenFault> {
        match &self.keys {
            Keys::None { reason } => Err(self.no_keys(reason.clone())),
            Keys::One(key) => unverified.verify(key).map_err(|flaw| self.bad(flaw)),
            Keys::Set { set, .. } => match set.ring() {
                Some(ring) => with_ring(unverified, &ring).map_err(|flaw| self.bad(flaw)),
                None => Err(self.no_keys(set.failure())),
            },
        }
    }

    fn credential(&self, token: Arc<Secret>, claims: &Claims, now: Timestamp) -> Result<Credential, TokenFault> {
        let judged = self.rules.judge(claims, now)?;
        Ok(Credential { auth: Arc::clone(&self.name), subject: judged.subject, token, expires: judged.expires })
    }

    fn no_keys(&self, reason: String) -> TokenFault {
        TokenFault::NoKeys { auth: Arc::clone(&self.name), reason }
    }

    fn bad(&self, flaw: Flaw) -> TokenFault {
        TokenFault::Bad { auth: Arc::clone(&self.name), flaw }
    }
}

/// With each key that it may have been signed with.
fn with_ring(unverified: &Unverified<'_>, ring: &Ring) -> Result<Claims, Flaw> {
    let mut last = Flaw::NoKey;
    for key in ring.fitting(unverified.kid.as_deref(), unverified.algorithm)? {
        match unverified.verify(key) {
            Ok(claims) => return Ok(claims),
            Err(flaw) => last = flaw,
        }
    }
    Err(last)
}

/// Whether a newer key set may tell otherwise.
fn may_be_cured(fault: &TokenFault) -> bool {
    matches!(fault, TokenFault::NoKeys { .. } | TokenFault::Bad { flaw: Flaw::UnknownKey(_) | Flaw::NoKey, .. })
}

impl Renew for Auth {
    /// Keys that are known now have to do: an unknown one is fetched meanwhile.
    fn renew(&self, token: &str, now: Timestamp) -> Result<Credential, String> {
        let renewed = self.rules.read(token).map_err(|flaw| self.bad(flaw)).and_then(|unverified| {
            let claims = self.claims(&unverified)?;
            self.credential(Arc::new(Secret::new(token.to_owned())), &claims, now)
        });
        if let (Err(fault), Keys::Set { set, .. }) = (&renewed, &self.keys)
            && may_be_cured(fault)
        {
            set.nudge();
        }
        renewed.map_err(|fault| {
            tracing::debug!(auth = %self.name, why = fault.why(), "a newer token was refused");
            fault.to_string()
        })
    }

    fn ticket(&self, credential: &Credential, now: Timestamp) -> Option<Secret> {
        self.tickets.give(credential, now)
    }
}

impl options::AuthOptions {
    /// The upstream that its key set is fetched from.
    #[must_use]
    pub fn upstream(&self) -> Option<&crate::upstream::Options> {
        match &self.key {
            KeyOptions::JwksUrl(url) => Some(&url.upstream),
            KeyOptions::Secret(_)
            | KeyOptions::PublicKeyFile(_)
            | KeyOptions::JwksFile(_)
            | KeyOptions::Absent { .. } => None,
        }
    }
}
