//! One `[limit.NAME]`: its rates, its counts and what a socket may say.
//!
//! What a client has spent on one route it has spent on all that name the same limit, and so it is with the sockets that a
//! client or subject has open: as the zones of other servers, a limit is one store by its name. Only `connections` is each
//! route's own. Owns: taking places all or none. Never: takes one for a request that another check would refuse.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::connections::{Counts, Permits, RouteCount};
use super::options::LimitOptions;
use super::rate::{Policy, Throttle};
use super::{Cap, Denied, Visit};
use crate::admission::{Credential, Inbound, Whose};
use crate::networks::Client;

/// One `[limit.NAME]`, for all workers.
#[derive(Debug)]
pub struct Limit {
    name: Arc<str>,
    options: LimitOptions,
    requests: Option<Arc<Throttle>>,
    upgrades: Option<Arc<Throttle>>,
    connections_per_client: Option<NonZeroU32>,
    connections_per_subject: Option<NonZeroU32>,
    connections: Option<NonZeroU32>,
    counts: Arc<Counts>,
    inbound: Inbound,
}

impl Limit {
    #[must_use]
    pub fn new(options: &LimitOptions) -> Limit {
        let throttle = |key, rate, burst| Arc::new(Throttle::new(Policy { key, rate }, burst));
        Limit {
            name: options.name.as_str().into(),
            options: options.clone(),
            requests: options.requests.map(|rate| throttle("requests", rate, options.requests_burst())),
            upgrades: options.upgrades.map(|rate| throttle("upgrades", rate, options.burst)),
            connections_per_client: options.connections_per_client,
            connections_per_subject: options.connections_per_subject,
            connections: options.connections,
            counts: Arc::default(),
            inbound: Inbound { messages: options.messages, message_size: options.message_size },
        }
    }

    /// As another config has it: what clients have spent of a rate that is still the same stays spent, and what is open stays
    /// counted.
    #[must_use]
    pub fn after(before: &Arc<Limit>, options: &LimitOptions) -> Arc<Limit> {
        let old = &before.options;
        if old == options {
            return Arc::clone(before);
        }
        let mut next = Limit::new(options);
        if (old.requests, old.requests_burst()) == (options.requests, options.requests_burst()) {
            next.requests.clone_from(&before.requests);
        }
        if (old.upgrades, old.burst) == (options.upgrades, options.burst) {
            next.upgrades.clone_from(&before.upgrades);
        }
        next.counts = Arc::clone(&before.counts);
        Arc::new(next)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a socket admitted under it may say.
    #[must_use]
    pub fn inbound(&self) -> Inbound {
        self.inbound
    }

    /// Counts the request; one that would last counts as an upgrade, too.
    ///
    /// # Errors
    /// If its client asks too often.
    pub fn count(&self, visit: &Visit<'_>) -> Result<(), Denied> {
        let client = Client::of(visit.client);
        let upgrades = self.upgrades.as_ref().filter(|_| visit.lasting);
        for throttle in self.requests.iter().chain(upgrades) {
            let too_often = |excess| Denied::TooOften { limit: Arc::clone(&self.name), excess };
            throttle.check(client).map_err(too_often)?;
        }
        Ok(())
    }

    /// The places of one socket of `visit`'s client on the route that `route` counts, all or none.
    ///
    /// # Errors
    /// If one of the caps is reached.
    pub fn take(
        &self,
        visit: &Visit<'_>,
        credential: Option<&Credential>,
        route: &RouteCount,
    ) -> Result<Permits, Denied> {
        let full = |cap, most| Denied::TooMany { limit: Arc::clone(&self.name), cap, most };
        // What was taken before one that is refused is given back as this is left.
        let mut permits = Permits::default();
        if let Some(most) = self.connections_per_client {
            let whose = Whose::Client(Client::of(visit.client));
            permits.client = Some(self.counts.take(whose, most).ok_or_else(|| full(Cap::Client, most))?);
        }
        // A token that names nobody is everybody's: such are not counted as one.
        let named = credential.filter(|credential| !credential.subject.is_empty());
        if let Some((most, credential)) = self.connections_per_subject.zip(named) {
            let (auth, subject) = (Arc::clone(&credential.auth), Arc::clone(&credential.subject));
            let permit = self.counts.take(Whose::Subject { auth, subject }, most);
            permits.subject = Some(permit.ok_or_else(|| full(Cap::Subject, most))?);
        }
        if let Some(most) = self.connections {
            permits.route = Some(route.take(most).ok_or_else(|| full(Cap::Route, most))?);
        }
        Ok(permits)
    }

    /// Forgets the clients that have their whole rate again.
    pub fn trim(&self) {
        for throttle in [&self.requests, &self.upgrades].into_iter().flatten() {
            throttle.trim();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use http::Request;
    use jiff::Timestamp;

    use super::Limit;
    use crate::admission::Credential;
    use crate::guard::connections::RouteCount;
    use crate::guard::{Cap, Denied, LimitOptions, Visit};
    use crate::limits;
    use crate::rate::{Per, Rate};
    use crate::secret::Secret;

    fn options() -> LimitOptions {
        LimitOptions {
            name: "public".to_owned(),
            upgrades: None,
            burst: None,
            requests: None,
            connections_per_client: None,
            connections_per_subject: None,
            connections: None,
            messages: None,
            message_size: limits::MESSAGE_SIZE,
        }
    }

    fn with_visit<T>(client: &str, lasting: bool, then: impl FnOnce(&Visit<'_>) -> T) -> T {
        let (request, ()) = Request::new(()).into_parts();
        let client = client.parse().unwrap();
        then(&Visit { request: &request, client, authority: "a", https: None, lasting, draining: false })
    }

    fn credential(subject: &str) -> Credential {
        let token = Arc::new(Secret::new("t".to_owned()));
        Credential { auth: "viewers".into(), subject: subject.into(), token, expires: Timestamp::MAX }
    }

    fn count(number: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(number)
    }

    #[test]
    fn an_upgrade_is_a_request_and_a_request_is_no_upgrade() {
        let rate = |number| Some(Rate { count: count(number).unwrap(), per: Per::Hour });
        let limit = Limit::new(&LimitOptions { upgrades: rate(1), requests: rate(3), ..options() });
        let ask = |lasting| with_visit("192.0.2.1", lasting, |visit| limit.count(visit));
        assert_eq!((ask(true), ask(false)), (Ok(()), Ok(())));
        let key = |denied| match denied {
            Err(Denied::TooOften { excess, .. }) => excess.policy.key,
            other => panic!("{other:?}"),
        };
        assert_eq!(key(ask(true)), "upgrades");
        assert_eq!(key(ask(false)), "requests");
    }

    #[track_caller]
    fn check_burst(requests: bool, upgrades: bool, lasting: bool, expected: usize) {
        let rate = |is_there: bool| is_there.then_some(Rate { count: count(5).unwrap(), per: Per::Hour });
        let limit = Limit::new(&LimitOptions {
            requests: rate(requests),
            upgrades: rate(upgrades),
            burst: count(2),
            ..options()
        });
        let taken = (0..9).take_while(|_| with_visit("192.0.2.1", lasting, |visit| limit.count(visit)).is_ok()).count();
        assert_eq!(taken, expected, "requests: {requests}, upgrades: {upgrades}, an upgrade: {lasting}");
    }

    #[test]
    fn a_burst_is_the_sockets_or_where_those_have_no_rate_the_requests() {
        check_burst(true, false, false, 2);
        check_burst(true, false, true, 2);
        check_burst(false, true, true, 2);
        check_burst(true, true, true, 2);
        check_burst(true, true, false, 5);
        check_burst(false, true, false, 9);
    }

    #[test]
    fn what_was_spent_of_a_rate_stays_spent_until_its_burst_is_another() {
        let rate = Some(Rate { count: count(5).unwrap(), per: Per::Hour });
        let with =
            |burst, message_size| LimitOptions { requests: rate, burst: count(burst), message_size, ..options() };
        let ask = |limit: &Limit| with_visit("192.0.2.1", false, |visit| limit.count(visit)).is_ok();
        let limit = Arc::new(Limit::new(&with(1, 1)));
        assert!(ask(&limit) && !ask(&limit));
        assert!(!ask(&Limit::after(&limit, &with(1, 2))));
        assert!(ask(&Limit::after(&limit, &with(2, 1))));
    }

    #[track_caller]
    fn check_cap(options: LimitOptions, clients: [&str; 2], subjects: [Option<&str>; 2], cap: Cap) {
        let (limit, route) = (Limit::new(&options), RouteCount::default());
        let take = |index: usize| {
            let credential = subjects[index].map(credential);
            with_visit(clients[index], true, |visit| limit.take(visit, credential.as_ref(), &route))
        };
        let held = take(0).expect("there is room for one");
        for index in [0, 1] {
            match take(index) {
                Err(Denied::TooMany { cap: reached, .. }) => assert_eq!(reached, cap),
                other => assert!(other.is_ok() && index == 1, "{other:?}"),
            }
        }
        drop(held);
        drop(take(0).expect("it was given back"));
        assert!(limit.counts.is_empty() && route.open() == 0);
    }

    #[test]
    fn each_cap_is_counted_by_itself() {
        let options = |client, subject, route| LimitOptions {
            connections_per_client: count(client),
            connections_per_subject: count(subject),
            connections: count(route),
            ..options()
        };
        check_cap(options(1, 0, 0), ["192.0.2.1", "192.0.2.2"], [None; 2], Cap::Client);
        check_cap(options(1, 0, 0), ["2001:db8::1", "2001:db8::2"], [None; 2], Cap::Client);
        check_cap(options(9, 1, 9), ["192.0.2.1", "192.0.2.2"], [Some("ann"), Some("bob")], Cap::Subject);
        check_cap(options(9, 1, 9), ["192.0.2.1", "192.0.2.2"], [Some("ann"), Some("ann")], Cap::Subject);
        check_cap(options(9, 9, 1), ["192.0.2.1", "192.0.2.2"], [None; 2], Cap::Route);
    }

    #[test]
    fn a_place_that_was_taken_before_another_was_refused_is_given_back() {
        let options = LimitOptions { connections_per_client: count(9), connections: count(1), ..options() };
        let (limit, route) = (Limit::new(&options), RouteCount::default());
        let take = |client: &str| with_visit(client, true, |visit| limit.take(visit, None, &route));
        let held = take("192.0.2.1").expect("there is room for one");
        assert!((0..20).all(|_| take("192.0.2.2").is_err()));
        assert_eq!(limit.counts.len(), 1);
        drop(held);
        assert!(take("192.0.2.2").is_ok());
    }

    #[test]
    fn tokens_without_a_subject_are_not_one_subject() {
        let limit = Limit::new(&LimitOptions { connections_per_subject: count(1), ..options() });
        let nobody = credential("");
        let take = || with_visit("192.0.2.1", true, |visit| limit.take(visit, Some(&nobody), &RouteCount::default()));
        assert!(take().is_ok() && take().is_ok());
    }
}
