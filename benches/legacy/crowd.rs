//! `crowd`: the backend that blocks for a tenth of a second a message and a viewer, behind the config that is its answer.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Outcome;
use super::report::Finding;
use super::server::{free, uvicorn, with_config};
use super::support::measure::{Cpu, size};
use super::support::steadfeed::get;
use super::support::wait::wait_for;
use super::viewers::{Crowd, Reader};

const ROW: &str = "crowd";

/// Every message there was, in order, and where in it each viewer is.
struct Ledger {
    hasher: RandomState,
    messages: Vec<u64>,
    /// The place after the last that a viewer got.
    next: Vec<Option<usize>>,
    /// Messages that were not the one after the viewer's last.
    gaps: u64,
}

impl Ledger {
    /// A viewer that is first to get a message adds it; others must get it at its place.
    fn enter(&mut self, viewer: usize, text: &[u8]) {
        if text.starts_with(b"{\"type\":\"connected\"") || text.starts_with(b"{\"type\":\"keepalive\"") {
            return;
        }
        let message = self.hasher.hash_one(text);
        let place = match self.next[viewer] {
            // The snapshot; it may be an older one than the last that others have.
            None => self.messages.iter().position(|one| *one == message).unwrap_or(self.messages.len()),
            Some(place) => place,
        };
        match self.messages.get(place) {
            None => self.messages.push(message),
            Some(one) if *one == message => {}
            Some(_) => self.gaps += 1,
        }
        self.next[viewer] = Some(place + 1);
    }

    fn all_are_at_its_end(&self) -> bool {
        self.next.iter().all(|next| *next == Some(self.messages.len()))
    }
}

pub async fn run(folder: &Path) -> Outcome<Vec<Finding>> {
    let (viewers, seconds) = (size("VIEWERS", 5000)?, size("SECONDS", 20)?);
    let backend = uvicorn(folder, "ziggie").await?;
    let address = free()?;
    let variables = [
        format!("APP={}", backend.address),
        format!("HTTP={address}"),
        "HTTPS=127.0.0.1:0".to_owned(),
        "ADMIN=127.0.0.1:0".to_owned(),
    ];
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/ziggie.toml");
    let server = with_config(folder, &config, &variables, address).await?;
    let ledger = Rc::new(RefCell::new(Ledger {
        hasher: RandomState::new(),
        messages: Vec::new(),
        next: vec![None; viewers],
        gaps: 0,
    }));
    let entered = Rc::clone(&ledger);
    let reader: Reader = Rc::new(move |viewer, text| entered.borrow_mut().enter(viewer, text));
    let crowd = Crowd::seat(address, "/ws", viewers, &reader).await?;
    wait_for("everyone's snapshot", || ledger.borrow().all_are_at_its_end()).await?;
    let pids = server.process.pids();
    let (before, began, had) = (Cpu::read(&pids)?, Instant::now(), ledger.borrow().messages.len());
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    let (after, took, has) = (Cpu::read(&pids)?, began.elapsed().as_secs_f64(), ledger.borrow().messages.len());
    // One may just be on its way.
    let all = wait_for("everyone to have everything", || ledger.borrow().all_are_at_its_end()).await;
    let sockets =
        tokio::task::spawn_blocking(move || get(backend.address, "/debug/sockets").unwrap_or_default()).await?;
    let ever = counted(&sockets, "opened").ok_or_else(|| format!("no count: {sockets}"))?;
    let now = counted(&sockets, "open").ok_or_else(|| format!("no count: {sockets}"))?;
    let messages = has - had;
    // The blocking tenth of a second comes on top of the two between messages.
    let due = (took / 2.1).floor() as usize;
    if messages + 1 < due {
        return Err(format!("{messages} messages in {took:.1} s; the backend said some {due}").into());
    }
    let missing = ledger.borrow().gaps + u64::from(all.is_err());
    let who = format!("{viewers} viewers of the blocking backend, {messages} messages in {took:.0} s");
    let share = after.used_since(&before).as_secs_f64() / took * 100.0;
    Ok(vec![
        Finding::exactly(ROW, &format!("{who}: messages that somebody missed"), missing, 0),
        Finding::exactly(ROW, "viewers that were closed", crowd.closed(), 0),
        Finding::exactly(ROW, "sockets that the backend has", now, 1),
        Finding::exactly(ROW, "sockets that it ever had", ever, 1),
        Finding::at_most(ROW, "steadfeed's CPU time, of one core", share, 10.0, "%"),
        Finding::told_only(
            ROW,
            "in which it was ready but another had the core",
            after.waited_since(&before).as_secs_f64() / took * 100.0,
            "%",
        ),
    ])
}

/// The count of public sockets in `"open":{"public":1,...}`.
fn counted(text: &str, which: &str) -> Option<u64> {
    let (_, after) = text.split_once(&format!("\"{which}\":{{\"public\":"))?;
    after.split(|byte: char| !byte.is_ascii_digit()).next()?.parse().ok()
}
