//! `delay`: from the upstream's write of a frame until the last of a thousand viewers has read it.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Outcome;
use super::backend::Backend;
use super::report::Finding;
use super::server::steadfeed;
use super::support::measure::{quantile, size};
use super::support::wait::wait_for;
use super::viewers::{Crowd, Reader};

const ROW: &str = "delay";
const VIEWERS: usize = 1000;
/// Between two messages.
const EVERY: Duration = Duration::from_millis(50);

/// The message that is on its way.
struct Flight {
    mark: Vec<u8>,
    /// Viewers that have it.
    landed: usize,
    /// When the last of them had it.
    last: Instant,
}

pub async fn run(folder: &Path) -> Outcome<Vec<Finding>> {
    let (backend, upstream) = Backend::start(false).await?;
    let server = steadfeed(
        folder,
        &format!("[feed.live]\nsource = {{ websocket = \"ws://{upstream}/\" }}\n[[route]]\npath = \"/feed\"\nfeed = \"live\"\n"),
    )
    .await?;
    let flight = Rc::new(RefCell::new(Flight { mark: Vec::new(), landed: 0, last: Instant::now() }));
    let landing = Rc::clone(&flight);
    let reader: Reader = Rc::new(move |_, text| landing.borrow_mut().land(text));
    let crowd = Crowd::seat(server.address, "/feed", VIEWERS, &reader).await?;
    wait_for("the upstream socket", || backend.opened.get() == 1).await?;
    let count = size("SECONDS", 20)? * 10;
    let mut micros = Vec::with_capacity(count);
    // A few before anything is counted.
    for number in 0..count + 5 {
        let mark = format!("\"number\":{}", 10_000_000 + number);
        let text = format!("{{\"type\":\"system_stats\",\"data\":{{{mark},\"fill\":\"{}\"}}}}", "x".repeat(340));
        flight.borrow_mut().depart(mark);
        let began = Instant::now();
        backend.say(&text).await?;
        wait_until(&flight).await?;
        let took = flight.borrow().last.duration_since(began);
        if number >= 5 {
            micros.push(u32::try_from(took.as_micros())?);
        }
        tokio::time::sleep(EVERY.saturating_sub(began.elapsed())).await;
    }
    if let Some(reason) = crowd.first_end() {
        return Err(format!("a viewer left: {reason}").into());
    }
    micros.sort_unstable();
    let ms = |share| quantile(&micros, share) / 1000.0;
    let what = |share: &str| format!("frame written to last of {VIEWERS} viewers, {count} messages of 400 B, {share}");
    Ok(vec![
        Finding::told_only(ROW, &what("median"), ms(0.5), "ms"),
        Finding::at_most(ROW, &what("p99"), ms(0.99), 20.0, "ms"),
        Finding::told_only(ROW, &what("longest"), ms(1.0), "ms"),
    ])
}

impl Flight {
    fn depart(&mut self, mark: String) {
        self.mark = mark.into_bytes();
        self.landed = 0;
    }

    fn land(&mut self, text: &[u8]) {
        let is_it = !self.mark.is_empty() && text.windows(self.mark.len()).any(|window| window == self.mark);
        if is_it {
            self.landed += 1;
            self.last = Instant::now();
        }
    }
}

async fn wait_until(flight: &RefCell<Flight>) -> Outcome<()> {
    wait_for("a message to reach everyone", || flight.borrow().landed >= VIEWERS).await
}
