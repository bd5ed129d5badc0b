//! The access log's writer: a thread with a bounded queue before it.
//!
//! Owns: when lines are flushed, and saying so when some are dropped. Never: waited for by a request.

use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use crate::limits;
use crate::telemetry::LogFormat;

/// The queue's near end.
#[derive(Debug)]
pub(super) struct Queue {
    lines: SyncSender<Line>,
    dropped: Counter,
}

/// What the writer is given.
#[derive(Debug)]
enum Line {
    Text(String),
    /// To be answered when what came before it is out.
    Flush(SyncSender<()>),
}

/// The thread's own.
struct Writer<W: Write> {
    out: BufWriter<W>,
    format: LogFormat,
    dropped: Counter,
    /// How many were dropped when it was last looked at, and before they began to be.
    seen: u64,
    before: Option<u64>,
}

impl Queue {
    /// Starts a writer to `out`, with room for `room` lines before it.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        room: usize,
        format: LogFormat,
        dropped: Counter,
    ) -> io::Result<Queue> {
        let (lines, receiver) = sync_channel(room);
        let seen = dropped.get();
        let writer = Writer { out: BufWriter::new(out), format, dropped: dropped.clone(), seen, before: None };
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run(&receiver))?;
        Ok(Queue { lines, dropped })
    }

    /// Leaves a line, or drops and counts it where there is no room.
    pub(super) fn push(&self, line: String) {
        if self.lines.try_send(Line::Text(line)).is_err() {
            self.dropped.inc();
        }
    }

    /// Waits until all that was left is out, or a reader that stands still has had its time.
    pub(super) fn flush(&self) {
        let (flushed, told) = sync_channel(1);
        let end = Instant::now() + limits::ACCESS_FLUSH;
        let mut flush = Line::Flush(flushed);
        while let Err(TrySendError::Full(unsent)) = self.lines.try_send(flush) {
            if Instant::now() >= end {
                return;
            }
            flush = unsent;
            std::thread::sleep(Duration::from_millis(1));
        }
        // Either way it is the end.
        let _ = told.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

/// Nobody can be told when stdout is closed, hence no errors.
impl<W: Write> Writer<W> {
    /// Writes until every sender is gone; flushes whenever nothing waits.
    fn run(mut self, lines: &Receiver<Line>) {
        loop {
            let line = match lines.try_recv() {
                Ok(line) => line,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.catch_up();
                    match lines.recv() {
                        Ok(line) => line,
                        Err(_) => break,
                    }
                }
            };
            match line {
                Line::Text(line) => {
                    self.watch();
                    let _ = writeln!(self.out, "{line}");
                }
                Line::Flush(flushed) => {
                    self.watch();
                    self.catch_up();
                    let _ = flushed.send(());
                }
            }
        }
        self.catch_up();
    }

    /// Says so when lines begin to be dropped.
    fn watch(&mut self) {
        let dropped = self.dropped.get();
        if dropped > self.seen && self.before.is_none() {
            self.before = Some(self.seen);
            self.warn("access-log lines are dropped: stdout is not read as fast as they come");
        }
        self.seen = dropped;
    }

    /// Nothing waits any more.
    fn catch_up(&mut self) {
        if let Some(before) = self.before.take() {
            let count = self.seen - before;
            self.warn(&format!("access-log lines are written again; {count} were dropped"));
        }
        let _ = self.out.flush();
    }

    fn warn(&mut self, message: &str) {
        let now = Timestamp::now();
        let _ = match self.format {
            LogFormat::Text => writeln!(self.out, "{now:.6}  WARN {message}"),
            LogFormat::Json => {
                let line = serde_json::json!({ "timestamp": format!("{now:.6}"), "level": "WARN", "message": message });
                writeln!(self.out, "{line}")
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, MutexGuard};

    use super::*;

    /// What a reader that can be made to stand still has read.
    #[derive(Clone, Default)]
    struct Reader {
        read: Arc<Mutex<Vec<u8>>>,
        gate: Arc<Mutex<()>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().unwrap();
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Reader {
        fn stand_still(&self) -> MutexGuard<'_, ()> {
            self.gate.lock().unwrap()
        }

        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.read.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    fn queue(reader: &Reader, room: usize, format: LogFormat) -> (Queue, Counter) {
        let dropped = Counter::default();
        (Queue::start(reader.clone(), room, format, dropped.clone()).unwrap(), dropped)
    }

    #[test]
    fn a_flush_waits_for_every_line_before_it() {
        let reader = Reader::default();
        let (queue, _) = queue(&reader, limits::ACCESS_LINES, LogFormat::Text);
        let expected: Vec<_> = (0..5000).map(|number| number.to_string()).collect();
        expected.iter().for_each(|line| queue.push(line.clone()));
        queue.flush();
        assert_eq!(reader.lines(), expected);
    }

    #[test]
    fn a_flush_does_not_wait_for_ever_for_a_reader_that_stands_still() {
        let reader = Reader::default();
        let (queue, _) = queue(&reader, 1, LogFormat::Text);
        let _still = reader.stand_still();
        for _ in 0..3 {
            queue.push("x".repeat(10_000));
        }
        let start = Instant::now();
        queue.flush();
        assert!(start.elapsed() >= limits::ACCESS_FLUSH);
    }

    #[track_caller]
    fn check_dropped(format: LogFormat) {
        let reader = Reader::default();
        let (queue, dropped) = queue(&reader, 4, format);
        let still = reader.stand_still();
        // The writer holds one that fills its buffer, and is stuck with it; four wait.
        queue.push("x".repeat(10_000));
        while dropped.get() < 3 {
            queue.push("line".to_owned());
            std::thread::yield_now();
        }
        drop(still);
        queue.flush();
        let lines = reader.lines();
        let warned: Vec<_> = lines.iter().filter(|line| line.contains("WARN")).collect();
        assert_eq!(warned.len(), 2, "{warned:?}");
        assert!(
            warned[0].contains("access-log lines are dropped: stdout is not read as fast as they come"),
            "{warned:?}"
        );
        assert!(warned[1].contains("access-log lines are written again; 3 were dropped"), "{warned:?}");
        queue.push("as ever".to_owned());
        queue.flush();
        assert_eq!(reader.lines().len(), lines.len() + 1);
    }

    #[test]
    fn what_is_dropped_is_counted_and_said_when_it_begins_and_ends() {
        check_dropped(LogFormat::Text);
        check_dropped(LogFormat::Json);
    }
}
