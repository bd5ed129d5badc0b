//! Where a source's messages enter a feed.
//!
//! Owns: telling the feed what its source says and whether it stands. Never: IO.

use std::sync::Arc;

use jiff::Timestamp;

use super::hub::{Feed, Published};
use super::normalize::Incoming;
use super::standing::Speaker;

/// One source's way into its feed.
#[derive(Debug)]
pub struct Inlet {
    feed: Arc<Feed>,
    rank: Rank,
    speaker: Speaker,
}

/// Whose messages are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// One of the feed's own sources.
    Source,
    /// What serves while all of those are down; gone, with its values, at the first message of a source.
    Fallback,
}

impl Inlet {
    #[must_use]
    pub fn new(feed: &Arc<Feed>, rank: Rank) -> Inlet {
        let speaker = match rank {
            Rank::Source => Speaker::Source(feed.open_inlet()),
            Rank::Fallback => Speaker::Fallback,
        };
        Inlet { feed: Arc::clone(feed), rank, speaker }
    }

    #[must_use]
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// A message of the source; it stands, then, whether the message is kept or skipped. One of the fallback that comes
    /// while a source stands is [`Published::Late`].
    pub fn publish(&self, message: Incoming<'_>, received: Timestamp) -> Published {
        self.feed.hear(self.speaker, message, received)
    }

    /// The source is connected and has held, though it may have said nothing yet. A fallback serves only once it has.
    pub fn stands(&self) {
        if let Speaker::Source(id) = self.speaker {
            self.feed.source_stands(id);
        }
    }

    /// The source is gone; said at each failure to have it back, too.
    pub fn fell(&self) {
        match self.speaker {
            Speaker::Source(id) => self.feed.source_fell(id),
            Speaker::Fallback => self.feed.fallback_fell(),
            Speaker::Publisher => {}
        }
    }
}

/// The source runs no more, and counts no more.
impl Drop for Inlet {
    fn drop(&mut self) {
        if let Speaker::Source(id) = self.speaker {
            self.feed.close_inlet(id);
        }
    }
}
