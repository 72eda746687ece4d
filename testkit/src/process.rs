//! A process that is started, signalled, waited for, and never left behind.

use std::fs::{self, OpenOptions};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::{Error, keeper};

/// How often a process is looked at while somebody waits for its end.
const GLANCE: Duration = Duration::from_millis(5);

/// A running process with its log. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, best made with [`mortal`](crate::mortal), without input, in a process group of its own. What it writes to
    /// either output is added to the file `log`.
    pub fn start(name: &str, command: Command, log: &Path) -> Result<Self, Error> {
        Self::start_with_outputs(name, command, log, log)
    }

    /// The same, with the standard output in a file of its own, which is emptied first.
    pub fn start_with_output(name: &str, command: Command, output: &Path, log: &Path) -> Result<Self, Error> {
        fs::write(output, "").map_err(Error::system(format!("cannot write {}", output.display())))?;
        Self::start_with_outputs(name, command, output, log)
    }

    fn start_with_outputs(name: &str, mut command: Command, output: &Path, log: &Path) -> Result<Self, Error> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map_err(Error::system(format!("cannot write {}", path.display())))
        };
        command.stdin(Stdio::null()).stdout(open(output)?).stderr(open(log)?).process_group(0);
        let child = keeper::spawn(command).map_err(Error::system(format!("cannot start {name}")))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), ended: None })
    }

    /// What it was called at its start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with what it wrote.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        // A process that was not waited for keeps its number, so no stranger can be hit.
        if self.ended().is_some() {
            return Err(Error::NotRunning(self.name.clone()));
        }
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::NotRunning(self.name.clone()))?;
        let refused = Error::system(format!("cannot signal {}", self.name));
        kill_process(pid, signal).map_err(|error| refused(error.into()))
    }

    /// Waits for its end, at most so long; `None` when it still runs then.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.ended() {
                None if begun.elapsed() < limit => std::thread::sleep(GLANCE),
                ended => return ended,
            }
        }
    }

    /// `kill -9`, and waits until it is gone. It may have ended before.
    pub fn kill9(&mut self) {
        if self.signal(Signal::KILL).is_ok() {
            self.ended = self.child.wait().ok().or(Some(ExitStatus::from_raw(9)));
        }
    }

    /// SIGTERM, and waits for the end, at most so long; SIGKILL and `None` then.
    pub fn terminate(&mut self, limit: Duration) -> Option<ExitStatus> {
        let _ = self.signal(Signal::TERM);
        let ended = self.wait(limit);
        if ended.is_none() {
            self.kill9();
        }
        ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2_000)..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Waits until something is true, at most so long, and says whether it became so.
pub(crate) fn becomes_true(limit: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !is_true() {
        if begun.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(GLANCE);
    }
    true
}

/// Whether a process of this number lives. One that waits to be buried does not.
pub(crate) fn lives(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// The children of a process.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| state_and_parent(*pid).is_some_and(|(_, its)| its == parent)).collect()
}

fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, also parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Folder, mortal};

    fn shell(folder: &Folder, script: &str) -> Process {
        let mut command = mortal("sh");
        command.args(["-c", script]);
        Process::start("shell", command, &folder.path().join("log")).unwrap()
    }

    #[test]
    fn its_output_is_in_the_log_and_its_status_is_known() {
        let folder = Folder::new("process").unwrap();
        let mut process = shell(&folder, "echo out; echo err >&2; exit 3");
        assert_eq!(process.wait(Duration::from_secs(10)).and_then(|status| status.code()), Some(3));
        assert_eq!(process.log_tail(), "out\nerr");
        assert!(matches!(process.signal(Signal::TERM), Err(Error::NotRunning(_))));
    }

    #[test]
    fn it_can_be_stopped_and_continued() {
        let folder = Folder::new("process").unwrap();
        let mut process = shell(&folder, "while :; do sleep 0.01; done");
        let state = |pid| state_and_parent(pid).map(|(state, _)| state);
        process.signal(Signal::STOP).unwrap();
        assert!(becomes_true(Duration::from_secs(10), || state(process.pid()) == Some('T')));
        process.signal(Signal::CONT).unwrap();
        assert!(becomes_true(Duration::from_secs(10), || state(process.pid()) != Some('T')));
        assert!(process.terminate(Duration::from_secs(10)).is_some());
    }

    #[test]
    fn one_that_ignores_sigterm_is_killed_and_none_outlives_its_guard() {
        let folder = Folder::new("process").unwrap();
        let mut process = shell(&folder, "trap '' TERM; echo ready; while :; do sleep 0.01; done");
        assert!(becomes_true(Duration::from_secs(10), || process.log_tail() == "ready"));
        assert_eq!(process.terminate(Duration::from_millis(50)), None);
        assert!(!lives(process.pid()));
        let other = shell(&folder, "sleep 1000");
        let pid = other.pid();
        assert!(lives(pid));
        drop(other);
        assert!(!lives(pid));
    }
}
