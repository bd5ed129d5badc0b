//! The integration tests: a real steadfeed, started from a config text, on port 0, with real TLS.
//!
//! One named guarantee a test. No sleeps: each waits for an event, with a deadline.

#![expect(unreachable_pub, reason = "a test crate has no outside to be public to")]
#![allow(clippy::disallowed_methods, reason = "tests run what they like beside the proxy")]

mod support;

mod admin;
mod bad_input;
mod browser;
mod command_line;
mod commands;
mod containers;
mod doors;
mod drain;
mod feed;
mod forward;
mod http2;
mod import;
mod interop;
mod listeners;
mod pulse;
mod selection;
mod slow;
mod smuggling;
mod statistics;
mod stress;
mod tidy;
mod tunnel;
