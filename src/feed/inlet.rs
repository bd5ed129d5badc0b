//! Where a source's messages enter a feed.
//!
//! Owns: telling the feed what its source says and whether it stands, and telling the source what to dial and with whose
//! token. Never: IO.

use std::future::pending;
use std::sync::Arc;

use jiff::Timestamp;

use super::hub::{Feed, Published};
use super::normalize::Incoming;
use super::standing::Speaker;
use crate::secret::Secret;

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

/// Which token goes with a dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearer {
    /// None is forwarded.
    Nothing,
    /// In `Authorization`.
    Header(Arc<Secret>),
    /// In this parameter of the query.
    Query(String, Arc<Secret>),
    /// One is forwarded, and there is none left that has not expired.
    Missing,
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

    /// Path and query to dial, where the config says `path`.
    #[must_use]
    pub fn target(&self, path: &str) -> String {
        self.feed.branch().map_or_else(|| path.to_owned(), |branch| branch.key().target(path))
    }

    /// The token to dial with, now.
    #[must_use]
    pub fn bearer(&self) -> Bearer {
        self.feed.branch().map_or(Bearer::Nothing, |branch| branch.bearer(Timestamp::now()))
    }

    /// Completes when [`Inlet::bearer`] is not missing, at once where it is not; never where none is forwarded.
    pub async fn changed(&self) {
        match self.feed.branch() {
            Some(branch) if branch.bearer(Timestamp::now()) != Bearer::Nothing => branch.tokens().comes().await,
            Some(_) | None => pending().await,
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
