//! One message a line, for pipes and `--raw`; what happens to the connection goes to stderr.
//!
//! Never: retries what will not change by itself, when nothing was ever received.

use std::io::{self, Write};
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::sync::mpsc;

use super::End;
use super::link::Event;
use super::message::Message;

/// How lines are written.
#[derive(Debug)]
pub struct Lines<'a, Out, Complaints> {
    pub out: &'a mut Out,
    pub complaints: &'a mut Complaints,
    /// What is watched, as shown in complaints.
    pub title: String,
    /// The last message to print.
    pub count: Option<NonZeroU64>,
    /// A message's one line, without its end.
    pub line: fn(&Message) -> String,
}

impl<Out: Write, Complaints: Write> Lines<'_, Out, Complaints> {
    /// Prints until the count is reached, the reader has gone, or there is no use in going on.
    pub async fn run(mut self, events: &mut mpsc::Receiver<Event>) -> End {
        let (mut printed, mut connections) = (0_u64, 0_u64);
        while let Some(event) = events.recv().await {
            match event {
                Event::Dialling => {}
                Event::Connected => {
                    connections += 1;
                    if connections > 1 {
                        self.complain("connected again");
                    }
                }
                Event::Message(message) => {
                    if let ControlFlow::Break(end) = self.print(&(self.line)(&message)) {
                        return end;
                    }
                    printed += 1;
                    if self.count.is_some_and(|count| printed >= count.get()) {
                        return End::Done;
                    }
                }
                Event::Lost { failure, .. } if connections == 0 && failure.is_final() => {
                    self.complain(&failure.to_string());
                    return End::Failed;
                }
                Event::Lost { failure, again } => {
                    self.complain(&format!("{failure}; reconnecting in {}", seconds(again)));
                }
            }
        }
        End::Done
    }

    fn print(&mut self, line: &str) -> ControlFlow<End> {
        match writeln!(self.out, "{line}").and_then(|()| self.out.flush()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ControlFlow::Break(End::Done),
            Err(error) => {
                self.complain(&format!("stdout cannot be written: {error}"));
                ControlFlow::Break(End::Failed)
            }
        }
    }

    fn complain(&mut self, text: &str) {
        // Where stderr is gone there is nobody left to tell.
        let _ = writeln!(self.complaints, "steadfeed: {}: {text}", self.title);
    }
}

/// `3.2 s`.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::super::failure::Failure;
    use super::*;

    fn refused(status: u16) -> Event {
        let failure = Failure::refused(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), b"");
        Event::Lost { failure, again: Duration::from_millis(3210) }
    }

    fn message(text: &str) -> Event {
        Event::Message(Message::text(text))
    }

    /// What is printed, complained about, and how it ends, when `events` happen and then no more.
    #[track_caller]
    fn check(count: u64, events: Vec<Event>, expected: (&str, &str, End)) {
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let (sender, mut receiver) = mpsc::channel(16);
        for event in events {
            sender.try_send(event).unwrap();
        }
        drop(sender);
        let lines = Lines {
            out: &mut out,
            complaints: &mut complaints,
            title: "ws://h/".to_owned(),
            count: NonZeroU64::new(count),
            line: |message| message.line(false),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let end = runtime.block_on(lines.run(&mut receiver));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!((text(out).as_str(), text(complaints).as_str(), end), expected);
    }

    #[test]
    fn messages_are_lines() {
        check(0, vec![Event::Dialling, Event::Connected, message("a"), message("{\n}")], ("a\n{}\n", "", End::Done));
    }

    #[test]
    fn the_count_ends_it() {
        check(2, vec![Event::Connected, message("a"), message("b"), message("c")], ("a\nb\n", "", End::Done));
    }

    #[test]
    fn losses_are_told_on_stderr_only() {
        let lost = Event::Lost { failure: Failure::Ended, again: Duration::from_millis(3210) };
        check(
            0,
            vec![Event::Connected, message("a"), lost, Event::Connected, message("b")],
            (
                "a\nb\n",
                "steadfeed: ws://h/: the connection ended; reconnecting in 3.2 s\nsteadfeed: ws://h/: connected again\n",
                End::Done,
            ),
        );
    }

    #[test]
    fn a_refusal_that_will_stay_ends_it_only_before_the_first_connection() {
        let final_line = "steadfeed: ws://h/: the server answered 401 Unauthorized\n";
        check(0, vec![refused(401), message("never")], ("", final_line, End::Failed));
        let again = "steadfeed: ws://h/: the server answered 429 Too Many Requests; reconnecting in 3.2 s\n";
        check(0, vec![refused(429), Event::Connected, message("a")], ("a\n", again, End::Done));
        let later = "steadfeed: ws://h/: the server answered 401 Unauthorized; reconnecting in 3.2 s\n";
        check(0, vec![Event::Connected, refused(401), message("a")], ("a\n", later, End::Done));
    }

    #[test]
    fn a_reader_that_has_gone_is_a_quiet_end() {
        let (mut reader, mut complaints) = (io::pipe().unwrap().1, Vec::new());
        let line = |message: &Message| message.line(false);
        let lines = Lines { out: &mut reader, complaints: &mut complaints, title: String::new(), count: None, line };
        let (sender, mut receiver) = mpsc::channel(16);
        sender.try_send(message("a")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(lines.run(&mut receiver)), End::Done);
        assert_eq!(complaints, b"");
    }
}
