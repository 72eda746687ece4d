//! What processes have used, from `/proc`: processor time and the most memory, of some processes and all below them.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use anyhow::{Context, ensure};

/// Reads what trees of processes have used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accounting {
    /// One tick of the kernel's clock, in microseconds.
    tick_us: u64,
}

impl Accounting {
    /// # Errors
    /// When the system does not say how long a tick is.
    pub(super) fn new() -> anyhow::Result<Self> {
        let asked = Command::new("getconf").arg("CLK_TCK").output().context("cannot run getconf")?;
        let ticks: u64 = String::from_utf8_lossy(&asked.stdout).trim().parse().context("getconf CLK_TCK")?;
        ensure!(ticks > 0, "getconf CLK_TCK gave 0");
        Ok(Self { tick_us: 1_000_000 / ticks })
    }

    /// Processor time of `roots` and all below them, in microseconds, those included that have ended and whose parent knows of it.
    pub(super) fn cpu_us(self, roots: &[u32]) -> anyhow::Result<u64> {
        let all = processes()?;
        let ticks: u64 = tree(&all, roots).iter().filter_map(|pid| all.get(pid)).map(|process| process.ticks).sum();
        Ok(ticks * self.tick_us)
    }
}

/// The most memory that `roots` and all below them had resident, in KiB. Pages that several of them share count for each.
pub(super) fn peak_memory_kib(roots: &[u32]) -> anyhow::Result<u64> {
    let all = processes()?;
    let peaks = tree(&all, roots).into_iter().filter_map(|pid| {
        // One that ended meanwhile has no memory.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        peak_of(&status)
    });
    Ok(peaks.sum())
}

struct Usage {
    parent: u32,
    ticks: u64,
}

fn processes() -> anyhow::Result<HashMap<u32, Usage>> {
    let entries = std::fs::read_dir("/proc").context("cannot read /proc")?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let read =
        pids.filter_map(|pid| Some((pid, usage_of(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)));
    Ok(read.collect())
}

/// `/proc/PID/stat`: the second field, a name, may hold anything; the fields behind its last parenthesis are numbers.
fn usage_of(stat: &str) -> Option<Usage> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    // utime, stime, and the same of children that have ended: fields 14 to 17.
    let ticks = number(14)? + number(15)? + number(16)? + number(17)?;
    Some(Usage { parent: u32::try_from(number(4)?).ok()?, ticks })
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn tree(all: &HashMap<u32, Usage>, roots: &[u32]) -> HashSet<u32> {
    let mut found: HashSet<u32> = roots.iter().copied().collect();
    loop {
        let before = found.len();
        found.extend(
            all.iter().filter(|(_, usage)| found.contains(&usage.parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
        );
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "42 (a) (b 1) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 1 0 100 1000 10 0";
        let usage = usage_of(stat).unwrap();
        assert_eq!((usage.parent, usage.ticks), (7, 110));
        assert!(usage_of("42 (short) S 7").is_none());
    }

    #[test]
    fn peak_memory_is_found() {
        assert_eq!(peak_of("VmPeak:\t  9 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n"), Some(1234));
        assert_eq!(peak_of("Name: kthread\n"), None);
    }

    #[test]
    fn children_and_their_children_belong_to_a_process() {
        let usage = |parent| Usage { parent, ticks: 1 };
        let all = HashMap::from([(1, usage(0)), (2, usage(1)), (3, usage(2)), (4, usage(1)), (5, usage(4))]);
        assert_eq!(tree(&all, &[2]), HashSet::from([2, 3]));
        assert_eq!(tree(&all, &[4, 2]), HashSet::from([2, 3, 4, 5]));
    }

    #[test]
    fn work_of_a_child_that_has_ended_counts() {
        let accounting = Accounting::new().unwrap();
        let own = [std::process::id()];
        let before = accounting.cpu_us(&own).unwrap();
        let script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
        assert!(accounting.cpu_us(&own).unwrap() > before);
        assert!(peak_memory_kib(&own).unwrap() > 1_000);
    }
}
