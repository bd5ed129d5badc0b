//! Processes that are started and ended: each bound to this one's life, on a core of its own, and killed with its children.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;

/// A proxy needs two for each of 5,000 tunnels; and the same for all, since some are as large as what they may open.
const DESCRIPTORS: u64 = 20_000;
/// For a process that was asked to end.
const ASKED: Duration = Duration::from_millis(300);
/// For what was killed to be gone.
const GONE: Duration = Duration::from_secs(5);
/// Of what a process wrote, shown where it failed.
const TAIL: usize = 1500;

/// A running process, killed with all its children on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` on `core`; what it writes goes to `log`, but for standard output where it is `Piped`.
    pub fn start(core: usize, program: &Path, args: &[&str], log: PathBuf, output: Output) -> Outcome<Process> {
        let file = File::create(&log)?;
        let stdout = match output {
            Output::Logged => Stdio::from(file.try_clone()?),
            Output::Piped => Stdio::piped(),
        };
        let folder = log.parent().ok_or("a log is in a folder")?;
        // The kernel ends it where this process is killed and drops nothing.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "taskset", "-c", &core.to_string()]).arg(program).args(args);
        let child = command.current_dir(folder).stdin(Stdio::null()).stdout(stdout).stderr(file).spawn();
        let child = child.map_err(|error| format!("setpriv and taskset of util-linux are needed: {error}"))?;
        Ok(Process { child, log })
    }

    /// It and its children.
    pub fn pids(&self) -> Vec<u32> {
        tree(self.child.id())
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of what it wrote.
    pub fn said(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(TAIL)..).unwrap_or_default();
        String::from_utf8_lossy(tail).trim().replace('\n', "\n    ")
    }

    /// Its standard output up to a line's end, or to its own end.
    pub fn line(&mut self, within: Duration) -> Outcome<String> {
        let mut stdout = self.child.stdout.take().ok_or("its output is read once")?;
        let (send, receive) = mpsc::channel();
        // Ends with the process, whose end of the pipe closes then.
        std::thread::spawn(move || {
            let mut line = Vec::new();
            let mut byte = [0];
            while let Ok(1) = stdout.read(&mut byte) {
                if byte == *b"\n" {
                    break;
                }
                line.extend(byte);
            }
            let _ = send.send(String::from_utf8_lossy(&line).into_owned());
        });
        receive.recv_timeout(within).map_err(|_| format!("silent for {} s", within.as_secs()).into())
    }
}

/// Keeps this process on one core, by the tool that every Linux has.
pub fn pin_this(core: usize) -> Outcome<()> {
    let pid = std::process::id().to_string();
    let done = Command::new("taskset").args(["-acp", &core.to_string(), &pid]).output()?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("two cores are needed: {}", String::from_utf8_lossy(&done.stderr)).into())
    }
}

/// Lets this process and those that it starts open [`DESCRIPTORS`] files, where the hard limit is not lower.
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let current = Some(limit.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS));
    // Where it may not be, a row that needs more says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum });
}

/// Where an interrupt or SIGTERM ends this process, `folder` goes too; the kernel tells the children of the end.
pub fn clean_up_on_signal(folder: PathBuf) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let within = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(within);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        let _ = std::fs::remove_dir_all(folder);
        std::process::exit(1);
    });
    Ok(())
}

/// Where standard output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Logged,
    Piped,
}

impl Drop for Process {
    fn drop(&mut self) {
        let pids = self.pids();
        // nginx then ends its worker itself, and no orphan is left to be waited for.
        send(self.child.id(), Signal::TERM);
        wait_for(ASKED, || self.has_ended());
        // A parent comes before its children, so that it starts none anew; one that has ended is waited for below.
        for pid in pids.iter().filter(|pid| **pid != self.child.id() || !self.has_ended()) {
            send(*pid, Signal::KILL);
        }
        let _ = self.child.wait();
        wait_for(GONE, || !pids.iter().any(|pid| is_running(*pid)));
    }
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn wait_for(limit: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !done() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `root` and all that descend from it, parents first.
fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(above) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// Neither gone, nor a zombie that its parent has yet to look at.
fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !stat.starts_with('Z'))
}

/// `/proc/PID/stat` from the state on.
fn stat(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ").map(|(_, after_name)| after_name.to_owned())
}
