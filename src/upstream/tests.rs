//! Upstreams against servers that do as they are told.
//!
//! Owns: what these tests ask of an upstream's members; each of the submodules has one kind of guarantee.

mod addresses;
mod answers;
mod choice;
mod connections;
mod deadlines;
mod http2;
mod tls;

use super::standing::State;
use super::{Server, Upstream};

fn states(upstream: &Upstream) -> Vec<State> {
    upstream.group.members.iter().map(|member| member.standing.state()).collect()
}

fn loads(upstream: &Upstream) -> Vec<usize> {
    upstream.group.members.iter().map(|member| member.load()).collect()
}

fn named(server: &Server) -> String {
    server.to_string()
}
