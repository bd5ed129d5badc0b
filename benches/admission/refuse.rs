//! What it costs to refuse an upgrade, beside the cheapest that is let in: no auth, no limit, nothing said.

use super::Outcome;
use super::client::{OWN, upgrade};
use super::keys::{ALGORITHMS, Side};
use super::rounds::{self, Row, header, line};
use super::server::Server;
use super::support::measure::median;

const CONFIG: &str = r#"
[limit.once]
upgrades = "1/h"
[[route]]
path = "/once"
feed = "bench"
limit = "once"
[[route]]
path = "/closed"
feed = "bench"
deny = ["127.0.0.0/8"]
[[route]]
path = "/HS256"
feed = "bench"
auth = "HS256"
"#;

pub fn run() -> Outcome<()> {
    let (name, algorithm) = ALGORITHMS[0];
    let (ours, theirs) = (Side::new(algorithm), Side::new(algorithm));
    let token = |side: &Side| format!("/{name}?token={}", side.token().reveal());
    let server = Server::start(&format!("{CONFIG}{}", ours.config(name)))?;
    let row = |name: &str, target: &str, origin, status| {
        let request = upgrade(target, origin);
        Row { name: name.to_owned(), request, status }
    };
    // Takes the only one that `/once` gives in an hour.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(super::client::ask(server.plain, upgrade("/once", OWN).as_bytes()))?;
    let rows = [
        row("101 no auth", "/open", OWN, 101),
        row("101 HS256", &token(&ours), OWN, 101),
        row("403 address", "/closed", OWN, 403),
        row("403 origin", "/open", "https://dash.example.com.evil.test", 403),
        row("429 rate", "/once", OWN, 429),
        row("401 no token", "/HS256", OWN, 401),
        row("401 wrong key", &token(&theirs), OWN, 401),
    ];
    let taken = rounds::run(&server, &rows)?;
    println!("{}", header("admit"));
    for (row, one) in rows.iter().zip(&taken) {
        let share = median(one.iter().zip(&taken[0]).map(|(one, first)| one.cpu / first.cpu).collect());
        let verdict = match (row.status, share < 1.0) {
            (101, _) => "",
            (_, true) => "less",
            (_, false) => "missed",
        };
        println!("{}   x {share:.2} {verdict}", line(&row.name, one, &taken[0]));
    }
    Ok(())
}
