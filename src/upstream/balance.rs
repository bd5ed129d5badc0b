//! Which server is next.
//!
//! Owns: the order among servers that may be asked, and what is done when none may. Never: asks one.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::member::Member;
use super::options::Balance;
use super::standing::State;
use crate::limits;

/// Picks servers for the requests of all workers.
#[derive(Debug)]
pub(super) struct Balancer {
    balance: Balance,
    /// Where the round stands; of `least_conn` too, whose ties rotate.
    turn: AtomicUsize,
}

/// The servers that one request was tried on already.
#[derive(Debug, Default)]
pub(super) struct Tried {
    members: [usize; limits::UPSTREAM_TRIES],
    count: usize,
}

impl Tried {
    pub(super) fn add(&mut self, member: usize) {
        if let Some(place) = self.members.get_mut(self.count) {
            *place = member;
            self.count += 1;
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.count >= limits::UPSTREAM_TRIES
    }

    fn has(&self, member: usize) -> bool {
        self.members.iter().take(self.count).any(|tried| *tried == member)
    }
}

impl Balancer {
    pub(super) fn new(balance: Balance) -> Balancer {
        Balancer { balance, turn: AtomicUsize::new(0) }
    }

    /// The place of the server to ask, or nothing where each was tried or is found down by active checks. Where all are
    /// marked, the one marked longest ago: it may be back, and else the client is told what is wrong with it.
    pub(super) fn pick(&self, members: &[Arc<Member>], client: IpAddr, tried: &Tried) -> Option<usize> {
        let turn = match self.balance {
            Balance::LeastConn | Balance::RoundRobin => self.turn.fetch_add(1, Relaxed),
            Balance::ClientIp => 0,
        };
        let count = members.len();
        let distance = |index: usize| (index + count - turn % count.max(1)) % count.max(1);
        let rank = |index: usize, member: &Member| match self.balance {
            Balance::LeastConn => (member.load() as u64, distance(index)),
            Balance::RoundRobin => (0, distance(index)),
            // The highest of its hashes: when one server goes, only its own clients move.
            Balance::ClientIp => (!hash(client, &member.name), index),
        };
        let untried = || members.iter().enumerate().filter(|(index, _)| !tried.has(*index));
        // A claim that is lost to another thread leaves one less to choose from.
        for _ in 0..=count {
            let open = untried().filter(|(_, member)| matches!(member.standing.state(), State::Up | State::Due));
            let Some((index, member)) = open.min_by_key(|(index, member)| rank(*index, member)) else { break };
            if member.standing.state() == State::Up || member.standing.claim() {
                return Some(index);
            }
        }
        let marked = untried().filter(|(_, member)| member.standing.state() != State::Unhealthy);
        marked.min_by_key(|(index, member)| (member.standing.marked_at(), rank(*index, member))).map(|(index, _)| index)
    }
}

/// The same in every process and version: FNV-1a, its bits mixed well enough to compare by size.
fn hash(client: IpAddr, server: &str) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    let start = server.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, add);
    let all = match client.to_canonical() {
        IpAddr::V4(address) => address.octets().iter().fold(start, add),
        IpAddr::V6(address) => address.octets().iter().fold(start, add),
    };
    let mixed = (all ^ (all >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use super::{Balance, Balancer, Member, Tried, hash};
    use crate::upstream::member::Group;
    use crate::upstream::testing::{CLIENT, options};
    use crate::upstream::tls::Lazy;
    use crate::upstream::{Failure, Scheme, Server};

    fn members(count: u16) -> Vec<Arc<Member>> {
        let server = |port| Server::Tcp { scheme: Scheme::Http, host: "10.0.0.1".to_owned(), port };
        let options = options(&(0..count).map(server).collect::<Vec<_>>());
        Group::new(&options, &mut Lazy::new(None), &crate::telemetry::Metrics::new()).unwrap().members
    }

    fn clients() -> impl Iterator<Item = IpAddr> {
        (0..=255).flat_map(|third| (1..5).map(move |last| IpAddr::V4(Ipv4Addr::new(192, 0, third, last))))
    }

    fn refuse(member: &Member) {
        let error = io::Error::from(io::ErrorKind::ConnectionRefused);
        member.standing.failed(&Failure::Connect { server: Arc::clone(&member.name), error });
    }

    fn picks(balancer: &Balancer, members: &[Arc<Member>], count: usize) -> Vec<usize> {
        (0..count).map(|_| balancer.pick(members, CLIENT, &Tried::default()).unwrap()).collect()
    }

    #[test]
    fn round_robin_goes_round_and_passes_over_who_is_marked() {
        let (members, balancer) = (members(3), Balancer::new(Balance::RoundRobin));
        assert_eq!(picks(&balancer, &members, 6), [0, 1, 2, 0, 1, 2]);
        refuse(&members[1]);
        assert!(!picks(&balancer, &members, 30).contains(&1));
    }

    #[test]
    fn least_conn_takes_the_least_loaded_and_ties_rotate() {
        let (members, balancer) = (members(3), Balancer::new(Balance::LeastConn));
        assert_eq!(picks(&balancer, &members, 6), [0, 1, 2, 0, 1, 2]);
        members[0].load.store(7, super::Relaxed);
        members[1].load.store(9, super::Relaxed);
        members[2].load.store(8, super::Relaxed);
        assert_eq!(picks(&balancer, &members, 3), [0, 0, 0]);
        refuse(&members[0]);
        assert_eq!(picks(&balancer, &members, 3), [2, 2, 2]);
    }

    #[test]
    fn a_client_stays_with_its_server_and_moves_only_when_that_is_down() {
        let (members, balancer) = (members(4), Balancer::new(Balance::ClientIp));
        let pick = || -> HashMap<IpAddr, usize> {
            clients().map(|client| (client, balancer.pick(&members, client, &Tried::default()).unwrap())).collect()
        };
        let before = pick();
        assert_eq!(pick(), before);
        let share = |index: usize| before.values().filter(|picked| **picked == index).count();
        assert!((0..4).all(|index| (180..330).contains(&share(index))), "{:?}", (0..4).map(share).collect::<Vec<_>>());
        members[2].standing.found(false, "");
        for (client, picked) in pick() {
            assert!(if before[&client] == 2 { picked != 2 } else { picked == before[&client] });
        }
        members[2].standing.found(true, "");
        assert_eq!(pick(), before);
    }

    #[test]
    fn a_clients_hash_is_the_same_in_every_process() {
        assert_eq!(hash(CLIENT, "http://app"), hash("::ffff:192.0.2.1".parse().unwrap(), "http://app"));
        assert_eq!(hash(CLIENT, "http://app"), 0x16b1_3d48_2996_1378);
    }

    #[test]
    fn where_all_are_marked_the_one_marked_first_is_asked_and_each_once() {
        let (members, balancer) = (members(3), Balancer::new(Balance::LeastConn));
        members.iter().for_each(|member| refuse(member));
        let mut tried = Tried::default();
        let mut asked = Vec::new();
        while let Some(picked) = balancer.pick(&members, CLIENT, &tried) {
            tried.add(picked);
            asked.push(picked);
        }
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2]);
        assert!(tried.is_over());
    }

    #[test]
    fn who_is_found_down_is_not_asked_even_where_there_is_no_other() {
        let (members, balancer) = (members(2), Balancer::new(Balance::RoundRobin));
        members.iter().for_each(|member| member.standing.found(false, ""));
        assert_eq!(balancer.pick(&members, CLIENT, &Tried::default()), None);
    }
}
