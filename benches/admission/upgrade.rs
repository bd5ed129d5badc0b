//! What a token adds to an upgrade: the same feed behind no auth, and behind one of each family.

use super::client::{OWN, upgrade};
use super::keys::{ALGORITHMS, Side};
use super::rounds::{self, Row, added, header, line};
use super::server::Server;
use super::{Outcome, TARGET};

pub fn run() -> Outcome<()> {
    let mut config = String::new();
    let mut rows = vec![Row { name: "no auth".to_owned(), request: upgrade("/open", OWN), status: 101 }];
    let sides = ALGORITHMS.map(|(name, algorithm)| (name, Side::new(algorithm)));
    for (name, side) in &sides {
        config += &side.config(name);
        config += &format!("[[route]]\npath = \"/{name}\"\nfeed = \"bench\"\nauth = \"{name}\"\n");
        let target = format!("/{name}?token={}", side.token().reveal());
        rows.push(Row { name: (*name).to_owned(), request: upgrade(&target, OWN), status: 101 });
    }
    let server = Server::start(&config)?;
    let taken = rounds::run(&server, &rows)?;
    println!("{}", header("no auth"));
    for (row, one) in rows.iter().zip(&taken) {
        println!("{}", line(&row.name, one, &taken[0]));
    }
    let adds = added(&taken[1], &taken[0]);
    let verdict = if adds > TARGET { "missed" } else { "reached" };
    println!("HS256 adds {adds:.1} us (at most {TARGET}): {verdict}");
    Ok(())
}
