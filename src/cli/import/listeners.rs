//! The listeners: one an address, shared by all servers that listen there.
//!
//! Owns: which certificates an address has, and whether all that comes in there is sent to https.

use super::listen::Listen;
use super::model::{Listener, Redirected};
use super::servers::{Server, default_of};
use super::translate::Translation;

/// The listeners, in the order their addresses were found.
pub(super) fn listeners(servers: &[Server<'_>], translation: &mut Translation) -> Vec<Listener> {
    let mut addresses: Vec<&str> = Vec::new();
    for listen in servers.iter().flat_map(|server| &server.listens) {
        if !addresses.contains(&listen.address.as_str()) {
            addresses.push(&listen.address);
        }
    }
    let any = |address: &str| -> Vec<String> {
        let of_port = |port: &str| vec![format!("0.0.0.0:{port}"), format!("[::]:{port}")];
        addresses
            .iter()
            .find(|other| **other == address)
            .map(|_| of_port(Listen { address: address.to_owned(), ..Listen::usual() }.parts().1))
            .unwrap_or_default()
    };
    let mut listeners = Vec::new();
    for address in &addresses {
        // One that listens on every address of the port has this one's requests too.
        if any(address).iter().any(|wide| wide != address && addresses.contains(&wide.as_str())) {
            continue;
        }
        listeners.push(listener(address, servers, translation));
    }
    listeners
}

fn listener(address: &str, servers: &[Server<'_>], translation: &mut Translation) -> Listener {
    let here = |server: &&Server<'_>| server.listens.iter().any(|listen| listen.address == address);
    let mut members: Vec<&Server<'_>> = servers.iter().filter(here).collect();
    // The first certificate is shown to clients that name no host we know.
    let default = default_of(servers, address).and_then(|index| servers.get(index)).map(|server| server.directive.id);
    members.sort_by_key(|server| Some(server.directive.id) != default);
    let options = || members.iter().flat_map(|server| &server.listens).filter(|listen| listen.address == address);
    let mut listener = Listener {
        address: address.to_owned(),
        proxy_protocol: options().any(|listen| listen.proxy_protocol),
        tls: options().any(|listen| listen.tls),
        ..Listener::default()
    };
    if address.starts_with("[::]:") {
        listener.comment = Some("Takes IPv4 too.".to_owned());
    }
    if listener.tls {
        for server in &members {
            super::tls::identity(server, &mut listener, translation);
        }
        if listener.certificates.is_empty() {
            listener.comment = Some("nginx named no certificate here: one is made.".to_owned());
        }
        return listener;
    }
    let first_tls = servers.iter().flat_map(|server| &server.listens).find(|listen| listen.tls);
    let is_usual = first_tls.is_some_and(|listen| listen.parts().1 == "443");
    listener.redirect_to_https = redirect(&members, translation).map(|to| match to {
        // `true` is the port that is listened on, and nginx said the usual one.
        Redirected::SameHost if !is_usual => Redirected::To("https://{host}".to_owned()),
        Redirected::SameHost | Redirected::To(_) => to,
    });
    listener
}

/// Whether all that comes in here goes to https.
fn redirect(members: &[&Server<'_>], translation: &mut Translation) -> Option<Redirected> {
    let served = members.iter().filter(|server| !server.only_refuses() || server.https.is_some());
    let (mut sent, mut kept) = (Vec::new(), 0);
    for server in served {
        match &server.https {
            Some((to, directive)) => sent.push((to, *directive, server)),
            None => kept += 1,
        }
    }
    if kept > 0 {
        for (_, directive, _) in &sent {
            let why = "a listener sends all hosts to https or none, and others on this port are not sent";
            translation.report.left(directive, why, "send all of them: redirect_to_https = true");
        }
        return None;
    }
    let (first, directive, server) = sent.first()?;
    if sent.iter().all(|(to, ..)| to == first) {
        let own = matches!(first, Redirected::To(url) if server.names.len() == 1 && url.strip_prefix("https://") == server.names.first().map(String::as_str));
        return Some(if own { Redirected::SameHost } else { (*first).clone() });
    }
    let why = "a listener sends all hosts to https in one way: here each keeps its name";
    translation.report.note(directive, why, "write a route with `host` and `redirect` for one that changes it");
    Some(Redirected::SameHost)
}
