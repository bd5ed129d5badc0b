//! The numbers of feeds that are split by whom they are for: how many branches there are, and what they hold.
//!
//! Never: a number of one feed that everyone shares.

/// Branches of all feeds in one process: each is an upstream socket, and one client address has 28,000 ports to one server.
pub const BRANCHES: usize = 10_000;
/// Branches that one subject, or one client address without a token's, has begun and that have not ended: it takes ten of them
/// to leave no room for anybody else.
pub const BRANCHES_PER_CLIENT: usize = BRANCHES / 10;
/// Bytes of messages in the logs of all branches, at which no more branches are begun and a log that grows is cut to its
/// equal share; the newest message of each stays. 26 KiB for each of [`BRANCHES`], and all of it where there are few.
pub const BRANCH_BYTES: usize = 256 * 1024 * 1024;
/// What tells one branch from another (path, query, subject), in bytes: with [`BRANCHES`] it bounds their memory to 40 MiB.
pub const BRANCH_KEY: usize = 4 * 1024;
/// What a viewer for whom there is no room is told to wait, in seconds: branches end all the time.
pub const BRANCH_RETRY: u16 = 5;
