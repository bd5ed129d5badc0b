//! A socket's pass: what it was admitted with that matters for as long as it is open.
//!
//! Owns: the end of its token and a newer one in its place, the rate of what it may say, and its places, which go back when
//! the pass is dropped. Never: is made for a socket that has nothing of it; that is most of them, and each byte counts.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::hub::Feed;
use super::system::{self, system};
use super::tokens::Visit;
use crate::admission::{Admission, Credential};
use crate::limits;
use crate::rate::Bucket;
use crate::secret::Secret;
use crate::ws::Message;
use crate::ws::frame::{self, OpCode};

/// What one open socket was admitted with.
#[derive(Debug)]
pub struct Pass {
    /// Kept for its places and its renewal.
    admission: Rc<Admission>,
    /// The newest; on a route that asks for a token.
    bearer: Option<Bearer>,
    /// Where messages have a rate.
    messages: Option<Bucket>,
    /// Its feed's upstream is asked with its token.
    visit: Option<Visit>,
}

#[derive(Debug)]
struct Bearer {
    credential: Credential,
    /// When its end is looked at next.
    look: Instant,
}

/// Why a token does not take the place of the one before. Both texts are plain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotRenewed {
    /// `auth_failed` or `auth_not_needed`.
    pub code: &'static str,
    pub message: String,
}

/// The code of an answer to a token that does not take the place of the one before, wherever a socket is served.
pub const AUTH_FAILED: &str = "auth_failed";
/// What is said of a good token of another subject.
pub const ANOTHERS: &str = "the token is another's than the one that this socket was opened with";

impl Pass {
    /// The pass of a socket that opens now; `None` where there is nothing to hold it to. `wall` gives the time of day at `now`.
    #[must_use]
    pub fn of(admission: &Rc<Admission>, now: Instant, wall: impl FnOnce() -> Timestamp) -> Option<Box<Pass>> {
        let Admission { credential, inbound, places, .. } = &**admission;
        if credential.is_none() && inbound.messages.is_none() && places.is_empty() {
            return None;
        }
        let bearer = credential.clone().map(|credential| Bearer { look: look(&credential, now, wall()), credential });
        let messages = inbound.messages.map(Bucket::new);
        Some(Box::new(Pass { admission: Rc::clone(admission), bearer, messages, visit: None }))
    }

    /// The same of a viewer of `feed`, which then knows its token where that goes upstream.
    #[must_use]
    pub fn to(
        feed: &Arc<Feed>,
        admission: &Rc<Admission>,
        now: Instant,
        wall: impl FnOnce() -> Timestamp,
    ) -> Option<Box<Pass>> {
        let mut pass = Pass::of(admission, now, wall)?;
        pass.visit = pass.credential().and_then(|credential| Visit::pay(feed, credential));
        Some(pass)
    }

    /// Whose token it is, by the newest.
    #[must_use]
    pub fn credential(&self) -> Option<&Credential> {
        self.bearer.as_ref().map(|bearer| &bearer.credential)
    }

    /// When [`has_expired`](Pass::has_expired) is to be asked next; `None` is never.
    #[must_use]
    pub fn next_look(&self) -> Option<Instant> {
        self.bearer.as_ref().map(|bearer| bearer.look)
    }

    /// Whether its token has run out.
    pub fn has_expired(&mut self, now: Instant, wall: impl FnOnce() -> Timestamp) -> bool {
        let Some(bearer) = self.bearer.as_mut().filter(|bearer| bearer.look <= now) else { return false };
        let wall = wall();
        bearer.look = look(&bearer.credential, now, wall);
        bearer.credential.expires <= wall
    }

    /// Counts a message of the client; `false` where it may not say it.
    pub fn take_message(&mut self, now: Instant) -> bool {
        self.messages.as_mut().is_none_or(|messages| messages.take(now))
    }

    /// Puts a newer token in the place of the one before; gives when it runs out.
    ///
    /// # Errors
    /// If none is asked for, it is not good, or it is another's.
    pub fn renew(&mut self, token: &str, now: Instant, wall: Timestamp) -> Result<Timestamp, NotRenewed> {
        let (Some(bearer), Some(renewal)) = (&mut self.bearer, &self.admission.renewal) else {
            return Err(NotRenewed::not_needed());
        };
        let failed = |message| NotRenewed { code: AUTH_FAILED, message };
        let newer = renewal.renew(token, wall).map_err(failed)?;
        if !bearer.credential.may_be_replaced_by(&newer) {
            return Err(failed(ANOTHERS.to_owned()));
        }
        let expires = newer.expires;
        if let Some(visit) = &self.visit {
            visit.renew(&newer);
        }
        *bearer = Bearer { look: look(&newer, now, wall), credential: newer };
        Ok(expires)
    }
}

/// Whether the client may say this now. Pings and their like are no messages; who has no pass may say what it likes.
pub fn lets(pass: Option<&mut Pass>, message: &Message, now: Instant) -> bool {
    match message {
        Message::Text(_) | Message::Binary(_) => pass.is_none_or(|pass| pass.take_message(now)),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => true,
    }
}

/// The frame that answers `auth`. A token that does not take the place of the one before leaves it, and the socket, as they
/// are.
#[must_use]
pub fn renewed(pass: Option<&mut Pass>, token: &Secret, now: Instant) -> Bytes {
    let wall = Timestamp::now();
    let message = match pass.map_or_else(|| Err(NotRenewed::not_needed()), |pass| pass.renew(token.reveal(), now, wall))
    {
        Ok(expires) => system("auth", Some(&system::renewed(expires)), &[], wall),
        Err(NotRenewed { code, message }) => system::error(code, &message, wall),
    };
    frame::frame(OpCode::Text, false, &message)
}

impl NotRenewed {
    /// The route asks for no token.
    #[must_use]
    pub fn not_needed() -> NotRenewed {
        let message = "this route asks for no token, so there is none to renew".to_owned();
        NotRenewed { code: "auth_not_needed", message }
    }
}

/// When to look whether it has run out: then, or before, in case that the clock is set. Never at once again.
fn look(credential: &Credential, now: Instant, wall: Timestamp) -> Instant {
    let left = Duration::try_from(credential.expires.duration_since(wall)).unwrap_or(Duration::ZERO);
    now + left.clamp(Duration::from_millis(1), limits::EXPIRY_LOOK)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};
    use tokio::time::Instant;

    use super::{NotRenewed, Pass};
    use crate::admission::{Admission, Credential, Inbound, Place, Renew};
    use crate::limits;
    use crate::rate::{Per, Rate};
    use crate::secret::Secret;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
    }

    fn credential(auth: &str, subject: &str, expires: i64) -> Credential {
        let token = Arc::new(Secret::new("t".to_owned()));
        Credential { auth: auth.into(), subject: subject.into(), token, expires: at(expires) }
    }

    /// Tokens are `auth subject expires`.
    #[derive(Debug)]
    struct Words;

    impl Renew for Words {
        fn renew(&self, token: &str, _now: Timestamp) -> Result<Credential, String> {
            let words: Vec<&str> = token.split(' ').collect();
            let [auth, subject, expires] = words[..] else { return Err("the token is not good here".to_owned()) };
            Ok(credential(auth, subject, expires.parse().unwrap()))
        }
    }

    fn pass(expires: i64, now: Instant) -> Box<Pass> {
        let credential = Some(credential("viewers", "ann", expires));
        let admission = Admission { credential, renewal: Some(Arc::new(Words)), ..Admission::default() };
        Pass::of(&Rc::new(admission), now, || at(0)).expect("it has a token")
    }

    #[test]
    fn who_has_nothing_needs_no_pass() {
        assert!(Pass::of(&Rc::default(), Instant::now(), || at(0)).is_none());
    }

    #[test]
    fn a_token_runs_out_at_its_end_and_not_before() {
        let now = Instant::now();
        let mut pass = pass(30, now);
        assert_eq!(pass.next_look(), Some(now + 30 * SECOND));
        assert!(!pass.has_expired(now + 29 * SECOND, || unreachable!("nobody looks at the clock before")));
        assert!(pass.has_expired(now + 30 * SECOND, || at(30)));
    }

    #[test]
    fn a_clock_that_was_set_counts() {
        let now = Instant::now();
        let mut pass = pass(30, now);
        // Set back by 10 s meanwhile.
        assert!(!pass.has_expired(now + 30 * SECOND, || at(20)));
        assert_eq!(pass.next_look(), Some(now + 40 * SECOND));
        assert!(pass.has_expired(now + 40 * SECOND, || at(30)));
    }

    #[test]
    fn a_long_token_is_looked_at_in_between() {
        let now = Instant::now();
        let century = 36_500 * 86_400;
        let mut pass = pass(century, now);
        assert_eq!(pass.next_look(), Some(now + limits::EXPIRY_LOOK));
        // The host slept for it.
        assert!(pass.has_expired(now + limits::EXPIRY_LOOK, || at(century)));
    }

    #[test]
    fn one_that_had_run_out_is_looked_at_soon_and_not_for_ever() {
        let now = Instant::now();
        let mut pass = pass(-5, now);
        let soon = pass.next_look().unwrap();
        assert!(soon > now && soon <= now + SECOND);
        assert!(pass.has_expired(soon, || at(0)) && pass.next_look() > Some(soon));
    }

    #[track_caller]
    fn check_refused(token: &str, code: &str) {
        let now = Instant::now();
        let mut pass = pass(30, now);
        assert_eq!(pass.renew(token, now, at(0)).unwrap_err().code, code, "{token}");
        assert_eq!(pass.credential().unwrap().expires, at(30), "the one before stands");
    }

    #[test]
    fn a_newer_token_of_the_same_subject_takes_its_place() {
        let now = Instant::now();
        let mut pass = pass(30, now);
        assert_eq!(pass.renew("viewers ann 90", now + 10 * SECOND, at(10)), Ok(at(90)));
        assert_eq!(pass.next_look(), Some(now + 90 * SECOND));
        assert!(!pass.has_expired(now + 30 * SECOND, || at(30)));
        assert!(pass.has_expired(now + 90 * SECOND, || at(90)));
    }

    #[test]
    fn anothers_token_or_a_bad_one_does_not() {
        check_refused("viewers bob 90", "auth_failed");
        check_refused("admins ann 90", "auth_failed");
        check_refused("garbage", "auth_failed");
        let admission = Admission { places: vec![Box::new(Held { _count: Rc::default() })], ..Admission::default() };
        let mut open = Pass::of(&Rc::new(admission), Instant::now(), || at(0)).unwrap();
        assert_eq!(open.renew("viewers ann 90", Instant::now(), at(0)), Err(NotRenewed::not_needed()));
    }

    #[test]
    fn messages_are_held_to_their_rate() {
        let now = Instant::now();
        let rate = Rate { count: NonZeroU32::new(2).unwrap(), per: Per::Second };
        let inbound = Inbound { messages: Some(rate), ..Inbound::default() };
        let mut pass = Pass::of(&Rc::new(Admission { inbound, ..Admission::default() }), now, || at(0)).unwrap();
        assert!(pass.take_message(now) && pass.take_message(now) && !pass.take_message(now));
        assert!(pass.take_message(now + SECOND));
    }

    #[derive(Debug)]
    struct Held {
        _count: Rc<()>,
    }
    impl Place for Held {}

    #[test]
    fn its_places_go_back_with_it() {
        let count = Rc::new(());
        let admission =
            Admission { places: vec![Box::new(Held { _count: Rc::clone(&count) })], ..Admission::default() };
        let pass = Pass::of(&Rc::new(admission), Instant::now(), || at(0)).unwrap();
        assert_eq!(Rc::strong_count(&count), 2);
        drop(pass);
        assert_eq!(Rc::strong_count(&count), 1);
    }
}
