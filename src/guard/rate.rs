//! How often one client may ask: `upgrades` (with `burst`) and `requests` of a `[limit.NAME]`.
//!
//! Owns: one rate limiter (governor's GCRA) over all workers, and what a client over it is told: `Retry-After`, and
//! `RateLimit` and `RateLimit-Policy` as the IETF drafts them (draft-ietf-httpapi-ratelimit-headers). Never: says the rate to a
//! client that keeps it, which would cost every answer two headers.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};

use super::store::Store;
use crate::networks::Client;
use crate::rate::Rate;

/// A rate that each client has for itself. Generic over its clock, which tests turn by hand.
pub struct Throttle<C: Clock = DefaultClock> {
    policy: Policy,
    limiter: RateLimiter<Client, Store, C, NoOpMiddleware<C::Instant>>,
}

/// What is counted, and how many may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The key of `[limit.NAME]`: `upgrades` or `requests`.
    pub key: &'static str,
    pub rate: Rate,
}

/// A client came too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    pub policy: Policy,
    /// Until the next may come.
    pub wait: Duration,
}

impl Throttle {
    /// `burst` may come at once; where it is `None`, as many as the rate counts.
    #[must_use]
    pub fn new(policy: Policy, burst: Option<NonZeroU32>) -> Throttle {
        Throttle::with_clock(policy, burst, DefaultClock::default())
    }
}

impl<C: Clock> Throttle<C> {
    /// The same, by another clock.
    #[must_use]
    pub fn with_clock(policy: Policy, burst: Option<NonZeroU32>, clock: C) -> Throttle<C> {
        let Rate { count, per } = policy.rate;
        let each = (per.duration() / count.get()).max(Duration::from_nanos(1));
        // Only an interval of nothing gives none.
        let quota = Quota::with_period(each).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let quota = quota.allow_burst(burst.unwrap_or(count));
        Throttle { policy, limiter: RateLimiter::new(quota, Store::default(), clock) }
    }

    /// Counts one of `client`; what is refused counts nothing.
    ///
    /// # Errors
    /// If it comes too soon.
    pub fn check(&self, client: Client) -> Result<(), Excess> {
        self.limiter.check_key(&client).map_err(|until| {
            let wait = until.wait_time_from(self.limiter.clock().now());
            Excess { policy: self.policy, wait }
        })
    }

    /// Forgets the clients that have their whole rate again.
    pub fn trim(&self) {
        self.limiter.retain_recent();
    }

    /// How many clients it tells apart now.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.limiter.len()
    }
}

impl Excess {
    /// Whole seconds, at least one.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let whole = self.wait.as_secs();
        (if self.wait.subsec_nanos() > 0 { whole + 1 } else { whole }).max(1)
    }

    /// The value of `RateLimit-Policy`.
    #[must_use]
    pub fn policy(&self) -> String {
        let Policy { key, rate } = self.policy;
        format!("\"{key}\";q={};w={}", rate.count, rate.per.duration().as_secs())
    }

    /// The value of `RateLimit`.
    #[must_use]
    pub fn state(&self) -> String {
        format!("\"{}\";r=0;t={}", self.policy.key, self.seconds())
    }
}

impl<C: Clock> fmt::Debug for Throttle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::num::NonZeroU32;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::{Excess, Policy, Throttle};
    use crate::limits;
    use crate::networks::Client;
    use crate::rate::{Per, Rate};

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(count: u32, per: Per) -> Policy {
        Policy { key: "upgrades", rate: Rate { count: NonZeroU32::new(count).unwrap(), per } }
    }

    fn throttle(count: u32, per: Per, burst: u32) -> (Throttle<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Throttle::with_clock(policy(count, per), NonZeroU32::new(burst), clock.clone()), clock)
    }

    /// The client of this number: each has a /64 of its own.
    fn client(number: u64) -> Client {
        Client::of(Ipv6Addr::from_bits(u128::from(number) << 64 | 1).into())
    }

    #[test]
    fn a_burst_may_come_at_once_and_then_one_in_its_time() {
        let (throttle, clock) = throttle(30, Per::Minute, 10);
        assert!((0..10).all(|_| throttle.check(client(1)).is_ok()));
        let excess = throttle.check(client(1)).unwrap_err();
        assert_eq!((excess.wait, excess.seconds()), (2 * SECOND, 2));
        assert_eq!(throttle.check(client(2)), Ok(()));
        clock.advance(2 * SECOND);
        assert_eq!(throttle.check(client(1)), Ok(()));
        assert!(throttle.check(client(1)).is_err());
        clock.advance(60 * SECOND);
        assert!((0..10).all(|_| throttle.check(client(1)).is_ok()));
    }

    #[test]
    fn without_a_burst_the_whole_rate_may_come_at_once() {
        let (throttle, clock) = throttle(3, Per::Second, 0);
        assert!((0..3).all(|_| throttle.check(client(1)).is_ok()) && throttle.check(client(1)).is_err());
        clock.advance(SECOND / 3);
        assert!(throttle.check(client(1)).is_ok() && throttle.check(client(1)).is_err());
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let (throttle, clock) = throttle(1, Per::Second, 1);
        assert!(throttle.check(client(1)).is_ok());
        assert!((0..1000).all(|_| throttle.check(client(1)).is_err()));
        clock.advance(SECOND);
        assert!(throttle.check(client(1)).is_ok());
    }

    #[test]
    fn the_addresses_of_one_64_are_one_client() {
        let (throttle, _) = throttle(1, Per::Hour, 1);
        let address = |text: &str| Client::of(text.parse().unwrap());
        assert!(throttle.check(address("2001:db8::1")).is_ok());
        assert!(throttle.check(address("2001:db8::2")).is_err());
        assert!(throttle.check(address("2001:db8:0:1::1")).is_ok());
        assert!(throttle.check(address("192.0.2.1")).is_ok());
        assert!(throttle.check(address("::ffff:192.0.2.1")).is_err());
    }

    #[test]
    fn a_flood_of_clients_is_held_under_the_cap_and_forgets_nobody_known() {
        let (throttle, clock) = throttle(60, Per::Minute, 2);
        assert!(throttle.check(client(0)).is_ok() && throttle.check(client(0)).is_ok());
        let let_in = (1..100_000).filter(|number| throttle.check(client(*number)).is_ok()).count();
        let known = throttle.clients();
        assert!(known <= limits::CLIENT_KEYS && known > limits::CLIENT_KEYS * 9 / 10, "{known}");
        // Those that did not fit had one client's burst a shard.
        assert!(let_in <= known + limits::CLIENT_SHARDS * 2, "{let_in} of {known}");
        assert!(throttle.check(client(0)).is_err(), "it is known, and has had its burst");
        // Whoever waits is let in, also while it is full: those that share take turns.
        clock.advance(SECOND);
        assert!(throttle.check(client(0)).is_ok());
        let turns = (100_000..200_000).filter(|number| throttle.check(client(*number)).is_ok()).count();
        assert_eq!(turns, limits::CLIENT_SHARDS);
        clock.advance(60 * SECOND);
        throttle.trim();
        assert_eq!(throttle.clients(), 0);
        assert!((0..1000).all(|number| throttle.check(client(number)).is_ok()));
    }

    #[test]
    fn who_still_waits_is_not_forgotten() {
        let (throttle, clock) = throttle(1, Per::Minute, 1);
        assert!(throttle.check(client(1)).is_ok());
        clock.advance(30 * SECOND);
        throttle.trim();
        assert!(throttle.clients() == 1 && throttle.check(client(1)).is_err());
    }

    #[track_caller]
    fn check_headers(rate: Policy, wait: Duration, expected: (u64, &str, &str)) {
        let excess = Excess { policy: rate, wait };
        assert_eq!((excess.seconds(), &*excess.policy(), &*excess.state()), expected);
    }

    #[test]
    fn the_headers_say_the_rate_and_the_wait_in_whole_seconds() {
        let (a_minute, a_second) = (policy(30, Per::Minute), Policy { key: "requests", ..policy(100, Per::Second) });
        check_headers(a_minute, 12 * SECOND, (12, "\"upgrades\";q=30;w=60", "\"upgrades\";r=0;t=12"));
        check_headers(a_minute, SECOND + SECOND / 1000, (2, "\"upgrades\";q=30;w=60", "\"upgrades\";r=0;t=2"));
        check_headers(a_second, SECOND / 100, (1, "\"requests\";q=100;w=1", "\"requests\";r=0;t=1"));
        check_headers(a_second, Duration::ZERO, (1, "\"requests\";q=100;w=1", "\"requests\";r=0;t=1"));
    }
}
