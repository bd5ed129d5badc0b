//! Reading the kernel's accounts of a process, and putting figures together.

use std::time::{Duration, Instant};

/// Keeps this process on one core, by the tool that every Linux has.
pub fn pin(core: usize) {
    let pid = std::process::id().to_string();
    let _ = std::process::Command::new("taskset").args(["-acp", &core.to_string(), &pid]).output();
}

/// CPU time of all threads of a process, its children left out.
pub fn cpu(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Resident memory, in KiB.
pub fn rss(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What the kernel holds unsent or unread of the sockets that listen on `port`, in KiB, as `ss` tells it: the bytes queued
/// to be sent (`w`) and those received (`r`).
pub fn kernel(port: u16) -> f64 {
    let filter = format!("sport = :{port}");
    let out = std::process::Command::new("ss").args(["-tmnH", "state", "established", &filter]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let number = |part: &str, name: char| part.trim_start_matches("skmem:(").strip_prefix(name)?.parse::<f64>().ok();
    let parts = text.split([',', '\t', '\n', ')']).map(|part| part.trim());
    parts.filter_map(|part| number(part, 'w').or(number(part, 'r'))).sum::<f64>() / 1024.0
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which this share of them lies.
pub fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let place = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or_default()
}

/// A number from the environment, or `default`.
pub fn size(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Waits for `done`, for at most 60 s.
pub async fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited 60 s for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
