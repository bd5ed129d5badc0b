//! Where a server's name leads, looked up again and again.
//!
//! Owns: a server's addresses and the order they are tried in. A look-up that fails keeps the last good ones; nothing here
//! stops the process from starting. Never: connects.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::options::Server;
use crate::limits;

/// A server's addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    /// What to look up; nothing for an address or a unix socket.
    name: Option<(String, u16)>,
    known: watch::Sender<Known>,
    /// Counts the changes of `known.all`, for whoever holds connections to what it was.
    changes: AtomicU64,
    /// A look-up is asked for ahead of time.
    wanted: Notify,
    /// Rotates over the addresses of one family.
    turn: AtomicUsize,
    /// The family that answered last is tried first.
    prefers_v6: AtomicBool,
}

#[derive(Debug, Clone)]
struct Known {
    all: Arc<[SocketAddr]>,
    /// Look-ups that ended, either way.
    lookups: u64,
    /// Why the last one failed.
    error: Option<Arc<str>>,
}

/// Addresses as they were tried, to ask for newer ones.
#[derive(Debug)]
pub(super) struct Round {
    /// In the order to try them.
    pub(super) addresses: Vec<SocketAddr>,
    lookups: u64,
    changes: u64,
}

impl Addresses {
    pub(super) fn new(server: &Server) -> Addresses {
        let (name, all) = match server {
            Server::Unix(_) => (None, Vec::new()),
            Server::Tcp { host, port, .. } => match host.parse::<IpAddr>() {
                Ok(address) => (None, vec![SocketAddr::new(address, *port)]),
                Err(_) => (Some((host.clone(), *port)), Vec::new()),
            },
        };
        Addresses {
            name,
            known: watch::Sender::new(Known { all: all.into(), lookups: 0, error: None }),
            changes: AtomicU64::new(0),
            wanted: Notify::new(),
            turn: AtomicUsize::new(0),
            prefers_v6: AtomicBool::new(false),
        }
    }

    /// Counts changes: as long as it stays the same, so do the addresses.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// Whether connections to `address` are still to be used.
    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.known.borrow().all.contains(&address)
    }

    /// The one address of this machine itself that there is, where nothing has to be looked up.
    pub(super) fn own(&self) -> Option<SocketAddr> {
        let all = &self.known.borrow().all;
        all.first().copied().filter(|address| self.name.is_none() && address.ip().is_loopback())
    }

    /// The addresses to try, in order; waits for the first look-up. Where the name has never resolved, has it looked up
    /// again, and waits for that as [`Addresses::newer`] does.
    ///
    /// # Errors
    /// If the name does not resolve, and never did.
    pub(super) async fn round(&self) -> io::Result<Round> {
        let mut watched = self.known.subscribe();
        let ready = |known: &Known| self.name.is_none() || known.lookups > 0;
        let known = watched.wait_for(ready).await.map_err(io::Error::other)?.clone();
        match &known.error {
            Some(error) if known.all.is_empty() => match self.after(known.lookups).await {
                Some(known) if !known.all.is_empty() => Ok(self.in_turn(&known)),
                Some(_) | None => Err(io::Error::other(error.to_string())),
            },
            Some(_) | None => Ok(self.in_turn(&known)),
        }
    }

    /// Has the name looked up again; what it leads to now, if that is somewhere else than `last`.
    pub(super) async fn newer(&self, last: &Round) -> Option<Round> {
        self.name.as_ref()?;
        let known = self.after(last.lookups).await?;
        (self.changes() != last.changes && !known.all.is_empty()).then(|| self.in_turn(&known))
    }

    /// What is known after more than so many look-ups, the next of which is asked for; nothing where it takes long.
    async fn after(&self, lookups: u64) -> Option<Known> {
        self.wanted.notify_one();
        let mut watched = self.known.subscribe();
        let looked_up = watched.wait_for(|known| known.lookups > lookups);
        Some(timeout(limits::LOOKUP_WAIT, looked_up).await.ok()?.ok()?.clone())
    }

    /// A connection to `address` was had.
    pub(super) fn answered(&self, address: SocketAddr) {
        if self.prefers_v6.load(Relaxed) != address.is_ipv6() {
            self.prefers_v6.store(address.is_ipv6(), Relaxed);
        }
    }

    fn in_turn(&self, known: &Known) -> Round {
        let prefers_v6 = self.prefers_v6.load(Relaxed);
        let (mut first, then): (Vec<_>, Vec<_>) =
            known.all.iter().partition(|address: &&SocketAddr| address.is_ipv6() == prefers_v6);
        if !first.is_empty() {
            let turn = self.turn.fetch_add(1, Relaxed) % first.len();
            first.rotate_left(turn);
        }
        first.extend(then);
        Round { addresses: first, lookups: known.lookups, changes: self.changes() }
    }

    /// Takes what a look-up found; logs what is new.
    fn take(&self, upstream: &str, name: &str, found: io::Result<Vec<SocketAddr>>) {
        let before = self.known.borrow().clone();
        let lookups = before.lookups + 1;
        let found = found.and_then(|mut all| {
            all.truncate(limits::ADDRESSES);
            if all.is_empty() { Err(io::Error::other("it has no address")) } else { Ok(all) }
        });
        let next = match found {
            Err(error) => {
                let error: Arc<str> = Arc::from(format!("{name} does not resolve: {error}"));
                if before.error.as_ref() != Some(&error) {
                    let kept = before.all.len();
                    tracing::warn!(upstream, name, %error, kept, "a server's name does not resolve; it is tried again");
                }
                Known { all: before.all, lookups, error: Some(error) }
            }
            Ok(all) => {
                let sorted = |all: &[SocketAddr]| {
                    let mut all = all.to_vec();
                    all.sort_unstable();
                    all.dedup();
                    all
                };
                // The order is rotated by many name servers; that is no change.
                if sorted(&before.all) == sorted(&all) {
                    if before.error.is_some() {
                        tracing::info!(upstream, name, "a server's name resolves again");
                    }
                    Known { all: before.all, lookups, error: None }
                } else {
                    if lookups > 1 {
                        tracing::info!(upstream, name, ?all, "a server's name leads elsewhere");
                    }
                    if before.all.is_empty() {
                        // As the system sorts them (RFC 6724), until one answers.
                        self.prefers_v6.store(all.first().is_some_and(SocketAddr::is_ipv6), Relaxed);
                    }
                    self.changes.fetch_add(1, Relaxed);
                    Known { all: all.into(), lookups, error: None }
                }
            }
        };
        self.known.send_replace(next);
    }
}

/// Looks the name up at once and then each `every`, or sooner where a connection failed; never ends. One that has never
/// resolved is looked up soon again, then less and less often: containers start together, and each has its name when it
/// has started.
pub(super) async fn keep(
    addresses: &Addresses,
    upstream: &str,
    every: Duration,
    lookup: impl AsyncFn(&str, u16) -> io::Result<Vec<SocketAddr>>,
) {
    let Some((name, port)) = &addresses.name else { return };
    let mut missing = limits::LOOKUP_PAUSE;
    loop {
        let found = lookup(name, *port).await;
        addresses.take(upstream, name, found);
        let mut wait = every;
        if addresses.known.borrow().all.is_empty() {
            wait = missing.min(every);
            missing = wait.saturating_mul(2);
        }
        sleep(limits::LOOKUP_PAUSE.min(wait)).await;
        tokio::select! {
            () = sleep(wait.saturating_sub(limits::LOOKUP_PAUSE)) => {}
            () = addresses.wanted.notified() => {}
        }
    }
}

/// Asks the system, as it is set up to resolve names: files, then name servers.
///
/// # Errors
/// What it says.
pub(super) async fn system(slots: &Semaphore, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let _slot = slots.acquire().await.map_err(io::Error::other)?;
    Ok(tokio::net::lookup_host((name, port)).await?.collect())
}

#[cfg(test)]
impl Addresses {
    /// As a look-up would.
    pub(super) fn set(&self, all: &[SocketAddr]) {
        self.take("app", "test", Ok(all.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::io;
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::sync::Semaphore;
    use tokio::time::{Instant, sleep};

    use super::{Addresses, keep, system};
    use crate::limits;
    use crate::upstream::{Scheme, Server};

    const EVERY: Duration = Duration::from_secs(10);

    fn addresses(host: &str) -> Addresses {
        Addresses::new(&Server::Tcp { scheme: Scheme::Http, host: host.to_owned(), port: 80 })
    }

    fn at(hosts: &[&str]) -> Vec<SocketAddr> {
        hosts.iter().map(|host| SocketAddr::new(host.parse().unwrap(), 80)).collect()
    }

    /// What a name leads to, as a test changes it.
    #[derive(Default)]
    struct Names {
        hosts: RefCell<Option<Vec<SocketAddr>>>,
        asked: Cell<usize>,
    }

    impl Names {
        fn lead_to(&self, hosts: &[&str]) {
            self.hosts.replace(Some(at(hosts)));
        }

        fn lookup(&self) -> io::Result<Vec<SocketAddr>> {
            self.asked.set(self.asked.get() + 1);
            self.hosts.borrow().clone().ok_or_else(|| io::Error::other("no such name"))
        }
    }

    /// Runs `test` beside the look-ups of `addresses`.
    async fn beside(addresses: &Addresses, names: &Names, test: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = test => {}
            () = keep(addresses, "app", EVERY, async |_: &str, _| names.lookup()) => unreachable!("never ends"),
        }
    }

    /// Until the next look-up is over.
    async fn next_lookup() {
        sleep(EVERY + Duration::from_millis(1)).await;
    }

    async fn known(addresses: &Addresses) -> Vec<SocketAddr> {
        addresses.round().await.unwrap().addresses
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_leads_elsewhere_is_followed_at_the_next_look_up() {
        let (addresses, names) = (addresses("app"), Names::default());
        names.lead_to(&["10.0.0.1"]);
        beside(&addresses, &names, async {
            assert_eq!(known(&addresses).await, at(&["10.0.0.1"]));
            let changes = addresses.changes();
            next_lookup().await;
            assert_eq!(addresses.changes(), changes);
            names.lead_to(&["10.0.0.2"]);
            next_lookup().await;
            assert_eq!(known(&addresses).await, at(&["10.0.0.2"]));
            assert_ne!(addresses.changes(), changes);
            assert!(!addresses.has(at(&["10.0.0.1"])[0]));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_does_not_resolve_yet_is_waited_for_once_and_found_later() {
        let (addresses, names) = (addresses("app"), Names::default());
        beside(&addresses, &names, async {
            let error = addresses.round().await.unwrap_err();
            assert_eq!(error.to_string(), "app does not resolve: no such name");
            names.lead_to(&["10.0.0.1"]);
            next_lookup().await;
            assert_eq!(known(&addresses).await, at(&["10.0.0.1"]));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_has_never_resolved_is_looked_up_soon_again_and_at_once_for_a_request() {
        let (addresses, names) = (addresses("app"), Names::default());
        beside(&addresses, &names, async {
            sleep(Duration::from_millis(7500)).await;
            assert_eq!(names.asked.get(), 4, "at 0, 1, 3 and 7 s");
            sleep(Duration::from_secs(600)).await;
            assert!(names.asked.get() < 66, "then as any other: {}", names.asked.get());
            sleep(limits::LOOKUP_PAUSE).await;
            names.lead_to(&["10.0.0.1"]);
            let began = Instant::now();
            assert_eq!(known(&addresses).await, at(&["10.0.0.1"]));
            assert!(began.elapsed() <= limits::LOOKUP_WAIT);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_fails_keeps_the_last_good_addresses() {
        let (addresses, names) = (addresses("app"), Names::default());
        names.lead_to(&["10.0.0.1"]);
        beside(&addresses, &names, async {
            assert_eq!(known(&addresses).await, at(&["10.0.0.1"]));
            names.hosts.replace(None);
            next_lookup().await;
            names.lead_to(&[]);
            next_lookup().await;
            assert_eq!(names.asked.get(), 3);
            assert_eq!(known(&addresses).await, at(&["10.0.0.1"]));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_fails_has_its_name_looked_up_again_at_once_but_not_more_often_than_the_bound() {
        let (addresses, names) = (addresses("app"), Names::default());
        names.lead_to(&["10.0.0.1"]);
        beside(&addresses, &names, async {
            let round = addresses.round().await.unwrap();
            sleep(limits::LOOKUP_PAUSE).await;
            names.lead_to(&["10.0.0.2"]);
            let began = Instant::now();
            assert_eq!(addresses.newer(&round).await.unwrap().addresses, at(&["10.0.0.2"]));
            assert_eq!(began.elapsed(), Duration::ZERO);
            let round = addresses.round().await.unwrap();
            for _ in 0..20 {
                assert!(addresses.newer(&round).await.is_none());
            }
            let most = began.elapsed().div_duration_f64(limits::LOOKUP_PAUSE) + 2.0;
            assert!(names.asked.get() as f64 <= most + 1.0, "{} in {:?}", names.asked.get(), began.elapsed());
            assert!(began.elapsed() <= limits::LOOKUP_WAIT * 20);
        })
        .await;
    }

    #[tokio::test]
    async fn look_ups_wait_for_each_other_at_the_bound() {
        let slots = Semaphore::new(limits::LOOKUPS);
        let all = slots.acquire_many(u32::try_from(limits::LOOKUPS).unwrap()).await.unwrap();
        let mut waiting = std::pin::pin!(system(&slots, "127.0.0.1", 80));
        tokio::select! {
            biased;
            found = waiting.as_mut() => panic!("{found:?}"),
            () = tokio::task::yield_now() => {}
        }
        drop(all);
        assert_eq!(waiting.await.unwrap(), at(&["127.0.0.1"]));
    }

    #[tokio::test]
    async fn an_address_is_never_looked_up() {
        let addresses = addresses("::1");
        keep(&addresses, "app", EVERY, async |_: &str, _| unreachable!("a look-up")).await;
        assert_eq!(known(&addresses).await, at(&["::1"]));
    }

    #[tokio::test]
    async fn addresses_take_turns_and_the_family_that_answered_goes_first() {
        let addresses = addresses("app");
        addresses.set(&at(&["::1", "10.0.0.1", "10.0.0.2"]));
        assert_eq!(known(&addresses).await, at(&["::1", "10.0.0.1", "10.0.0.2"]));
        addresses.answered(at(&["10.0.0.2"])[0]);
        let rounds = [known(&addresses).await, known(&addresses).await];
        assert!(rounds.contains(&at(&["10.0.0.1", "10.0.0.2", "::1"])), "{rounds:?}");
        assert!(rounds.contains(&at(&["10.0.0.2", "10.0.0.1", "::1"])), "{rounds:?}");
        let changes = addresses.changes();
        addresses.set(&at(&["10.0.0.2", "::1", "10.0.0.1"]));
        assert_eq!(addresses.changes(), changes, "another order is no change");
    }

    #[tokio::test]
    async fn a_name_has_a_bounded_number_of_addresses() {
        let addresses = addresses("app");
        let many: Vec<_> = (0..1000).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        addresses.set(&many);
        assert_eq!(known(&addresses).await.len(), limits::ADDRESSES);
    }
}
