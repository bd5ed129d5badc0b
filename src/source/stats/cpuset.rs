//! A set of CPUs as the kernel writes it: `0-3,8`.

/// CPUs by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CpuSet(Vec<(u32, u32)>);

impl CpuSet {
    /// `None` where the text is no such list or names no CPU.
    pub(super) fn parse(text: &str) -> Option<CpuSet> {
        let ranges = text.trim().split(',').map(range).collect::<Option<Vec<_>>>()?;
        Some(CpuSet(ranges))
    }

    pub(super) fn contains(&self, cpu: u32) -> bool {
        self.0.iter().any(|&(first, last)| (first..=last).contains(&cpu))
    }
}

/// `3` or `0-3`.
fn range(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::CpuSet;

    #[track_caller]
    fn check(text: &str, expected: Option<&[u32]>) {
        let set = CpuSet::parse(text);
        let members = set.map(|set| (0..16).filter(|&cpu| set.contains(cpu)).collect::<Vec<_>>());
        assert_eq!(members.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn lists_of_cpus_are_read_as_the_kernel_writes_them() {
        check("0\n", Some(&[0]));
        check("0-3", Some(&[0, 1, 2, 3]));
        check("0-1,4,8-9\n", Some(&[0, 1, 4, 8, 9]));
        check("3-1", Some(&[]));
        check("", None);
        check("0-", None);
        check("all", None);
        check("0,,1", None);
        check("99999999999", None);
    }
}
