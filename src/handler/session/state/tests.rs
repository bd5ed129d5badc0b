//! What a session does on each thing that happens, without a socket.
//!
//! Owns: a session and its time in these tests; each of the submodules has one kind of guarantee.

mod ends;
mod flow;
mod restarts;
mod silence;
mod tokens;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Beginning, State};
use crate::admission::Admission;
use crate::feed::Delivery;
use crate::feed::pulse::Pulse;
use crate::handler::session::ending::{Ending, Verdict};
use crate::handler::session::identity::Identity;
use crate::handler::session::options::Options;
use crate::handler::session::parts::Moment;
use crate::handler::session::terms::Terms;
use crate::telemetry::SessionMeters;
use crate::ws::{CloseFrame, Decoder, Heard, Message, ServerDecoder};

const SECOND: Duration = Duration::from_secs(1);

/// A session and its time; delays are as long as they may be.
struct Scene {
    state: State,
    start: Moment,
    at: Moment,
    /// The upstream answers pings.
    answers: bool,
}

/// Without keepalives and pings.
fn options() -> Options {
    Options { delivery: Delivery { keepalive: None, ping: None, ..Delivery::default() }, ..Options::default() }
}

impl Scene {
    fn new(options: &Options) -> Scene {
        Scene::admitted(options, Admission::default())
    }

    fn admitted(options: &Options, admission: Admission) -> Scene {
        // A pulse counts from the first of the process, which must not come after our own start.
        let _first = Pulse::new(Instant::now());
        let at = Moment { now: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let beginning = Beginning {
            terms: Arc::new(Terms::new(options, None, SessionMeters::unseen())),
            identity: Identity::new(&Rc::new(admission)),
            deflate: false,
            send_timeout: Some(30 * SECOND),
            random: || 1.0,
        };
        Scene { state: State::new(beginning, at), start: at, at, answers: true }
    }

    /// Goes to `after` the start, doing what falls due on the way.
    fn pass_to(&mut self, after: Duration) {
        let end = self.start.now + after;
        while let Some(due) = self.state.next_due().filter(|due| *due <= end && !self.state.is_over()) {
            self.go_to(due.max(self.at.now));
            self.state.on_time(self.at);
            if self.answers {
                self.state.upstream_pulse.heard(self.at.now);
            }
            if self.state.takes_dial(self.at.now) {
                self.state.dial_failed(self.at);
            }
        }
        self.go_to(end);
    }

    fn go_to(&mut self, now: Instant) {
        let passed = SignedDuration::try_from(now.duration_since(self.start.now)).unwrap();
        self.at = Moment { now, wall: self.start.wall + passed };
    }

    fn text(&mut self, text: &str) {
        self.state.hear_client(Message::Text(text.to_owned()), self.at);
    }

    fn ends(&mut self, ending: &Ending) -> Option<Verdict> {
        self.state.upstream_ends(ending, self.at)
    }

    fn lost(&mut self) {
        assert_eq!(self.ends(&Ending::Lost("gone".to_owned())), Some(Verdict::Hold));
    }

    /// What the client is told now: texts, and `close CODE REASON` and the like.
    fn told(&mut self) -> Vec<String> {
        let bytes = self.state.down.unsent().to_vec();
        self.state.client_took(bytes.len(), self.at.now);
        let (mut decoder, mut input, mut all) = (ServerDecoder::new(100_000), bytes.as_slice(), Vec::new());
        while let Some(heard) = decoder.next(&mut input).unwrap() {
            all.push(match heard {
                Heard::Text(text) => text.into_owned(),
                Heard::Binary(bytes) => format!("binary {bytes:?}"),
                Heard::Ping(_) => "ping".to_owned(),
                Heard::Pong(_) => "pong".to_owned(),
                Heard::TooLarge(_) => "too large".to_owned(),
                Heard::Close(said) => close_text(said),
            });
        }
        all
    }

    /// What the upstream is told now.
    fn said(&mut self) -> Vec<String> {
        let (mut decoder, mut all) = (Decoder::new(100_000, false), Vec::new());
        loop {
            let mut bytes = self.state.up.unsent().to_vec();
            if bytes.is_empty() {
                return all;
            }
            self.state.up.sent(bytes.len());
            match decoder.next(&mut bytes.as_mut_slice()).unwrap().unwrap() {
                Message::Text(text) => all.push(text),
                Message::Binary(bytes) => all.push(format!("binary {bytes:?}")),
                Message::Ping(_) => all.push("ping".to_owned()),
                Message::Pong(_) => all.push("pong".to_owned()),
                Message::Close(said) => all.push(close_text(said)),
            }
        }
    }

    fn end(&self) -> Option<(u16, &str)> {
        self.state.farewell().0.map(|farewell| (farewell.code, farewell.reason.as_str()))
    }
}

fn close_text(said: Option<CloseFrame>) -> String {
    said.map_or("close".to_owned(), |said| format!("close {} {}", said.code, said.reason))
}

fn notice(upstream: &str, second: u32) -> String {
    format!(
        "{{\"type\":\"keepalive\",\"data\":null,\"upstream\":\"{upstream}\",\"timestamp\":\"1970-01-01T00:00:{second:02}.000Z\"}}"
    )
}

/// Hears this text of the upstream.
fn hear(scene: &mut Scene, text: &str) {
    assert_eq!(scene.state.hear_upstream(Heard::Text(text.into()), scene.at), None);
}

const ONE: &str = r#"{"type":"message","data":1,"timestamp":"1970-01-01T00:00:00.000Z"}"#;
