//! What only this bench reads of the kernel, and how it puts delays together.

use std::time::Duration;

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

/// The value below which this share of them lies.
pub fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let place = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or_default()
}
