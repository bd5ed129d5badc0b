//! The integration tests: a real steadfeed, started from a config text, on port 0, with real TLS.
//!
//! One named guarantee a test. No sleeps: each waits for an event, with a deadline.

#![expect(unreachable_pub, reason = "a test crate has no outside to be public to")]
#![allow(clippy::disallowed_methods, reason = "tests run what they like beside the proxy")]

mod support;

mod admin;
mod admission;
mod auth_request;
mod bad_input;
mod browser;
mod command_line;
mod commands;
mod containers;
mod cors;
mod doors;
mod drain;
mod expiry;
mod feed;
mod files;
mod forward;
mod hosts;
mod http2;
mod import;
mod interim;
mod interop;
mod large;
mod leaving;
mod legacy;
mod listeners;
mod notices;
mod operator;
mod pressure;
mod proxy_protocol;
mod pulse;
mod recording;
mod reload;
mod reload_parts;
mod selection;
mod servers;
mod sessions;
mod sharing;
mod slow;
mod smuggling;
mod sources;
mod stalled;
mod statistics;
mod streams;
mod stress;
mod tidy;
mod tokens;
mod trusted;
mod tunnel;
