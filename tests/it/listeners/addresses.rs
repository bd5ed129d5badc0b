//! The addresses that are listened on.

use std::net::SocketAddr;

use super::{PLAIN, with};
use crate::support::instance::run;
use crate::support::{Instance, get};

#[tokio::test]
async fn every_listener_has_its_own_port_and_they_are_printed() {
    let second = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"[::1]:0\"";
    let instance = Instance::start(&with(second)).await;
    let ports: std::collections::HashSet<_> = instance.listeners().iter().map(SocketAddr::port).collect();
    assert!(ports.len() == 3 && !ports.contains(&0), "{ports:?}");
    let sixth: SocketAddr = format!("[::1]:{}", instance.listener(1).port()).parse().expect("an address");
    for address in [instance.listener(0), sixth, instance.listener(2)] {
        assert_eq!(get(address, "/hello", &[]).await.text(), "hello");
    }
}

#[tokio::test]
async fn a_second_instance_on_an_address_is_refused_at_its_place_in_the_config() {
    let instance = Instance::start(PLAIN).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = PLAIN.replace("127.0.0.1:0", &instance.address().to_string());
    std::fs::write(folder.path().join("a.toml"), format!("admin.listen = \"off\"\n{config}")).expect("a config");
    let output = run(folder.path(), &["run", "--config", "a.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("a.toml:4:11: {} is in use; ", instance.address())), "{said}");
    assert!(output.stdout.is_empty(), "nothing is said to be served");
    let admin = format!("admin.listen = \"{}\"\n{PLAIN}", instance.admin());
    std::fs::write(folder.path().join("a.toml"), admin).expect("a config");
    let output = run(folder.path(), &["run", "--config", "a.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("a.toml:1:16: {} is in use; ", instance.admin())), "{said}");
    assert_eq!(get(instance.address(), "/hello", &[]).await.status, 200, "the first goes on");
}
