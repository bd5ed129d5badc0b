//! The limits a container lives under: control groups, version 2 and version 1.
//!
//! This process's groups are found once; their files are read at each sample, as a limit may change while we run. The
//! smallest limit on the way from our own group to the mount's root is the one that counts, and what is compared with
//! it is what that group uses, all of its members together.
//!
//! Never: fails. A file that is missing or makes no sense is a limit that is not there.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::Roots;
use super::cpuset::CpuSet;
use super::report::Share;
use crate::limits;

/// Where this process's groups are.
#[derive(Debug)]
pub(super) struct Cgroup {
    memory: Hierarchy,
    cpu: Hierarchy,
    /// Version 1 counts CPU time in a hierarchy that need not be the one with the quota; the same as `cpu` in version 2.
    cpuacct: Hierarchy,
    cpuset: Hierarchy,
}

/// A CPU quota and what was used of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CpuQuota {
    /// CPUs' worth of time, above 0.
    pub(super) cpus: f64,
    /// CPU time used since the group was made.
    pub(super) used: Duration,
    /// Which group has the quota, counted from our own outwards.
    pub(super) level: usize,
}

/// Our own group in one hierarchy and those around it, innermost first. Empty where there is none.
#[derive(Debug)]
struct Hierarchy {
    version: Version,
    mount: PathBuf,
    levels: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Cgroup {
    /// Finds the groups of this process by `self/cgroup`. Inside a container that file may tell the host's path, which
    /// is not mounted here: the mount's root then is our group.
    pub(super) fn locate(roots: &Roots) -> Cgroup {
        let own = read(&roots.proc.join("self/cgroup")).unwrap_or_default();
        let hierarchy = |controller| Hierarchy::locate(&roots.cgroup, &own, controller);
        Cgroup {
            memory: hierarchy("memory"),
            cpu: hierarchy("cpu"),
            cpuacct: hierarchy("cpuacct"),
            cpuset: hierarchy("cpuset"),
        }
    }

    /// The smallest limit on memory below `host` bytes, and what is used of it less the page cache that can be dropped at
    /// once, as `docker stats` counts.
    pub(super) fn memory(&self, host: u64) -> Option<Share> {
        let levels = self.memory.levels.iter();
        smallest(levels.filter_map(|level| memory_at(level, self.memory.version)), host)
    }

    /// The smallest limit on swap below `host` bytes. A group that may not swap at all has a total of 0.
    pub(super) fn swap(&self, host: u64) -> Option<Share> {
        let levels = self.memory.levels.iter();
        smallest(levels.filter_map(|level| swap_at(level, self.memory.version)), host)
    }

    /// The smallest CPU quota below `host` CPUs.
    pub(super) fn cpu(&self, host: f64) -> Option<CpuQuota> {
        let quotas = (0..self.cpu.levels.len()).filter_map(|level| self.quota_at(level));
        quotas.filter(|quota| quota.cpus < host).min_by(|a, b| a.cpus.total_cmp(&b.cpus))
    }

    /// The CPUs our own group may run on.
    pub(super) fn cpus(&self) -> Option<CpuSet> {
        let level = self.cpuset.levels.first()?;
        let effective = match self.cpuset.version {
            Version::V1 => "cpuset.effective_cpus",
            Version::V2 => "cpuset.cpus.effective",
        };
        // The first is missing where version 1 is old, and what is asked for is then what is given.
        let texts = [effective, "cpuset.cpus"].into_iter().filter_map(|name| read(&level.join(name)));
        texts.filter_map(|text| CpuSet::parse(&text)).next()
    }

    fn quota_at(&self, level: usize) -> Option<CpuQuota> {
        let path = self.cpu.levels.get(level)?;
        let (quota, period) = match self.cpu.version {
            Version::V1 => (number(path, "cpu.cfs_quota_us")?, number(path, "cpu.cfs_period_us")?),
            Version::V2 => {
                let text = read(&path.join("cpu.max"))?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse().ok()?, period.parse().ok()?)
            }
        };
        if quota == 0 || period == 0 {
            return None;
        }
        let used = match self.cpu.version {
            Version::V1 => {
                let same = self.cpuacct.mount.join(path.strip_prefix(&self.cpu.mount).ok()?);
                Duration::from_nanos(number(&same, "cpuacct.usage")?)
            }
            Version::V2 => Duration::from_micros(member(path, "cpu.stat", "usage_usec")?),
        };
        #[expect(clippy::cast_precision_loss, reason = "microseconds, and two decimals are shown")]
        let cpus = quota as f64 / period as f64;
        Some(CpuQuota { cpus, used, level })
    }
}

impl Hierarchy {
    /// `own` is the text of `self/cgroup`: lines of `number:controllers:path`, where version 2 has `0::path`.
    fn locate(mounts: &Path, own: &str, controller: &str) -> Hierarchy {
        let lines = || own.lines().filter_map(line);
        if let Some((controllers, path)) = lines().find(|(names, _)| names.split(',').any(|name| name == controller)) {
            // Controllers that share a hierarchy are mounted under all of their names, with links from each.
            let mount = [controllers, controller].map(|name| mounts.join(name));
            let mount = mount.into_iter().find(|mount| mount.is_dir());
            return Hierarchy::new(Version::V1, mount, path);
        }
        let path = lines().find(|(names, _)| names.is_empty()).map_or("/", |(_, path)| path);
        let unified = [mounts.to_owned(), mounts.join("unified")];
        let unified = unified.into_iter().find(|mount| mount.join("cgroup.controllers").is_file());
        if unified.is_some() {
            return Hierarchy::new(Version::V2, unified, path);
        }
        let mount = Some(mounts.join(controller)).filter(|mount| mount.is_dir());
        Hierarchy::new(Version::V1, mount, "/")
    }

    fn new(version: Version, mount: Option<PathBuf>, path: &str) -> Hierarchy {
        let levels = mount.as_deref().map_or_else(Vec::new, |mount| levels(mount, path));
        Hierarchy { version, mount: mount.unwrap_or_default(), levels }
    }
}

/// The controllers and the path of one line of `self/cgroup`.
fn line(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once(':')?;
    rest.split_once(':')
}

/// The folders from `mount`/`path` out to `mount`, as far as they are there. A path that climbs out of the mount, as seen
/// from within a namespace, is no help: the mount itself is then all there is.
fn levels(mount: &Path, path: &str) -> Vec<PathBuf> {
    let inner = Path::new(path.trim_start_matches('/'));
    let climbs = inner.components().any(|part| !matches!(part, Component::Normal(_)));
    let inner = if climbs { Path::new("") } else { inner };
    let around = inner.ancestors().map(|level| mount.join(level));
    around.filter(|level| level.is_dir()).take(limits::CGROUP_LEVELS).collect()
}

/// The share with the smallest total below `host`; of equals, the innermost.
fn smallest(shares: impl Iterator<Item = Share>, host: u64) -> Option<Share> {
    shares.filter(|share| share.total < host).min_by_key(|share| share.total)
}

fn memory_at(level: &Path, version: Version) -> Option<Share> {
    let (limit, usage, idle) = match version {
        // Without a limit this is the largest number of pages there can be, far above any host's memory.
        Version::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        Version::V2 => ("memory.max", "memory.current", "inactive_file"),
    };
    let total = number(level, limit).filter(|&limit| limit > 0)?;
    let usage = number(level, usage)?;
    let idle = member(level, "memory.stat", idle).unwrap_or(0);
    // The two are not read at one moment; what cannot be is not taken off.
    let used = usage.checked_sub(idle).unwrap_or(usage);
    Some(Share { used, total })
}

fn swap_at(level: &Path, version: Version) -> Option<Share> {
    match version {
        // Version 1 limits and counts memory and swap together.
        Version::V1 => {
            let both = number(level, "memory.memsw.limit_in_bytes").filter(|&limit| limit < V1_UNLIMITED)?;
            let both_used = number(level, "memory.memsw.usage_in_bytes")?;
            Some(Share {
                total: both.saturating_sub(number(level, "memory.limit_in_bytes")?),
                used: both_used.saturating_sub(number(level, "memory.usage_in_bytes")?),
            })
        }
        Version::V2 => {
            Some(Share { total: number(level, "memory.swap.max")?, used: number(level, "memory.swap.current")? })
        }
    }
}

/// Half of what version 1 says where there is no limit, which is about `i64::MAX` and depends on the size of a page.
const V1_UNLIMITED: u64 = 1 << 62;

/// A file that holds one number. `max` and `-1` are no numbers: there is no limit.
fn number(level: &Path, name: &str) -> Option<u64> {
    read(&level.join(name))?.trim().parse().ok()
}

/// One number out of a file with a name and a number on each line.
fn member(level: &Path, file: &str, name: &str) -> Option<u64> {
    let text = read(&level.join(file))?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    value.trim().parse().ok()
}

/// At most [`limits::KERNEL_FILE`] bytes of a file; `None` where it cannot be read or is not text.
fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(limits::KERNEL_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;
    /// What the host has in these tests: memory, swap, CPUs.
    const HOST: (u64, u64, f64) = (16 * GIB, 8 * GIB, 8.0);

    fn locate(fixture: &str) -> Cgroup {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cgroup").join(fixture);
        assert!(folder.is_dir(), "{folder:?}");
        Cgroup::locate(&Roots { proc: folder.join("proc"), cgroup: folder.join("cgroup") })
    }

    /// Used and total bytes of memory and of swap; CPUs of the quota, milliseconds used and the level.
    #[track_caller]
    fn check(fixture: &str, memory: Option<(u64, u64)>, swap: Option<(u64, u64)>, cpu: Option<(f64, u64, usize)>) {
        let cgroup = locate(fixture);
        let pair = |share: Share| (share.used, share.total);
        assert_eq!(cgroup.memory(HOST.0).map(pair), memory, "memory of {fixture}");
        assert_eq!(cgroup.swap(HOST.1).map(pair), swap, "swap of {fixture}");
        let expected = cpu.map(|(cpus, used, level)| CpuQuota { cpus, used: Duration::from_millis(used), level });
        assert_eq!(cgroup.cpu(HOST.2), expected, "cpu of {fixture}");
    }

    #[test]
    fn limits_of_version_2_are_the_total() {
        check("v2-limited", Some((150 * MIB, 512 * MIB)), Some((64 * MIB, 256 * MIB)), Some((1.5, 7_250, 0)));
    }

    #[test]
    fn without_limits_nothing_is_said() {
        check("v2-unlimited", None, None, None);
        check("v1-unlimited", None, None, None);
    }

    #[test]
    fn limits_of_version_1_are_the_total() {
        check("v1-limited", Some((200 * MIB, GIB)), Some((16 * MIB, GIB)), Some((0.5, 7_250, 0)));
    }

    #[test]
    fn time_is_counted_in_the_group_that_has_the_quota() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("self/cgroup", "2:cpuacct:/\n1:cpu:/a/b\n");
        write("cpu/a/cpu.cfs_quota_us", "50000");
        write("cpu/a/cpu.cfs_period_us", "100000");
        write("cpu/a/b/cpu.cfs_quota_us", "-1");
        write("cpuacct/cpuacct.usage", "9000000000");
        let cgroup = Cgroup::locate(&Roots { proc: folder.path().to_owned(), cgroup: folder.path().to_owned() });
        assert_eq!(cgroup.cpu(2.0), None, "nothing counts the time of /a");
        write("cpuacct/a/cpuacct.usage", "3000000000");
        let expected = CpuQuota { cpus: 0.5, used: Duration::from_secs(3), level: 1 };
        assert_eq!(cgroup.cpu(2.0), Some(expected));
    }

    #[test]
    fn the_smallest_limit_around_us_counts_with_what_its_own_group_uses() {
        check("v2-nested", Some((700 * MIB, GIB)), Some((0, 0)), Some((2.0, 90_000, 1)));
    }

    #[test]
    fn files_that_make_no_sense_are_limits_that_are_not_there() {
        check("broken", None, None, None);
        assert_eq!(locate("broken").cpus(), None);
    }

    #[test]
    fn a_host_without_cgroups_has_no_limits() {
        let cgroup = Cgroup::locate(&Roots { proc: PathBuf::from("/nowhere"), cgroup: PathBuf::from("/nowhere") });
        assert_eq!(cgroup.memory(u64::MAX), None);
        assert_eq!(cgroup.cpu(f64::MAX), None);
    }

    #[test]
    fn a_limit_that_the_host_is_below_does_not_count() {
        let cgroup = locate("v2-limited");
        assert_eq!(cgroup.memory(512 * MIB), None);
        assert_eq!(cgroup.swap(256 * MIB), None);
        assert_eq!(cgroup.cpu(1.5), None);
    }

    #[track_caller]
    fn check_cpus(fixture: &str, expected: &[u32]) {
        let set = locate(fixture).cpus().unwrap();
        let cpus: Vec<u32> = (0..64).filter(|&cpu| set.contains(cpu)).collect();
        assert_eq!(cpus, expected, "{fixture}");
    }

    #[test]
    fn the_cpus_allowed_are_those_of_our_own_group() {
        check_cpus("v2-limited", &[0, 1, 4]);
        check_cpus("v1-limited", &[2, 3]);
    }

    #[track_caller]
    fn check_levels(path: &str, expected: &[&str]) {
        let mount = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(mount.path().join("a/b")).unwrap();
        let levels = levels(mount.path(), path);
        let inner: Vec<&str> =
            levels.iter().map(|level| level.strip_prefix(mount.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(inner, expected, "{path}");
    }

    #[test]
    fn a_path_that_is_not_under_the_mount_is_the_mount() {
        check_levels("/", &[""]);
        check_levels("/a/b", &["a/b", "a", ""]);
        check_levels("/a/gone", &["a", ""]);
        check_levels("/docker/0123", &[""]);
        check_levels("/../a", &[""]);
        check_levels("//a", &["a", ""]);
        check_levels("", &[""]);
    }

    #[test]
    fn levels_are_bounded_and_the_innermost_kept() {
        let mount = tempfile::tempdir().unwrap();
        let path = "d/".repeat(limits::CGROUP_LEVELS + 3);
        std::fs::create_dir_all(mount.path().join(&path)).unwrap();
        let levels = levels(mount.path(), &path);
        assert_eq!(levels.len(), limits::CGROUP_LEVELS);
        assert_eq!(levels[0], mount.path().join(&path));
    }

    #[test]
    fn a_kernel_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.stat");
        let size = usize::try_from(limits::KERNEL_FILE).unwrap();
        std::fs::write(&path, "x".repeat(size + 1)).unwrap();
        assert_eq!(read(&path).map(|text| text.len()), Some(size));
    }
}
