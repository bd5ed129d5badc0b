//! The listeners of the process, as one config follows another.
//!
//! Owns: which of them stay, by the address that the config names; what their connections have in common. Never: closes a
//! listener, or changes one, before all of another config can be had.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Address, BindError};
use crate::config::Config;
use crate::net::connection::Edge;
use crate::net::listener::Listener;
use crate::net::tls::{Identity, Shared, Tls};
use crate::net::{HttpsTarget, ListenerOptions};
use crate::networks::Networks;
use crate::worker::{Bound, Gate};

/// All listeners of one config, in its order.
#[derive(Debug)]
pub(super) struct Doors {
    tls: Shared,
    open: Vec<Door>,
}

#[derive(Debug)]
struct Door {
    options: ListenerOptions,
    /// With its real port.
    address: SocketAddr,
    edge: Edge,
    gate: Arc<Gate>,
}

/// A door before it is known what its connections have in common.
struct Frame {
    address: SocketAddr,
    /// One that was bound now.
    listener: Option<Listener>,
    /// Of one that was there before.
    gate: Option<Arc<Gate>>,
    tls: Option<Tls>,
}

/// The port that `https` means without one.
const HTTPS: u16 = 443;

impl Doors {
    /// None yet.
    ///
    /// # Errors
    /// If there can be no TLS.
    pub(super) fn none() -> Result<Doors, BindError> {
        Ok(Doors { tls: Shared::new().map_err(BindError::TlsStart)?, open: Vec::new() })
    }

    /// Those of `config`: addresses that are served already stay bound. Nothing of `self` changes.
    ///
    /// # Errors
    /// All that cannot be had.
    pub(super) fn after(&self, config: &Config) -> Result<(Doors, Vec<Bound>), Vec<BindError>> {
        let mut going: Vec<&Door> = self.open.iter().collect();
        let stays = |options: &ListenerOptions| {
            let place = going.iter().position(|door| door.options.address == options.address)?;
            Some(going.remove(place))
        };
        let before: Vec<Option<&Door>> = config.listeners.iter().map(stays).collect();
        let (mut frames, mut errors) = (Vec::new(), Vec::new());
        for (index, (options, before)) in config.listeners.iter().zip(before).enumerate() {
            match self.frame(index, options, before, &going) {
                Ok(frame) => frames.push(frame),
                Err(some) => errors.extend(some),
            }
        }
        if errors.is_empty() { Ok(self.doors(config, frames)) } else { Err(errors) }
    }

    /// These are served from now on, in place of `before`; gives those that are to be closed.
    pub(super) fn put_into_use(&self, before: &Doors) -> Vec<Arc<Gate>> {
        for door in &self.open {
            door.gate.set_edge(door.edge.clone());
        }
        let is_open = |gate: &Arc<Gate>| self.open.iter().any(|door| Arc::ptr_eq(&door.gate, gate));
        before.open.iter().map(|door| Arc::clone(&door.gate)).filter(|gate| !is_open(gate)).collect()
    }

    /// What is served, in the config's order.
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.open.iter().map(|door| Address { address: door.address, tls: door.edge.tls.is_some() }).collect()
    }

    /// Each with its options, by its real address.
    pub(super) fn options(&self) -> impl Iterator<Item = (SocketAddr, &ListenerOptions)> {
        self.open.iter().map(|door| (door.address, &door.options))
    }

    /// The certificates of all of them.
    pub(super) fn tls(&self) -> Vec<Tls> {
        self.open.iter().filter_map(|door| door.edge.tls.clone()).collect()
    }

    fn frame(
        &self,
        index: usize,
        options: &ListenerOptions,
        before: Option<&Door>,
        going: &[&Door],
    ) -> Result<Frame, Vec<BindError>> {
        let tls = self.tls_of(options, before).map_err(|error| BindError::Tls { listener: index, error });
        let bound = match before {
            Some(door) => Ok((door.address, None)),
            None => bind(index, options.address, going),
        };
        match (tls, bound) {
            (Ok(tls), Ok((address, listener))) => {
                Ok(Frame { address, listener, gate: before.map(|door| Arc::clone(&door.gate)), tls })
            }
            (tls, bound) => Err([tls.err(), bound.err()].into_iter().flatten().collect()),
        }
    }

    /// The certificates of a listener: those that are served already, where the config names the same files, which are read
    /// to know that they still can be.
    fn tls_of(
        &self,
        options: &ListenerOptions,
        before: Option<&Door>,
    ) -> Result<Option<Tls>, crate::net::tls::TlsError> {
        let Some(tls) = &options.tls else { return Ok(None) };
        let known = before.filter(|door| door.options.tls.as_ref() == Some(tls)).and_then(|door| door.edge.tls.clone());
        match (known, &tls.identity) {
            (Some(known), Identity::SelfSigned { .. }) => Ok(Some(known)),
            (Some(known), Identity::Files(_)) => Tls::load(tls, &self.tls).map(|_| Some(known)),
            (None, _) => Tls::load(tls, &self.tls).map(Some),
        }
    }

    fn doors(&self, config: &Config, frames: Vec<Frame>) -> (Doors, Vec<Bound>) {
        let trusted = Arc::new(Networks::new(config.trusted_proxies.iter().copied()));
        let limits = Arc::new(config.limits.clone());
        let ports: Vec<u16> = frames.iter().map(|frame| frame.address.port()).collect();
        let (mut open, mut bound) = (Vec::new(), Vec::new());
        for (options, frame) in config.listeners.iter().zip(frames) {
            let redirect = options.redirect_to_https.as_ref();
            let edge = Edge {
                tls: frame.tls,
                websocket_h2: options.websocket_h2,
                proxy_protocol: options.proxy_protocol,
                redirect: redirect.map(|target| redirect_to(target, |index| ports.get(index).copied()).into()),
                trusted: Arc::clone(&trusted),
                limits: Arc::clone(&limits),
            };
            let gate = frame.gate.unwrap_or_else(|| Arc::new(Gate::new(edge.clone())));
            bound.extend(frame.listener.map(|listener| Bound { listener, gate: Arc::clone(&gate) }));
            open.push(Door { options: options.clone(), address: frame.address, edge, gate });
        }
        (Doors { tls: self.tls.clone(), open }, bound)
    }
}

/// Binds an address that is not served yet; `going` are those of ours that are served until all can be had.
fn bind(index: usize, address: SocketAddr, going: &[&Door]) -> Result<(SocketAddr, Option<Listener>), BindError> {
    let bound = Listener::bind(address).and_then(|listener| Ok((listener.address()?, Some(listener))));
    bound.map_err(|error| {
        let ours = going.iter().find(|door| door.address.port() == address.port());
        match ours.filter(|_| error.kind() == io::ErrorKind::AddrInUse) {
            Some(door) => BindError::Held { listener: index, address, by: door.address },
            None => BindError::Listener { listener: index, address, error },
        }
    })
}

/// The template of a redirect to `target`; `port` gives a listener's, as bound.
fn redirect_to(target: &HttpsTarget, port: impl Fn(usize) -> Option<u16>) -> String {
    let (host, port) = match target {
        HttpsTarget::Listener(listener) => (None, port(*listener).unwrap_or(HTTPS)),
        HttpsTarget::At { host, port } => (host.as_deref(), *port),
    };
    let host = host.unwrap_or("{host}");
    if port == HTTPS { format!("https://{host}{{uri}}") } else { format!("https://{host}:{port}{{uri}}") }
}
