//! Reading the kernel's accounts of a proxy's processes, and putting figures together.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Outcome;

/// What `/proc/PID/stat` counts in: USER_HZ, 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that processes had used at a moment.
#[derive(Debug)]
pub struct Cpu {
    /// Nanoseconds on the core, and ready but waiting for it, by thread.
    threads: HashMap<u64, (u64, u64)>,
    /// Of whole processes, ended threads included, but rounded to ticks.
    rounded: Duration,
}

impl Cpu {
    pub fn read(pids: &[u32]) -> Outcome<Cpu> {
        let mut threads = HashMap::new();
        let mut rounded = Duration::ZERO;
        for pid in pids {
            for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let thread = thread?;
                let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
                let id = thread.file_name().to_string_lossy().parse()?;
                let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or(0));
                threads.insert(id, (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)));
            }
            let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let (_, after_name) = text.rsplit_once(')').ok_or("no name in stat")?;
            // utime and stime are the 14th and 15th field; the name was the 2nd.
            let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
            rounded += TICK * ticks.sum::<Result<u32, _>>()?;
        }
        Ok(Cpu { threads, rounded })
    }

    /// What was used since `before`.
    pub fn used_since(&self, before: &Cpu) -> Duration {
        let exact = self.since(before, |(used, _)| used);
        // Threads that ended meanwhile are missing above; here they are not, but for what is lost in rounding.
        exact.max(self.rounded.saturating_sub(before.rounded).saturating_sub(TICK * 4))
    }

    /// How long the processes were ready since `before`, but another had the core.
    pub fn waited_since(&self, before: &Cpu) -> Duration {
        self.since(before, |(_, waited)| waited)
    }

    fn since(&self, before: &Cpu, part: impl Fn((u64, u64)) -> u64) -> Duration {
        let then = |id| part(before.threads.get(id).copied().unwrap_or_default());
        Duration::from_nanos(self.threads.iter().map(|(id, now)| part(*now).saturating_sub(then(id))).sum())
    }
}

/// Memory of processes in KiB, what they share counted once. Pages of files are left out: how many of those are theirs
/// depends on who else runs the same program.
pub fn memory(pids: &[u32]) -> Outcome<f64> {
    let mut sum = 0.0;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        for name in ["Pss_Anon:", "Pss_Shmem:"] {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let line = line.ok_or_else(|| format!("no {name} in smaps_rollup; Linux 5.4 has it"))?;
            sum += line.trim().trim_end_matches(" kB").parse::<f64>()?;
        }
    }
    Ok(sum)
}

/// Between two looks at memory, until it stands still.
const STILL: Duration = Duration::from_millis(500);
/// For it to stand still.
const SETTLING: Duration = Duration::from_secs(10);

/// The [`memory`] of processes once it stands still, or does not for long.
pub async fn memory_at_rest(pids: &[u32]) -> Outcome<f64> {
    let deadline = Instant::now() + SETTLING;
    let mut held = memory(pids)?;
    loop {
        tokio::time::sleep(STILL).await;
        let now = memory(pids)?;
        let still = (now - held).abs() <= held * 0.001;
        held = now;
        if still || Instant::now() > deadline {
            return Ok(held);
        }
    }
}

/// KiB, by a name of `/proc/PID/status`.
pub fn resident(pid: u32, name: &str) -> Outcome<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("the kernel tells it")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.len() / 2, values.len().saturating_sub(1) / 2);
    match (values.get(lower), values.get(upper)) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => f64::NAN,
    }
}

/// The value below which this share of them lies; they must be sorted.
pub fn quantile(sorted: &[u32], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(f64::NAN, |value| f64::from(*value))
}

/// A number from the environment, or `default`.
pub fn size(name: &str, default: usize) -> Outcome<usize> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{name} is a number above zero, and not `{text}`").into()),
        },
    }
}
