//! The addresses that a server's name leads to.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::Metrics;
use crate::upstream::testing::{Answering, ask, get, nobody, options, post, run, tasks, upstream};
use crate::upstream::{Scheme, Server, Shared, Upkeep, Upstreams, resolve};

fn server_named(host: &str) -> Server {
    Server::Tcp { scheme: Scheme::Http, host: host.to_owned(), port: 80 }
}

fn port(server: &Server) -> u16 {
    let Server::Tcp { port, .. } = server else { panic!("{server}") };
    *port
}

#[test]
fn every_address_of_a_name_is_tried_and_the_one_that_answered_first_next_time() {
    run(async {
        let app = Answering::start("app").await;
        let refused = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port(&nobody().await)));
        let upstream = upstream(&options(&[server_named("app.invalid")]));
        let addresses = &upstream.group.members[0].addresses;
        let answers = SocketAddr::from(([127, 0, 0, 1], port(&app.server)));
        addresses.set(&[refused, answers]);
        assert_eq!(addresses.round().await.unwrap().addresses, [refused, answers]);
        assert_eq!(ask(&upstream, post()).await.unwrap(), "app");
        assert_eq!(addresses.round().await.unwrap().addresses, [answers, refused]);
    });
}

#[test]
fn a_kept_connection_to_where_a_name_no_longer_leads_is_not_used() {
    run(async {
        let (old, new) = (Answering::start("old").await, Answering::start("new").await);
        let at = |app: &Answering| SocketAddr::from(([127, 0, 0, 1], port(&app.server)));
        let upstream = upstream(&options(&[server_named("app.invalid")]));
        let addresses = &upstream.group.members[0].addresses;
        addresses.set(&[at(&old)]);
        assert_eq!(ask(&upstream, get()).await.unwrap(), "old");
        addresses.set(&[at(&new), at(&old)]);
        assert_eq!(ask(&upstream, get()).await.unwrap(), "old", "it is still one of its addresses");
        addresses.set(&[at(&new)]);
        assert_eq!(ask(&upstream, get()).await.unwrap(), "new");
        assert_eq!(upstream.pools[0].idle_count(), 1);
    });
}

#[test]
fn a_container_that_comes_back_at_another_address_is_found_by_the_first_request() {
    run(async {
        let old = nobody().await;
        let new = Answering::start("new").await;
        let upstream = upstream(&options(&[server_named("app.invalid")]));
        let leads_to = Cell::new(port(&old));
        let lookup = async |_: &str, _| Ok(vec![SocketAddr::from(([127, 0, 0, 1], leads_to.get()))]);
        let addresses = &upstream.group.members[0].addresses;
        let looked_up = resolve::keep(addresses, "app", Duration::from_millis(50), lookup);
        let asking = async {
            assert_eq!(addresses.round().await.unwrap().addresses.len(), 1);
            leads_to.set(port(&new.server));
            assert_eq!(ask(&upstream, post()).await.unwrap(), "new");
        };
        tokio::select! {
            () = looked_up => unreachable!("never ends"),
            () = asking => {}
        }
    });
}

#[test]
fn a_name_that_does_not_resolve_is_a_failure_to_connect_that_says_so() {
    run(async {
        let options = options(&[server_named("app.invalid")]);
        let (shared, tasks) = (Shared::new([&options], &Metrics::new()).unwrap(), tasks());
        let upstreams = Upstreams::new(Arc::clone(&shared), tasks.clone());
        let mut upkeep = Upkeep::new(&tasks);
        upkeep.turn_to(&shared, &Metrics::new());
        let failure = ask(upstreams.get("app").unwrap(), get()).await.unwrap_err();
        let said = failure.to_string();
        assert!(said.starts_with("cannot connect to http://app.invalid:80: app.invalid does not resolve: "), "{said}");
    });
}
