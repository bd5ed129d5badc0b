//! The real `steadfeed` in a process of its own: what it prints, how it ends.
//!
//! Owns: the process, its folder and all it said; ended on drop, which fails the test where it panicked.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::within;

/// A process that serves.
pub struct Instance {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    out: Lines,
    errors: Lines,
    pub folder: Arc<TempDir>,
    listeners: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
}

type Lines = Arc<Mutex<Vec<String>>>;

/// What every config starts with that does not say otherwise.
const BASE: &str = "workers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n";

impl Instance {
    /// Starts from a config that has an `[admin]` of ours before it.
    pub async fn start(toml: &str) -> Instance {
        Instance::start_whole(&format!("{BASE}{toml}")).await
    }

    /// Starts from exactly this config.
    pub async fn start_whole(toml: &str) -> Instance {
        Instance::start_in(Arc::new(tempfile::tempdir().expect("a folder")), toml).await
    }

    /// The same, in `folder`.
    pub async fn start_in(folder: Arc<TempDir>, toml: &str) -> Instance {
        let mut command = binary();
        std::fs::write(folder.path().join("steadfeed.toml"), toml).expect("the folder can be written");
        command.arg("run").current_dir(folder.path());
        Instance::spawn(folder, &mut command).await
    }

    /// Runs `command`, which must serve, and waits until it says that it does.
    pub async fn spawn(folder: Arc<TempDir>, command: &mut Command) -> Instance {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the binary runs");
        let (out, errors) = (Lines::default(), Lines::default());
        let readers = vec![
            collect(child.stdout.take().expect("stdout is piped"), &out),
            collect(child.stderr.take().expect("stderr is piped"), &errors),
        ];
        let mut instance = Instance { child, readers, out, errors, folder, listeners: Vec::new(), admin: None };
        instance.line("  listening ").await;
        instance.listeners = instance.addresses("  listening  ");
        instance.admin = instance.addresses("  admin ").pop();
        instance
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.listener(0)
    }

    pub fn listener(&self, index: usize) -> SocketAddr {
        self.listeners[index]
    }

    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("the config has an admin listener")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory it has for itself, without its code and what it has mapped of files.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line of Linux 4.5");
        let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it runs");
    }

    /// All it printed so far.
    pub fn printed(&self) -> Vec<String> {
        self.out.lock().expect("no reader panicked").clone()
    }

    /// The first line printed that contains `part`, once there is one.
    pub async fn line(&self, part: &str) -> String {
        self.lines(part, 1).await.remove(0)
    }

    /// The lines printed that contain `part`, once there are `count`.
    pub async fn lines(&self, part: &str, count: usize) -> Vec<String> {
        let patience = tokio::time::Instant::now() + super::DEADLINE;
        loop {
            let found: Vec<_> = self.printed().into_iter().filter(|line| line.contains(part)).collect();
            if found.len() >= count {
                return found;
            }
            let (out, errors) = (&self.out, &self.errors);
            assert!(tokio::time::Instant::now() < patience, "not {count} times {part:?}: {out:#?}, {errors:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Waits until it has ended by itself; all it printed, too.
    pub async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = within("the process to end", async {
            loop {
                if let Some(status) = self.child.try_wait().expect("it is our child") {
                    return status;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader ends with its pipe");
        }
        (status, self.printed())
    }

    fn addresses(&self, prefix: &str) -> Vec<SocketAddr> {
        let printed = self.printed();
        let lines = printed.iter().filter_map(|line| line.strip_prefix(prefix));
        let port = |line: &str| line.rsplit_once(':')?.1.parse().ok();
        lines.filter_map(port).map(|port: u16| (Ipv4Addr::LOCALHOST, port).into()).collect()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let errors = self.errors.lock().map(|lines| lines.join("\n")).unwrap_or_default();
        if !std::thread::panicking() {
            assert!(!errors.contains("panicked"), "{errors}");
        }
    }
}

/// The command itself, without arguments and without what the environment says of configs.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfeed"));
    command.env_remove("STEADFEED_CONFIG");
    command
}

/// Runs the command in `folder` to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    let output = binary().args(arguments).current_dir(folder).stdin(Stdio::null()).output().expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

/// Takes up what was written at once at once: the start-up lines are there together.
fn collect(mut pipe: impl Read + Send + 'static, into: &Lines) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let (mut buffer, mut rest) = (vec![0; 64 * 1024], String::new());
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            rest.push_str(&String::from_utf8_lossy(&buffer[..count]));
            let whole = rest.rfind('\n').map_or(0, |end| end + 1);
            let tail = rest.split_off(whole);
            into.lock().expect("no other panicked").extend(rest.lines().map(str::to_owned));
            rest = tail;
        }
    })
}
