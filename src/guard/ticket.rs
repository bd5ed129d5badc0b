//! One-time tickets: each stands for a credential for a few seconds, so that a page can open a socket without its token
//! in the URL.
//!
//! Owns: all of the process, whichever worker gave or takes them. Never: keeps a ticket itself, only its hash, so that
//! how long a look-up takes tells nothing of those that exist.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use crate::admission::Credential;
use crate::limits;
use crate::secret::Secret;

/// The tickets that were given and not yet used.
#[derive(Default)]
pub(super) struct Tickets(Mutex<Store>);

#[derive(Default)]
struct Store {
    held: HashMap<Hash, Held>,
    /// In the order in which they were given, so also in which they end; with some that were used since.
    order: VecDeque<Hash>,
    /// How many of each auth and subject are held.
    counts: HashMap<Owner, usize>,
}

struct Held {
    credential: Credential,
    until: Timestamp,
}

type Hash = [u8; digest::SHA256_OUTPUT_LEN];
/// Auth and subject.
type Owner = (Arc<str>, Arc<str>);

/// Bytes of a ticket: nobody guesses 256 bits.
const SIZE: usize = 32;

impl Tickets {
    /// A new one for the credential; `None` where there are too many, of all or of its subject.
    pub(super) fn give(&self, credential: &Credential, now: Timestamp) -> Option<Secret> {
        let mut bytes = [0; SIZE];
        rand::fill(&mut bytes).ok()?;
        let ticket = URL_SAFE_NO_PAD.encode(bytes);
        let mut store = self.store();
        store.forget_old(now);
        store.keep(hash(&ticket), credential, now).then(|| Secret::new(ticket))
    }

    /// What a ticket stands for; it is used up, also by the wrong auth.
    pub(super) fn take(&self, ticket: &str, auth: &str, now: Timestamp) -> Option<Credential> {
        let Held { credential, until } = self.store().remove(&hash(ticket))?;
        (now < until && now < credential.expires && *credential.auth == *auth).then_some(credential)
    }

    /// What this auth found good before is not good any more.
    pub(super) fn forget(&self, auth: &str) {
        let mut store = self.store();
        let held = store.held.iter().filter(|(_, held)| *held.credential.auth == *auth);
        let gone: Vec<Hash> = held.map(|(hash, _)| *hash).collect();
        for hash in &gone {
            store.remove(hash);
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn keep(&mut self, hash: Hash, credential: &Credential, now: Timestamp) -> bool {
        let owner = owner(credential);
        let count = self.counts.get(&owner).copied().unwrap_or(0);
        // Tokens that name nobody have nobody's share.
        let greedy = !credential.subject.is_empty() && count >= limits::TICKETS_PER_SUBJECT;
        if greedy || self.held.len() >= limits::TICKETS {
            return false;
        }
        let life = SignedDuration::try_from(limits::TICKET_LIFE).unwrap_or_default();
        let until = now.checked_add(life).unwrap_or(Timestamp::MAX);
        self.held.insert(hash, Held { credential: credential.clone(), until });
        self.order.push_back(hash);
        self.counts.insert(owner, count + 1);
        true
    }

    fn remove(&mut self, hash: &Hash) -> Option<Held> {
        let held = self.held.remove(hash)?;
        let owner = owner(&held.credential);
        match self.counts.get_mut(&owner) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(self.counts.remove(&owner)),
        }
        Some(held)
    }

    /// Forgets those whose time is over, and in the order those that were used.
    fn forget_old(&mut self, now: Timestamp) {
        while let Some(first) = self.order.front().copied() {
            if self.held.get(&first).is_some_and(|held| now < held.until) {
                break;
            }
            self.order.pop_front();
            self.remove(&first);
        }
        if self.order.len() >= 2 * limits::TICKETS {
            self.order.retain(|hash| self.held.contains_key(hash));
        }
    }
}

fn owner(credential: &Credential) -> Owner {
    (Arc::clone(&credential.auth), Arc::clone(&credential.subject))
}

fn hash(ticket: &str) -> Hash {
    let digest = digest::digest(&digest::SHA256, ticket.as_bytes());
    // SHA-256 has this length.
    Hash::try_from(digest.as_ref()).unwrap_or_default()
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("held", &self.store().held.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn credential(subject: &str, expires: Timestamp) -> Credential {
        let token = Arc::new(Secret::new("t".to_owned()));
        Credential { auth: "viewers".into(), subject: subject.into(), token, expires }
    }

    #[test]
    fn a_ticket_is_good_once() {
        let (tickets, ann) = (Tickets::default(), credential("ann", at(3600)));
        let ticket = tickets.give(&ann, at(0)).unwrap();
        assert_eq!(ticket.reveal().len(), 43);
        assert_eq!(tickets.take(ticket.reveal(), "viewers", at(29)), Some(ann));
        assert_eq!(tickets.take(ticket.reveal(), "viewers", at(29)), None);
    }

    #[test]
    fn a_ticket_ends_after_30_s_and_with_its_token() {
        let tickets = Tickets::default();
        let ticket = tickets.give(&credential("ann", at(3600)), at(0)).unwrap();
        assert_eq!(tickets.take(ticket.reveal(), "viewers", at(30)), None);
        let ticket = tickets.give(&credential("ann", at(10)), at(0)).unwrap();
        assert_eq!(tickets.take(ticket.reveal(), "viewers", at(10)), None);
    }

    #[test]
    fn a_ticket_is_of_one_auth_and_another_uses_it_up() {
        let tickets = Tickets::default();
        let ticket = tickets.give(&credential("ann", at(3600)), at(0)).unwrap();
        assert_eq!(tickets.take(ticket.reveal(), "editors", at(1)), None);
        assert_eq!(tickets.take(ticket.reveal(), "viewers", at(1)), None);
        assert_eq!(tickets.take("", "viewers", at(1)), None);
    }

    #[test]
    fn one_subject_cannot_take_all_and_gets_its_places_back() {
        let (tickets, ann) = (Tickets::default(), credential("ann", at(3600)));
        let given: Vec<_> = (0..limits::TICKETS_PER_SUBJECT).map(|_| tickets.give(&ann, at(0)).unwrap()).collect();
        assert!(tickets.give(&ann, at(0)).is_none());
        assert!(tickets.give(&credential("bob", at(3600)), at(0)).is_some());
        assert!(tickets.take(given[0].reveal(), "viewers", at(1)).is_some());
        assert!(tickets.give(&ann, at(1)).is_some());
        assert!(tickets.give(&ann, at(1)).is_none());
        assert!(tickets.give(&ann, at(30)).is_some());
    }

    #[test]
    fn the_store_is_bounded_and_forgets_what_is_over() {
        let (tickets, anyone) = (Tickets::default(), credential("", at(3600)));
        for _ in 0..limits::TICKETS {
            assert!(tickets.give(&anyone, at(0)).is_some());
        }
        assert!(tickets.give(&anyone, at(29)).is_none());
        assert!(tickets.give(&anyone, at(30)).is_some());
        let store = tickets.store();
        assert_eq!((store.held.len(), store.order.len(), store.counts.len()), (1, 1, 1));
    }

    #[test]
    fn used_tickets_leave_nothing_behind() {
        let tickets = Tickets::default();
        for _ in 0..2 * limits::TICKETS + 1 {
            let ticket = tickets.give(&credential("ann", at(3600)), at(0)).unwrap();
            assert!(tickets.take(ticket.reveal(), "viewers", at(0)).is_some());
        }
        let store = tickets.store();
        assert!(store.held.is_empty() && store.counts.is_empty() && store.order.len() <= 1, "{}", store.order.len());
    }

    #[test]
    fn debug_shows_no_ticket() {
        let tickets = Tickets::default();
        let ticket = tickets.give(&credential("ann", at(3600)), at(0)).unwrap();
        assert_eq!(format!("{tickets:?} {ticket:?}"), "Tickets { held: 1, .. } ***");
    }
}
