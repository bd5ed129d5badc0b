//! Reads the host and says it as one message.
//!
//! Owns: what was read last, as rates need two readings. Never: waits between the two; the caller's timer does.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, Networks, RefreshKind, System};
use tokio::time::Instant;

use super::cgroup::Cgroup;
use super::meter::{QuotaMeter, rate};
use super::report::{self, Cpu, Disk, Memory, Network, Report, Share};
use super::{Roots, StatsError};
use crate::limits;

/// What reads the statistics of this host, or of the container we are in.
///
/// CPU and network figures are over the time since the last sample. Within [`limits::STATS_SETTLE`] of
/// [`Sampler::try_new`] there is nothing yet to compare with and they are 0; later, a sample that follows another as
/// closely repeats its figures.
#[derive(Debug)]
pub struct Sampler {
    system: System,
    networks: Networks,
    cgroup: Cgroup,
    host: String,
    path: PathBuf,
    disk: Disk,
    quota: QuotaMeter,
    network: Network,
    /// When `networks` was read.
    network_at: Instant,
}

impl Sampler {
    /// Takes the first readings, so that the next ones have something to be compared with. `path` is on the file system
    /// that `disk` is about.
    ///
    /// # Errors
    /// Where this system has no statistics, or there is nothing at `path`.
    pub fn try_new(path: &Path, roots: Roots) -> Result<Sampler, StatsError> {
        let disk = disk(path).map_err(|source| StatsError::Disk { path: path.to_owned(), source })?;
        let cpu = CpuRefreshKind::nothing().with_usage();
        let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(cpu))?;
        let mut sampler = Sampler {
            system,
            networks: Networks::new_with_refreshed_list()?,
            cgroup: Cgroup::locate(&roots),
            host: System::host_name().unwrap_or_else(|_| "localhost".to_owned()),
            path: path.to_owned(),
            disk,
            quota: QuotaMeter::default(),
            network: Network::default(),
            network_at: Instant::now(),
        };
        sampler.cpu(sampler.network_at);
        Ok(sampler)
    }

    /// Reads everything at `now` and gives the message, a JSON object: `type`, `host`, `cpu`, `memory`, `disk`,
    /// `network`, `uptime_s`, in this order. Blocks on the kernel's files, and on the file system of `path`. What cannot
    /// be read any more keeps its last figure.
    pub fn sample(&mut self, now: Instant) -> String {
        self.refresh_network(now);
        if let Ok(disk) = disk(&self.path) {
            self.disk = disk;
        }
        let report = Report {
            type_: "system_stats",
            cpu: self.cpu(now),
            memory: self.memory(),
            disk: self.disk,
            network: self.network,
            uptime_s: System::uptime().unwrap_or_default(),
            host: &self.host,
        };
        // Only a map whose keys are no strings could fail here, and there is none.
        serde_json::to_string(&report).unwrap_or_default()
    }

    fn cpu(&mut self, now: Instant) -> Cpu {
        self.system.refresh_cpu_usage();
        let cores = self.cores();
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 cores")]
        let count = cores.len().max(1) as f64;
        let usage = match self.cgroup.cpu(count) {
            Some(quota) => self.quota.observe(&quota, now),
            // Not sysinfo's own figure for all, which at first is an average since the host was started.
            None => cores.iter().sum::<f64>() / count,
        };
        let load = System::load_average().unwrap_or_default();
        Cpu {
            usage: report::percent(usage),
            cores: cores.into_iter().map(report::percent).collect(),
            load: [load.one, load.five, load.fifteen].map(report::hundredths),
        }
    }

    /// Percents of the cores we may run on; of all where nothing says which those are.
    fn cores(&self) -> Vec<f64> {
        let cpus = self.system.cpus();
        let all = || cpus.iter().map(|cpu| f64::from(cpu.usage())).collect();
        let Some(allowed) = self.cgroup.cpus() else {
            return all();
        };
        let ours = cpus.iter().filter(|cpu| number_of(cpu.name()).is_some_and(|number| allowed.contains(number)));
        let ours: Vec<f64> = ours.map(|cpu| f64::from(cpu.usage())).collect();
        if ours.is_empty() { all() } else { ours }
    }

    fn memory(&mut self) -> Memory {
        self.system.refresh_memory_specifics(MemoryRefreshKind::everything());
        let host = Share { used: self.system.used_memory(), total: self.system.total_memory() };
        let swap = Share { used: self.system.used_swap(), total: self.system.total_swap() };
        Memory::new(self.cgroup.memory(host.total).unwrap_or(host), self.cgroup.swap(swap.total).unwrap_or(swap))
    }

    fn refresh_network(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.network_at);
        if elapsed < limits::STATS_SETTLE {
            return;
        }
        self.networks.refresh(true);
        self.network_at = now;
        let outward = self.networks.iter().filter(|(name, _)| !is_loopback(name));
        let (rx, tx) = outward.fold((0u64, 0u64), |(rx, tx), (_, data)| {
            (rx.saturating_add(data.received()), tx.saturating_add(data.transmitted()))
        });
        self.network = Network { rx_bytes_per_s: rate(rx, elapsed), tx_bytes_per_s: rate(tx, elapsed) };
    }
}

/// The number of a core called `cpu7`.
fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix("cpu")?.parse().ok()
}

/// Linux has `lo`, the BSDs `lo0`.
fn is_loopback(name: &OsStr) -> bool {
    name == "lo" || name == "lo0"
}

/// Asks the kernel for the file system that holds `path`: cheaper than looking for it among all mounts, and right where
/// the root of a container is not in their list.
fn disk(path: &Path) -> io::Result<Disk> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Disk::new(stat.f_frsize, stat.f_blocks, stat.f_bfree, stat.f_bavail))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;

    fn roots(fixture: &str) -> Roots {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cgroup").join(fixture);
        Roots { proc: folder.join("proc"), cgroup: folder.join("cgroup") }
    }

    /// The second of two samples: cheap, as the time between them is an argument.
    fn sample(fixture: &str) -> (String, Value) {
        let mut sampler = Sampler::try_new(Path::new("/"), roots(fixture)).unwrap();
        let now = Instant::now();
        sampler.sample(now);
        let text = sampler.sample(now + Duration::from_secs(2));
        let value = serde_json::from_str(&text).unwrap();
        (text, value)
    }

    fn proc(file: &str) -> String {
        std::fs::read_to_string(Path::new("/proc").join(file)).unwrap()
    }

    /// Bytes, of a line of `/proc/meminfo`.
    fn meminfo(name: &str) -> f64 {
        let text = proc("meminfo");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
    }

    #[track_caller]
    fn number(value: &Value, at: &str) -> f64 {
        value.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {at} in {value}"))
    }

    #[track_caller]
    fn check_near(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not within {tolerance} of {expected}");
    }

    /// The text with every number, and what is between brackets, taken out: what is left is the shape.
    fn shape(text: &str, host: &str) -> String {
        let text = text.replace(&format!("{host:?}"), "HOST");
        let mut shape = String::new();
        for part in text.split_inclusive([':', ',', '[', ']', '{', '}']) {
            let (head, tail) = part.split_at(part.len() - 1);
            shape.push_str(if head.parse::<f64>().is_ok() { "0" } else { head });
            shape.push_str(tail);
        }
        let cores = shape.find("\"cores\":[").unwrap() + 9;
        let end = cores + shape[cores..].find(']').unwrap();
        assert!(shape[cores..end].split(',').all(|core| core == "0"), "{text}");
        shape.replace_range(cores..end, "");
        shape
    }

    #[test]
    fn the_message_has_exactly_the_documented_shape() {
        let (text, value) = sample("v2-unlimited");
        let expected = concat!(
            r#"{"type":"system_stats","host":HOST,"cpu":{"usage":0,"cores":[],"load":[0,0,0]},"#,
            r#""memory":{"percent":0,"used_gb":0,"total_gb":0,"swap_percent":0},"#,
            r#""disk":{"percent":0,"used_gb":0,"total_gb":0},"#,
            r#""network":{"rx_bytes_per_s":0,"tx_bytes_per_s":0},"uptime_s":0}"#,
        );
        assert_eq!(shape(&text, value["host"].as_str().unwrap()), expected);
        for at in ["/network/rx_bytes_per_s", "/network/tx_bytes_per_s", "/uptime_s"] {
            assert!(value.pointer(at).unwrap().is_u64(), "{at}");
        }
        for at in ["/cpu/usage", "/memory/percent", "/memory/swap_percent", "/disk/percent"] {
            assert!((0.0..=100.0).contains(&number(&value, at)), "{at}");
        }
    }

    #[test]
    fn the_figures_are_those_of_proc() {
        let (_, value) = sample("v2-unlimited");
        let gib = 1024.0 * 1024.0 * 1024.0;
        let total = meminfo("MemTotal");
        check_near(number(&value, "/memory/total_gb"), total / gib, 0.01);
        let used = total - meminfo("MemAvailable");
        check_near(number(&value, "/memory/used_gb"), used / gib, 0.5);
        check_near(number(&value, "/memory/percent"), 100.0 * used / total, 5.0);
        let uptime: f64 = proc("uptime").split_once(' ').unwrap().0.parse().unwrap();
        check_near(number(&value, "/uptime_s"), uptime, 2.0);
        for (index, load) in proc("loadavg").split(' ').take(3).enumerate() {
            check_near(number(&value, &format!("/cpu/load/{index}")), load.parse().unwrap(), 1.0);
        }
        let cores = proc("stat").lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
        assert_eq!(value["cpu"]["cores"].as_array().unwrap().len(), cores);
        assert_eq!(value["host"], proc("sys/kernel/hostname").trim());
    }

    /// Ticks in which all cores together were busy, and all ticks.
    fn ticks() -> (f64, f64) {
        let text = proc("stat");
        let ticks = text.lines().next().unwrap().split_ascii_whitespace().skip(1).take(8);
        let ticks: Vec<f64> = ticks.map(|tick| tick.parse().unwrap()).collect();
        let total = ticks.iter().sum::<f64>();
        (total - ticks[3] - ticks[4], total)
    }

    #[test]
    fn usage_of_the_host_is_that_of_proc_stat_and_the_mean_of_its_cores() {
        let before = ticks();
        let mut sampler = Sampler::try_new(Path::new("/"), roots("v2-unlimited")).unwrap();
        let start = Instant::now();
        // Not a wait but work: one core at least is busy.
        while start.elapsed() < 2 * limits::STATS_SETTLE {
            std::hint::spin_loop();
        }
        let value: Value = serde_json::from_str(&sampler.sample(Instant::now())).unwrap();
        let after = ticks();
        let usage = number(&value, "/cpu/usage");
        assert!(usage > 0.0);
        check_near(usage, 100.0 * (after.0 - before.0) / (after.1 - before.1), 20.0);
        let cores = value["cpu"]["cores"].as_array().unwrap();
        let sum: f64 = cores.iter().filter_map(Value::as_f64).sum();
        check_near(usage, sum / cores.len() as f64, 0.02);
    }

    #[test]
    fn a_first_sample_at_once_has_every_figure_and_no_rates() {
        let mut sampler = Sampler::try_new(Path::new("/"), roots("v2-unlimited")).unwrap();
        let now = sampler.network_at;
        let value: Value = serde_json::from_str(&sampler.sample(now)).unwrap();
        assert!(number(&value, "/memory/used_gb") > 0.0);
        assert!(number(&value, "/disk/total_gb") > 0.0);
        assert_eq!(number(&value, "/cpu/usage"), 0.0);
        assert_eq!(number(&value, "/network/rx_bytes_per_s"), 0.0);
    }

    #[test]
    fn a_containers_limits_are_the_total() {
        let (_, value) = sample("v2-limited");
        assert_eq!(
            value["memory"],
            serde_json::json!({
                "percent": 29.3, "used_gb": 0.15, "total_gb": 0.5,
                "swap_percent": if meminfo("SwapTotal") > 256.0 * 1024.0 * 1024.0 { 25.0 } else { number(&value, "/memory/swap_percent") },
            })
        );
    }

    #[test]
    fn use_of_a_quota_is_the_containers_own() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("cgroup.controllers", "cpu");
        write("cpu.max", "10000 100000");
        write("cpu.stat", "usage_usec 1000000");
        let roots = Roots { proc: folder.path().to_owned(), cgroup: folder.path().to_owned() };
        let mut sampler = Sampler::try_new(Path::new("/"), roots).unwrap();
        write("cpu.stat", "usage_usec 1050000");
        let value: Value = serde_json::from_str(&sampler.sample(sampler.network_at + Duration::from_secs(1))).unwrap();
        check_near(number(&value, "/cpu/usage"), 50.0, 1.0);
    }

    #[test]
    fn a_broken_cgroup_gives_the_hosts_figures() {
        let (_, value) = sample("broken");
        check_near(number(&value, "/memory/total_gb"), meminfo("MemTotal") / 1_073_741_824.0, 0.01);
    }

    #[test]
    fn a_path_that_is_not_there_is_refused_by_name() {
        let error = Sampler::try_new(Path::new("/no/such/disk"), Roots::default()).unwrap_err();
        assert_eq!(error.to_string(), "no file system at /no/such/disk");
    }

    #[test]
    fn a_disk_that_goes_away_keeps_its_last_figures() {
        let folder = tempfile::tempdir().unwrap();
        let mut sampler = Sampler::try_new(folder.path(), Roots::default()).unwrap();
        let before = sampler.disk;
        folder.close().unwrap();
        let value: Value = serde_json::from_str(&sampler.sample(Instant::now())).unwrap();
        assert_eq!(number(&value, "/disk/total_gb"), before.total_gb);
    }

    #[test]
    fn interfaces_and_cores_are_known_by_their_names() {
        let loopbacks = ["lo", "lo0", "lol", "eth0", ""].map(|name| is_loopback(OsStr::new(name)));
        assert_eq!(loopbacks, [true, true, false, false, false]);
        let cores = ["cpu0", "cpu12", "cpu", "gpu1"].map(number_of);
        assert_eq!(cores, [Some(0), Some(12), None, None]);
    }
}
