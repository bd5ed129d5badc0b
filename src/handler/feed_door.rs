//! A feed as a route serves it: which of its branches a viewer is to see, and through which door.
//!
//! Owns: what of a request tells one branch from another, and the refusal of one that leads to none. Never: passes on a
//! path that could be read as one above or beside the feed's own.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};

use super::{Call, Rosters, feed_get, feed_sse, feed_ws, is_websocket, wants_events};
use crate::admission::{Credential, Whose};
use crate::feed::Delivery;
use crate::feed::branch::{Key, Unplaced, Visitor};
use crate::feed::branches::Full;
use crate::feed::roster::Stay;
use crate::feed::rosters::{Place, Split};
use crate::feed::tokens::Visit;
use crate::limits;
use crate::message::target::{self, Readings};
use crate::message::{Body, Incoming, percent, respond};
use crate::telemetry::log::client_warning;
use crate::telemetry::sockets::{Listed, Mode};

/// A feed as a route serves it.
#[derive(Debug, Clone)]
pub struct FeedDoor {
    pub feed: String,
    pub delivery: Arc<Delivery>,
    /// The route's, in its normal form.
    pub path: Arc<str>,
    /// All paths that begin with `path`.
    pub is_prefix: bool,
}

/// Why a viewer is given no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The config refuses a route to a feed that does not exist.
    #[error("this path leads nowhere")]
    NoFeed,
    #[error("what follows this feed's path could be read in more than one way")]
    Path,
    #[error(transparent)]
    Unplaced(#[from] Unplaced),
    #[error("{}", told(*.0))]
    Full(#[from] Full),
}

impl FeedDoor {
    /// A door to `feed` at exactly this path.
    #[must_use]
    pub fn at(path: &str, feed: &str, delivery: Arc<Delivery>) -> FeedDoor {
        FeedDoor { feed: feed.to_owned(), delivery, path: path.into(), is_prefix: false }
    }

    /// The answer, and whether it opened a socket.
    pub(super) async fn handle(&self, call: &Call<'_>, request: Request<Incoming>) -> (Response<Body>, bool) {
        let is_websocket = is_websocket(&request);
        if !is_websocket && !matches!(*request.method(), Method::GET | Method::HEAD) {
            return (respond::method_not_allowed("GET, HEAD"), false);
        }
        let credential = call.admission.credential.as_ref();
        let stay = match self.enter(call.rosters, request.uri(), credential, call.asked.peer.client) {
            Ok(stay) => stay,
            Err(refused) => return (self.refuse(&refused, call), false),
        };
        if is_websocket {
            return feed_ws::open(self, stay, call, request);
        }
        let (parts, _body) = request.into_parts();
        let roster = stay.roster();
        let mut response = if wants_events(&parts) {
            let path = parts.uri.path();
            let listed = Listed::open(call.meters, Mode::Events, call.asked.peer.client, path);
            feed_sse::open(self, roster, &parts, call.admission, listed)
        } else {
            if let Some(visit) = credential.and_then(|credential| Visit::pay(roster.feed(), credential)) {
                roster.keep_passing(visit);
            }
            feed_get::answer(self, roster, &parts).await
        };
        if roster.feed().branch().is_some_and(|branch| branch.key().is_personal()) {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        }
        (response, false)
    }

    /// The viewer's place.
    ///
    /// # Errors
    /// If the request leads to no branch, or to one too many.
    pub fn enter(
        &self,
        rosters: &Rosters,
        uri: &Uri,
        credential: Option<&Credential>,
        client: IpAddr,
    ) -> Result<Stay, Refused> {
        match rosters.find(&self.feed).ok_or(Refused::NoFeed)? {
            Place::Whole(roster) => Ok(Stay::new(roster)),
            Place::Split(split) => {
                let key = self.key(split, uri, credential)?;
                Ok(split.stay(&key, &Whose::of(credential, client))?)
            }
        }
    }

    fn key(&self, split: &Rc<Split>, uri: &Uri, credential: Option<&Credential>) -> Result<Key, Refused> {
        let plan = split.branches().plan();
        let share = plan.options().share;
        let below = if share.path && self.is_prefix {
            below(&self.path, uri.path()).ok_or(Refused::Path)?
        } else {
            String::new()
        };
        let query = uri.query().unwrap_or_default();
        let visitor = Visitor { route: &self.path, below: &below, query, credential };
        Ok(Key::of(share, plan.forward(), &visitor)?)
    }

    fn refuse(&self, refused: &Refused, call: &Call<'_>) -> Response<Body> {
        let (route, feed) = (call.meters.route(), &self.feed);
        call.meters.denied(refused.reason());
        if *refused == Refused::NoFeed {
            tracing::error!(feed, "a route leads to a feed that this worker does not have");
        } else if let Some(unsaid) = client_warning() {
            let reason = match refused {
                Refused::Full(full) => full.to_string(),
                Refused::NoFeed | Refused::Path | Refused::Unplaced(_) => refused.to_string(),
            };
            tracing::warn!(client = %call.asked.peer.client, route, feed, reason, unsaid, "viewer refused");
        }
        let mut response = respond::problem(refused.status(), &refused.to_string());
        match refused {
            Refused::Full(_) => _ = response.headers_mut().insert(RETRY_AFTER, limits::BRANCH_RETRY.into()),
            Refused::Unplaced(Unplaced::NoCredential) => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Refused::NoFeed | Refused::Path | Refused::Unplaced(Unplaced::NoSubject | Unplaced::TooLong) => {}
        }
        response
    }
}

impl Refused {
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Refused::NoFeed => StatusCode::INTERNAL_SERVER_ERROR,
            Refused::Path => StatusCode::BAD_REQUEST,
            Refused::Unplaced(Unplaced::NoCredential) => StatusCode::UNAUTHORIZED,
            Refused::Unplaced(Unplaced::NoSubject) => StatusCode::FORBIDDEN,
            Refused::Unplaced(Unplaced::TooLong) => StatusCode::URI_TOO_LONG,
            Refused::Full(Full::Client) => StatusCode::TOO_MANY_REQUESTS,
            Refused::Full(Full::Branches | Full::Bytes | Full::Ended) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The `reason` of `steadfeed_denied_total`.
    fn reason(&self) -> &'static str {
        match self {
            Refused::NoFeed => "feed",
            Refused::Path => "path",
            Refused::Unplaced(Unplaced::NoCredential | Unplaced::NoSubject) => "subject",
            Refused::Unplaced(Unplaced::TooLong) => "share",
            Refused::Full(Full::Client) => "branches_per_client",
            Refused::Full(Full::Branches | Full::Bytes | Full::Ended) => "branches",
        }
    }
}

/// What the client is told of a branch for which there is no room.
fn told(full: Full) -> &'static str {
    match full {
        Full::Client => "this client has begun as many branches of feeds as one may; close one, or try again soon",
        Full::Branches | Full::Bytes | Full::Ended => {
            "there is no room for another branch of this feed at the moment; try again soon"
        }
    }
}

/// What of `path` is below `prefix`, in one spelling: percent-encoded where it must be and nowhere else. `None` where some
/// server may read it as a way up, as more or fewer segments, or not at all.
fn below(prefix: &str, path: &str) -> Option<String> {
    let Readings { plain, resolved } = target::readings(path)?;
    if plain != resolved {
        return None;
    }
    let rest = plain.strip_prefix(prefix)?;
    let is_plain = |c: char| !c.is_control() && !matches!(c, '\\' | char::REPLACEMENT_CHARACTER);
    if !rest.chars().all(is_plain) || rest.split('/').any(is_dots) || has_encoded(rest) {
        return None;
    }
    Some(percent::encode(rest, percent::PATH))
}

/// A dot segment, or one for a server that cuts parameters off first.
fn is_dots(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

/// Whether decoding once more would find a dot, a slash or the end of the text.
fn has_encoded(text: &str) -> bool {
    let special =
        |code: &[u8]| [b"2e", b"2f", b"5c", b"00", b"25"].iter().any(|special| code.eq_ignore_ascii_case(&special[..]));
    text.as_bytes().windows(3).any(|window| window[0] == b'%' && special(&window[1..]))
}

#[cfg(test)]
mod tests;
