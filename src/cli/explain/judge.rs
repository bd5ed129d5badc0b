//! The verdict over one message: dropped by which option, or kept by which rule, and in which shapes.
//!
//! Owns: the feed's rules and the shapes of its routes. Never: writes anything.

use jiff::Timestamp;

use super::pace::{Pace, Paced};
use super::recording::{Body, Recorded};
use crate::feed::envelope::Envelope;
use crate::feed::normalize::{Incoming, Normalizer, Outcome};
use crate::feed::pointer::PointerError;
use crate::feed::{Options, Shape};
use crate::route;

/// A feed, and how it is shown.
#[derive(Debug)]
pub(super) struct Judge {
    normalizer: Normalizer,
    max_message: usize,
    pace: Pace,
    shapes: Vec<Shape>,
}

/// What became of the message on a line.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) line: u64,
    /// The option that dropped it, or the point of the envelope rule that made the envelope.
    pub(super) by: String,
    pub(super) fate: Fate,
}

#[derive(Debug)]
pub(super) enum Fate {
    Dropped,
    Kept(Kept),
}

/// A message that viewers get.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) envelope: Envelope,
    pub(super) paced: Paced,
    /// Of the routes that serve the feed, the envelope first.
    pub(super) shapes: Vec<Shape>,
}

impl Judge {
    /// # Errors
    /// If the feed's `key` or the `at` of a `skip` is no JSON Pointer.
    pub(super) fn new(feed: &Options, routes: &[route::Options]) -> Result<Judge, PointerError> {
        Ok(Judge {
            normalizer: Normalizer::new(&feed.normalize)?,
            max_message: feed.max_message,
            pace: Pace::new(feed.min_interval, feed.keys),
            shapes: shapes(feed, routes),
        })
    }

    pub(super) fn judge(&mut self, line: u64, recorded: &Recorded) -> Verdict {
        if recorded.len() > self.max_message {
            let by = format!("max_message: {} bytes, and {} are taken", recorded.len(), self.max_message);
            return Verdict { line, by, fate: Fate::Dropped };
        }
        let incoming = match &recorded.body {
            Body::Text(text) => Incoming::Text(text),
            Body::Binary(bytes) => Incoming::Binary(bytes.clone()),
        };
        match self.normalizer.normalize(incoming, recorded.time) {
            Outcome::Skip(dropped) => Verdict { line, by: dropped.describe(), fate: Fate::Dropped },
            Outcome::Keep(envelope) => self.keep(line, envelope, recorded.time),
        }
    }

    fn keep(&mut self, line: u64, envelope: Envelope, at: Timestamp) -> Verdict {
        let paced = self.pace.offer(envelope.type_(), envelope.key(), line, at);
        let by = format!("rule {}", envelope.rule().describe());
        Verdict { line, by, fate: Fate::Kept(Kept { envelope, paced, shapes: self.shapes.clone() }) }
    }
}

/// The envelope, and each other shape in which a route serves the feed, or in which the feed is where none does.
fn shapes(feed: &Options, routes: &[route::Options]) -> Vec<Shape> {
    let served = routes.iter().filter_map(|route| match &route.action {
        route::Action::Feed { feed: name, delivery } => (*name == feed.name).then_some(delivery.shape),
        route::Action::Page { .. }
        | route::Action::Respond(_)
        | route::Action::Proxy { .. }
        | route::Action::Session { .. }
        | route::Action::Ticket { .. }
        | route::Action::Files(_)
        | route::Action::Redirect(_) => None,
    });
    let mut served: Vec<Shape> = served.collect();
    if served.is_empty() {
        served.push(feed.delivery.shape);
    }
    let others = [Shape::Mirrored, Shape::Raw].into_iter().filter(|shape| served.contains(shape));
    [Shape::Envelope].into_iter().chain(others).collect()
}
