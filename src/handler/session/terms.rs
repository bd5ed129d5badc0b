//! What all sessions of a route have in common, compiled once.
//!
//! Owns: what an upstream message becomes on its way to a client. Never: anything of one session.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::dial::Forwarding;
use super::options::{Held, Options};
use crate::feed::message::Encoding;
use crate::feed::normalize::{Incoming, Normalizer, Outcome};
use crate::feed::{Delivery, Shape};
use crate::limits;
use crate::telemetry::SessionMeters;
use crate::ws::frame;

/// A route's [`Options`], compiled.
#[derive(Debug)]
pub(super) struct Terms {
    normalizer: Option<Normalizer>,
    pub(super) delivery: Delivery,
    /// How an upstream socket is kept alive: pings alone.
    pub(super) upstream: Delivery,
    pub(super) hold: Duration,
    pub(super) resend: usize,
    pub(super) held: Held,
    pub(super) max_message: usize,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) meters: SessionMeters,
}

impl Terms {
    #[must_use]
    pub(super) fn new(options: &Options, forwarding: Option<Forwarding>, meters: SessionMeters) -> Terms {
        let Options { normalize, delivery, hold, resend, held, max_message } = options;
        let verbatim = delivery.shape == Shape::Raw && normalize.skip.is_empty() && !normalize.skip_system;
        let normalizer = Normalizer::new(normalize);
        if let Err(error) = &normalizer {
            // The config refuses such a pointer.
            tracing::error!(route = meters.route, %error, "a session's messages are passed on as they come");
        }
        let ping = delivery.ping.map_or(limits::SESSION_PING, |ping| ping.min(limits::SESSION_PING));
        let pong_timeout = delivery.pong_timeout.min(limits::SESSION_PONG);
        Terms {
            normalizer: normalizer.ok().filter(|_| !verbatim),
            delivery: delivery.clone(),
            upstream: Delivery { keepalive: None, ping: Some(ping), pong_timeout, ..delivery.clone() },
            hold: *hold,
            resend: *resend,
            held: *held,
            max_message: *max_message,
            forwarding,
            meters,
        }
    }

    /// The frame that a client gets of a message; `None` where it is skipped. `deflate` is what was agreed with the client.
    #[must_use]
    pub(super) fn frame(&self, message: Incoming<'_>, received: Timestamp, deflate: bool) -> Option<Bytes> {
        let Some(normalizer) = self.normalizer.as_ref().filter(|_| deflate || matches!(message, Incoming::Text(_)))
        else {
            return Some(match message {
                Incoming::Text(text) => frame::text(text),
                Incoming::Binary(bytes) => frame::binary(&bytes),
            });
        };
        match normalizer.normalize(message, received) {
            Outcome::Keep(envelope) => {
                let encoding = Encoding::new(&envelope, self.delivery.shape, None);
                Some(if deflate { encoding.deflated() } else { encoding.frame() }.clone())
            }
            Outcome::Skip(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{NormalizeOptions, Skip};

    #[track_caller]
    fn check(options: &Options, text: &str, expected: Option<&str>) {
        let terms = Terms::new(options, None, SessionMeters::unseen());
        let frame = terms.frame(Incoming::Text(text), Timestamp::UNIX_EPOCH, false);
        assert_eq!(frame, expected.map(frame::text), "{text}");
    }

    fn raw(normalize: NormalizeOptions) -> Options {
        let delivery = Delivery { shape: Shape::Raw, ..Delivery::default() };
        Options { normalize, delivery, ..Options::default() }
    }

    #[test]
    fn a_message_gets_its_envelope() {
        let expected = r#"{"type":"a","data":{"b":1},"timestamp":"1970-01-01T00:00:00.000Z"}"#;
        check(&Options::default(), r#"{"type":"a","b":1}"#, Some(expected));
        check(&Options::default(), r#"{"type":"heartbeat"}"#, None);
    }

    #[test]
    fn raw_passes_text_untouched_but_what_is_skipped() {
        let rules = || NormalizeOptions { skip: vec![Skip::Type("debug".to_owned())], ..NormalizeOptions::default() };
        check(&raw(rules()), "{\"type\": \"a\"} ", Some("{\"type\": \"a\"} "));
        check(&raw(rules()), r#"{"type":"debug"}"#, None);
        check(&raw(rules()), r#"{"type":"ping"}"#, None);
        let all = NormalizeOptions { skip_system: false, ..NormalizeOptions::default() };
        check(&raw(all), r#"{"type":"ping"}"#, Some(r#"{"type":"ping"}"#));
    }

    #[test]
    fn binary_passes_as_it_came() {
        for deflate in [false, true] {
            let terms = Terms::new(&Options::default(), None, SessionMeters::unseen());
            let frame = terms.frame(Incoming::Binary(Bytes::from_static(b"\0\xff")), Timestamp::UNIX_EPOCH, deflate);
            assert_eq!(frame, Some(frame::binary(b"\0\xff")));
        }
    }

    #[test]
    fn what_is_long_is_deflated_where_that_was_agreed() {
        for options in [Options::default(), raw(NormalizeOptions::default())] {
            let terms = Terms::new(&options, None, SessionMeters::unseen());
            let text = "a".repeat(1000);
            let frame = terms.frame(Incoming::Text(&text), Timestamp::UNIX_EPOCH, true).unwrap();
            assert_eq!((frame[0], frame.len() < 100), (0xc1, true));
        }
    }

    #[test]
    fn an_upstream_is_pinged_as_often_as_its_client_and_at_least_so_often() {
        let with = |ping| Options { delivery: Delivery { ping, ..Delivery::default() }, ..Options::default() };
        let ping = |options: Options| Terms::new(&options, None, SessionMeters::unseen()).upstream.ping;
        assert_eq!(ping(with(None)), Some(limits::SESSION_PING));
        assert_eq!(ping(with(Some(limits::SESSION_PING * 2))), Some(limits::SESSION_PING));
        assert_eq!(ping(with(Some(limits::SESSION_PING / 2))), Some(limits::SESSION_PING / 2));
    }
}
