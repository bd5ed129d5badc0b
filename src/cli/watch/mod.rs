//! `steadfeed watch URL`: a viewer in the terminal, of any WebSocket or event stream.
//!
//! One task: [`link`] keeps the connection and says what happens; [`lines`] or [`table`] shows it. Owns: the runtime. Never: starts a thread or a second task of its own.

use std::io::{self, IsTerminal};
use std::num::NonZeroU64;
use std::process::ExitCode;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

pub use self::dial::Dial;
use self::message::Message;
use crate::cli;
use crate::limits;

pub mod dial;
pub mod events;
pub mod failure;
pub mod figures;
pub mod lines;
pub mod link;
pub mod message;
pub mod model;
pub mod rate;
pub mod socket;
pub mod table;
pub mod target;
pub mod view;

pub(super) const EXAMPLES: &str = "\
Keys in the table: q quit, r reconnect now, p pause, arrows scroll.

Examples:
  steadfeed watch wss://localhost:8443/ws --insecure
  steadfeed watch https://dash.example.com/api/system/ws --token \"$TOKEN\"       (server-sent events)
  steadfeed watch ws://localhost:8080/ws --raw --count 1
  steadfeed watch ws://localhost:8080/ws | jq .data.cpu.usage

Exits with 0 when quit or after --count messages. With --raw, or in a pipe, it exits with 1 when the server refuses \
before it ever accepted; a table goes on trying.";

/// The arguments of `watch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub dial: Dial,
    /// Print one message a line, as it came, also on a terminal; binary as base64
    #[arg(long)]
    pub raw: bool,
}

/// How watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Done,
    Failed,
}

impl From<End> for ExitCode {
    fn from(end: End) -> ExitCode {
        match end {
            End::Done => ExitCode::SUCCESS,
            End::Failed => ExitCode::FAILURE,
        }
    }
}

/// Watches until it is told to end.
pub fn run(args: Args) -> ExitCode {
    let (count, request) = (args.dial.count, args.dial.request());
    let as_table = !args.raw && io::stdout().is_terminal();
    match cli::runtime().and_then(|runtime| runtime.block_on(watch(&request, count, as_table))) {
        Ok(end) => end.into(),
        Err(error) => {
            cli::complain(&format!("this terminal cannot be used: {error}; --raw prints lines"));
            ExitCode::FAILURE
        }
    }
}

async fn watch(request: &link::Request, count: Option<NonZeroU64>, as_table: bool) -> io::Result<End> {
    let title = request.target.to_string();
    keep_while(request, async |events, redial| {
        if as_table {
            return table::run(title, count, events, redial).await;
        }
        let (mut out, mut complaints) = (io::stdout().lock(), io::stderr());
        let line: fn(&Message) -> String =
            if out.is_terminal() { |message| message.line(true) } else { |message| message.line(false) };
        Ok(lines::Lines { out: &mut out, complaints: &mut complaints, title, count, line }.run(events).await)
    })
    .await
    // It ends only once nobody listens any more.
    .unwrap_or(Ok(End::Done))
}

/// Keeps the connection while `show` shows what happens to it, then says goodbye; gives what `show` gave.
pub(super) async fn keep_while<T>(
    request: &link::Request,
    show: impl AsyncFnOnce(&mut mpsc::Receiver<link::Event>, &Notify) -> T,
) -> Option<T> {
    let (sender, mut events) = mpsc::channel(limits::WATCH_QUEUE);
    let redial = Notify::new();
    let mut link = Box::pin(link::keep(request, sender, &redial));
    let show = async {
        let end = show(&mut events, &redial).await;
        // Tells the link, which then tells the server.
        events.close();
        end
    };
    let end = tokio::select! {
        end = show => end,
        () = &mut link => return None,
    };
    // A server that is slow to say goodbye is left without it.
    let _ = timeout(limits::WATCH_GOODBYE, link).await;
    Some(end)
}
