//! A branch of a split feed: whom it is for, and what it asks of its upstream.
//!
//! Owns: what tells one branch from another, which is what `share` names and no more; the path, query and token of a dial.
//! Never: shows a viewer's query, which may hold what is secret to the upstream.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::budget::Portion;
use super::inlet::Bearer;
use super::options::Share;
use super::passed;
use super::tokens::Tokens;
use crate::admission::Credential;
use crate::limits;

/// What the viewers of one branch have in common.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    place: Option<Place>,
    /// In its normal form.
    query: Option<Box<str>>,
    user: Option<User>,
}

/// Which path of which route.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    /// The route's, as configured.
    route: Arc<str>,
    /// The rest of the path where the route is a prefix, without a slash before it.
    below: Box<str>,
}

/// Whom a token speaks for. The same subject of two `[auth]` is two users.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct User {
    auth: Arc<str>,
    subject: Arc<str>,
}

/// A viewer's request, as far as it may tell a branch from another.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// The route's path, as configured.
    pub route: &'a Arc<str>,
    /// The rest of the request's path below it: without a slash before it, percent-encoded, and no way up or aside.
    pub below: &'a str,
    /// Of the request, without its `?`.
    pub query: &'a str,
    pub credential: Option<&'a Credential>,
}

/// How a viewer's own token goes upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forward {
    /// `Authorization: Bearer`.
    Header,
    /// A parameter of this name.
    Query(String),
}

/// Why a request leads to no branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unplaced {
    #[error("this feed tells its viewers apart by their tokens, and the request has none")]
    NoCredential,
    #[error("this feed tells its viewers apart by their tokens' subject, and this token has none")]
    NoSubject,
    #[error("path, query and subject are longer than the {max} bytes that this feed is split by", max = limits::BRANCH_KEY)]
    TooLong,
}

/// What a feed knows of itself where it is not everyone's.
#[derive(Debug)]
pub struct Branch {
    key: Arc<Key>,
    forward: Option<Forward>,
    tokens: Tokens,
    portion: Arc<Portion>,
}

impl Key {
    /// Of the branch that this visitor is to see.
    ///
    /// # Errors
    /// If the visitor lacks what `share` asks for, or it is too long to keep.
    pub fn of(share: Share, forward: Option<&Forward>, visitor: &Visitor<'_>) -> Result<Key, Unplaced> {
        let place = || Place { route: Arc::clone(visitor.route), below: visitor.below.into() };
        let token = match forward {
            Some(Forward::Query(name)) => Some(name.as_str()),
            Some(Forward::Header) | None => None,
        };
        let key = Key {
            place: share.path.then(place),
            query: share.query.then(|| passed::normal(visitor.query, token).into()),
            user: if share.subject { Some(User::of(visitor.credential)?) } else { None },
        };
        if key.size() > limits::BRANCH_KEY { Err(Unplaced::TooLong) } else { Ok(key) }
    }

    /// Whether it is one user's alone.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.user.is_some()
    }

    /// What to ask the upstream for, where the source's URL has this path and query: the rest of the viewer's path below
    /// it, never beside or above, and the viewer's query behind its own.
    #[must_use]
    pub fn target(&self, url: &str) -> String {
        let (path, own) = url.split_once('?').unwrap_or((url, ""));
        let below = self.place.as_ref().map_or("", |place| &place.below);
        let slash = if below.is_empty() || path.ends_with('/') { "" } else { "/" };
        let query = passed::behind(own, self.query.as_deref().unwrap_or_default());
        let mark = if query.is_empty() { "" } else { "?" };
        [path, slash, below, mark, &query].concat()
    }

    fn size(&self) -> usize {
        let place = self.place.as_ref().map_or(0, |place| place.below.len());
        let user = self.user.as_ref().map_or(0, |user| user.subject.len());
        place + user + self.query.as_ref().map_or(0, |query| query.len())
    }
}

impl User {
    fn of(credential: Option<&Credential>) -> Result<User, Unplaced> {
        let credential = credential.ok_or(Unplaced::NoCredential)?;
        if credential.subject.is_empty() {
            return Err(Unplaced::NoSubject);
        }
        Ok(User { auth: Arc::clone(&credential.auth), subject: Arc::clone(&credential.subject) })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.place.as_ref().map(|Place { route, below }| [route, &**below].concat());
        let query = self.query.as_ref().map(|query| query.len());
        f.debug_struct("Key").field("path", &path).field("query_bytes", &query).field("user", &self.user).finish()
    }
}

impl Branch {
    #[must_use]
    pub fn new(key: Arc<Key>, forward: Option<Forward>, portion: Portion) -> Branch {
        Branch { key, forward, tokens: Tokens::default(), portion: Arc::new(portion) }
    }

    #[must_use]
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    #[must_use]
    pub fn portion(&self) -> &Arc<Portion> {
        &self.portion
    }

    /// The token to dial with.
    #[must_use]
    pub fn bearer(&self, now: Timestamp) -> Bearer {
        let Some(forward) = &self.forward else { return Bearer::Nothing };
        match (self.tokens.newest(now), forward) {
            (None, _) => Bearer::Missing,
            (Some(token), Forward::Header) => Bearer::Header(token),
            (Some(token), Forward::Query(name)) => Bearer::Query(name.clone(), token),
        }
    }

    /// Whether the credential is its user's, and its token is wanted.
    pub(super) fn takes(&self, credential: &Credential) -> bool {
        let user = User::of(Some(credential)).ok();
        self.forward.is_some() && user.is_some() && self.key.user == user
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Forward, Key, Unplaced, Visitor};
    use crate::admission::Credential;
    use crate::feed::Share;
    use crate::feed::testing::credential;
    use crate::limits;

    const ALL: Share = Share { path: true, query: true, subject: true };

    fn key(share: Share, below: &str, query: &str, credential: Option<&Credential>) -> Result<Key, Unplaced> {
        let visitor = Visitor { route: &Arc::from("/dash/"), below, query, credential };
        Key::of(share, Some(&Forward::Query("jwt".to_owned())), &visitor)
    }

    #[track_caller]
    fn check(share: Share, expected: [bool; 3]) {
        let ann = credential("v", "ann", "t", 1);
        let one = key(share, "a", "q=1&last=2", Some(&ann)).unwrap();
        assert_eq!(one, key(share, "a", "last=9&jwt=x&q=1", Some(&credential("v", "ann", "u", 2))).unwrap());
        let others = [("b", "q=1", "ann"), ("a", "q=2", "ann"), ("a", "q=1", "bob")];
        let same = others.map(|(below, query, subject)| {
            one == key(share, below, query, Some(&credential("v", subject, "t", 1))).unwrap()
        });
        assert_eq!(same.map(|same| !same), expected, "{share:?}");
    }

    #[test]
    fn only_what_share_names_tells_viewers_apart() {
        check(Share { path: true, ..Share::default() }, [true, false, false]);
        check(Share { query: true, ..Share::default() }, [false, true, false]);
        check(Share { subject: true, ..Share::default() }, [false, false, true]);
        check(ALL, [true, true, true]);
    }

    #[test]
    fn the_same_subject_of_two_auths_is_two_users() {
        let share = Share { subject: true, ..Share::default() };
        let of = |auth| key(share, "", "", Some(&credential(auth, "ann", "t", 1))).unwrap();
        assert_ne!(of("staff"), of("guests"));
        assert_eq!(of("staff"), of("staff"));
    }

    #[test]
    fn whoever_cannot_be_told_apart_is_given_nothing() {
        assert_eq!(key(ALL, "", "", None), Err(Unplaced::NoCredential));
        assert_eq!(key(ALL, "", "", Some(&credential("v", "", "t", 1))), Err(Unplaced::NoSubject));
        assert!(key(Share { path: true, ..Share::default() }, "", "", None).is_ok());
    }

    #[test]
    fn what_is_kept_of_each_is_bounded() {
        let share = Share { query: true, ..Share::default() };
        assert!(key(share, "", &"a".repeat(limits::BRANCH_KEY), None).is_ok());
        assert_eq!(key(share, "", &"a".repeat(limits::BRANCH_KEY + 1), None), Err(Unplaced::TooLong));
        let long = credential("v", &"a".repeat(limits::BRANCH_KEY), "t", 1);
        assert_eq!(key(ALL, "a", "", Some(&long)), Err(Unplaced::TooLong));
    }

    #[track_caller]
    fn check_target(share: Share, below: &str, query: &str, url: &str, expected: &str) {
        let ann = credential("v", "ann", "t", 1);
        assert_eq!(key(share, below, query, Some(&ann)).unwrap().target(url), expected, "{url} {below} {query}");
    }

    #[test]
    fn a_dial_asks_for_what_the_viewers_asked_for_below_its_own() {
        check_target(ALL, "a/b", "x=1", "/ws", "/ws/a/b?x=1");
        check_target(ALL, "a/b", "x=1", "/ws/", "/ws/a/b?x=1");
        check_target(ALL, "", "x=1", "/ws?k=1", "/ws?k=1&x=1");
        check_target(ALL, "a", "k=2&jwt=t", "/?k=1", "/a?k=1");
        check_target(ALL, "a", "", "/?", "/a");
        check_target(Share { subject: true, ..Share::default() }, "a", "x=1", "/ws?k=1", "/ws?k=1");
        check_target(Share { path: true, ..Share::default() }, "a", "x=1", "/ws?k=1", "/ws/a?k=1");
        check_target(Share { query: true, ..Share::default() }, "a", "x=1", "/ws?k=1", "/ws?k=1&x=1");
    }

    #[test]
    fn debug_shows_no_query() {
        let text = format!("{:?}", key(ALL, "a", "password=hunter2", Some(&credential("v", "ann", "t", 1))));
        assert!(text.contains("/dash/a") && text.contains("ann") && !text.contains("hunter2"), "{text}");
    }
}
