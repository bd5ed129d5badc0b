//! The tokens with which a branch's upstream may be asked: those of its viewers, each for as long as its viewer is there.
//!
//! Owns: which one is the newest. Never: shows one, or takes one of another user than the branch's.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use slab::Slab;
use tokio::sync::Notify;

use super::hub::Feed;
use crate::admission::Credential;
use crate::secret::Secret;

/// The tokens of one branch's viewers; as many as it has viewers.
#[derive(Default)]
pub struct Tokens {
    held: Mutex<Slab<Held>>,
    changed: Notify,
}

struct Held {
    token: Arc<Secret>,
    expires: Timestamp,
}

/// A viewer's token, known to its branch until this is dropped.
#[derive(Debug)]
pub struct Visit {
    feed: Arc<Feed>,
    slot: usize,
}

impl Tokens {
    /// The one that expires last, where it has not.
    #[must_use]
    pub fn newest(&self, now: Timestamp) -> Option<Arc<Secret>> {
        let held = self.lock();
        let good = held.iter().map(|(_, held)| held).filter(|held| held.expires > now);
        good.max_by_key(|held| held.expires).map(|held| Arc::clone(&held.token))
    }

    /// Completes when there is one that has not expired, at once where there is.
    pub async fn comes(&self) {
        loop {
            // Made first: what comes while it is looked at is not missed.
            let changed = self.changed.notified();
            if self.newest(Timestamp::now()).is_some() {
                return;
            }
            changed.await;
        }
    }

    fn add(&self, credential: &Credential) -> usize {
        let slot = self.lock().insert(Held::of(credential));
        self.changed.notify_waiters();
        slot
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn of(credential: &Credential) -> Held {
        Held { token: Arc::clone(&credential.token), expires: credential.expires }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("count", &self.lock().len()).finish_non_exhaustive()
    }
}

impl Visit {
    /// Lets the branch of `feed` use the token; `None` where it forwards none, or is another user's.
    #[must_use]
    pub fn pay(feed: &Arc<Feed>, credential: &Credential) -> Option<Visit> {
        let branch = feed.branch().filter(|branch| branch.takes(credential))?;
        Some(Visit { feed: Arc::clone(feed), slot: branch.tokens().add(credential) })
    }

    /// The viewer has another token from here on. One of another user is not taken.
    pub fn renew(&self, credential: &Credential) {
        let Some(branch) = self.feed.branch().filter(|branch| branch.takes(credential)) else { return };
        if let Some(held) = branch.tokens().lock().get_mut(self.slot) {
            *held = Held::of(credential);
        }
        branch.tokens().changed.notify_waiters();
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(branch) = self.feed.branch() {
            branch.tokens().lock().try_remove(self.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;

    use futures_util::poll;
    use jiff::Timestamp;

    use super::Visit;
    use crate::feed::branch::{Forward, Key, Visitor};
    use crate::feed::branches::BranchPermit;
    use crate::feed::hub::{FeedHub, Stem};
    use crate::feed::inlet::{Bearer, Inlet, Rank};
    use crate::feed::testing::{credential, plan, somebody};
    use crate::feed::{Options, Share};

    const LATER: i64 = 32_000_000_000;

    /// Ann's branch of a feed that forwards tokens in this way.
    fn anns(forward: Option<Forward>) -> BranchPermit {
        let share = Share { subject: true, ..Share::default() };
        let (hub, starts) = FeedHub::new([plan(Options { share, ..Options::named("f") }, forward)]);
        let Some(Stem::Split(branches)) = hub.find("f") else { panic!("it is split") };
        let ann = credential("v", "ann", "t", 1);
        let visitor = Visitor { route: &Arc::from("/f"), below: "", query: "", credential: Some(&ann) };
        let permit = branches.enter(&Key::of(share, None, &visitor).unwrap(), &somebody()).unwrap();
        drop(starts);
        permit
    }

    #[track_caller]
    fn check(permit: &BranchPermit, now: i64, expected: Option<&str>) {
        let branch = permit.feed().branch().unwrap();
        let token = branch.tokens().newest(Timestamp::from_second(now).unwrap());
        assert_eq!(token.as_ref().map(|token| token.reveal()), expected);
    }

    #[test]
    fn the_token_that_expires_last_is_used_until_it_has_or_its_viewer_has_left() {
        let permit = anns(Some(Forward::Header));
        let pay = |token, expires| Visit::pay(permit.feed(), &credential("v", "ann", token, expires)).unwrap();
        check(&permit, 0, None);
        let (first, second, third) = (pay("first", 10), pay("second", 30), pay("third", 20));
        check(&permit, 0, Some("second"));
        check(&permit, 29, Some("second"));
        check(&permit, 30, None);
        drop(second);
        check(&permit, 0, Some("third"));
        first.renew(&credential("v", "ann", "renewed", 40));
        check(&permit, 20, Some("renewed"));
        drop(first);
        check(&permit, 20, None);
        drop(third);
        check(&permit, 0, None);
    }

    #[test]
    fn a_token_of_another_user_is_never_taken() {
        let permit = anns(Some(Forward::Header));
        let pay = |auth, subject| Visit::pay(permit.feed(), &credential(auth, subject, "theirs", LATER));
        assert!(pay("v", "bob").is_none() && pay("w", "ann").is_none() && pay("v", "").is_none());
        let visit = pay("v", "ann").unwrap();
        visit.renew(&credential("v", "bob", "bobs", 2 * LATER));
        check(&permit, 0, Some("theirs"));
        assert!(Visit::pay(anns(None).feed(), &credential("v", "ann", "t", LATER)).is_none(), "none is forwarded");
    }

    #[test]
    fn no_token_is_shown() {
        let permit = anns(Some(Forward::Header));
        let visit = Visit::pay(permit.feed(), &credential("v", "ann", "hunter2", LATER));
        let inlet = Inlet::new(permit.feed(), Rank::Source);
        let text = format!("{permit:?} {visit:?} {inlet:?} {:?}", inlet.bearer());
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[tokio::test]
    async fn a_source_without_a_token_waits_until_one_comes() {
        let permit = anns(Some(Forward::Query("jwt".to_owned())));
        let inlet = Inlet::new(permit.feed(), Rank::Source);
        assert_eq!(inlet.bearer(), Bearer::Missing);
        let mut comes = pin!(inlet.changed());
        assert!(poll!(comes.as_mut()).is_pending());
        let expired = Visit::pay(permit.feed(), &credential("v", "ann", "old", 1)).unwrap();
        assert!(poll!(comes.as_mut()).is_pending());
        expired.renew(&credential("v", "ann", "new", LATER));
        assert!(poll!(comes.as_mut()).is_ready());
        let Bearer::Query(name, token) = inlet.bearer() else { panic!("{:?}", inlet.bearer()) };
        assert_eq!((name.as_str(), token.reveal()), ("jwt", "new"));
        assert!(poll!(pin!(inlet.changed())).is_ready());
        let whole = anns(None);
        assert_eq!(Inlet::new(whole.feed(), Rank::Source).bearer(), Bearer::Nothing);
    }
}
