//! What a route asks for by way of tokens: none, one that its `auth` finds good, or, where that can find none good, nothing
//! that there is.
//!
//! Never: lets anyone in where the auth that is asked for is not to be had.

use std::sync::Arc;

use jiff::Timestamp;

use super::auth::Auth;
use super::carrier::Found;
use super::{Denied, Visit};
use crate::admission::Credential;

/// A route's rule.
#[derive(Debug, Clone, Default)]
pub enum TokenRule {
    /// Everyone is let in.
    #[default]
    None,
    /// With `tickets`, one of those will do for a token.
    By { auth: Arc<Auth>, tickets: bool },
    /// Nobody is.
    Never(Denied),
}

/// Who was let in, by what.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) auth: Arc<Auth>,
    pub(super) found: Found,
    pub(super) credential: Credential,
}

impl TokenRule {
    /// The parameter of a URL's query in which a token may stand.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        match self {
            TokenRule::By { auth, .. } => auth.query(),
            TokenRule::None | TokenRule::Never(_) => None,
        }
    }

    /// Whose token came with the request, where one is asked for.
    ///
    /// # Errors
    /// If none came, or it is not good.
    pub(super) async fn check(&self, visit: &Visit<'_>) -> Result<Option<Bearer>, Denied> {
        let (auth, tickets) = match self {
            TokenRule::None => return Ok(None),
            TokenRule::By { auth, tickets } => (auth, *tickets),
            TokenRule::Never(denied) => return Err(denied.clone()),
        };
        let found = if tickets { auth.find(visit.request) } else { auth.find_token(visit.request) }?;
        // Boxed: what it takes to verify is no part of what each connection keeps.
        let credential = Box::pin(auth.verify(&found, Timestamp::now())).await?;
        Ok(Some(Bearer { auth: Arc::clone(auth), found, credential }))
    }
}
