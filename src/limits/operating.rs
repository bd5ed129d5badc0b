//! The numbers of the admin listener's answers.
//!
//! Never: what its connections may ask; those are bounded as all others are.

use std::time::Duration;

/// Open sockets told of in one answer, where the operator asks for no other number.
pub const SOCKETS_PAGE: usize = 1000;
/// The most that one answer tells of: each worker puts its own together in one go, at less than 1 us each.
pub const SOCKETS_PAGE_MAX: usize = 5000;
/// Questions of operators that wait for one worker.
pub const INQUIRIES: usize = 16;
/// How long an operator waits for one worker's answer: it gives it between two turns.
pub const INQUIRY: Duration = Duration::from_secs(2);
/// Reloads that wait for one that is under way.
pub const RELOADS_WAITING: usize = 4;
/// How long a reload waits for one worker to serve another config: it does so between two turns.
pub const RELOAD_TURN: Duration = Duration::from_secs(5);
