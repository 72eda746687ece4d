//! The load: wrk with a closed loop on each connection, and the same request to whoever is measured.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::process::Command;

/// wrk's own threads.
const THREADS: u32 = 2;
/// How much longer than its time wrk may take until it ends.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the calls go.
const PATH: &str = "/v1/chat/completions";

/// The body of every call.
pub(super) const BODY: &str = r#"{"model":"bench","messages":[{"role":"system","content":"Answer in one or two sentences."},{"role":"user","content":"What is the capital of France?"}],"max_tokens":64,"temperature":0.2}"#;

/// What wrk's `done` prints, one line of JSON behind a word of ours. Times are in microseconds.
const DONE: &str = r#"
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
"#;

/// What one run of wrk saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Seen {
    /// Replies that came whole.
    pub(super) requests: u64,
    pub(super) duration_us: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// Replies with a status of 400 or more.
    status: u64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
}

impl Seen {
    fn parse(output: &str) -> anyhow::Result<Self> {
        let line = output.lines().find_map(|line| line.strip_prefix("RESULT "));
        let line = line.with_context(|| format!("wrk printed no result:\n{output}"))?;
        serde_json::from_str(line).with_context(|| format!("wrk's result: {line}"))
    }

    /// Answers a second.
    pub(super) fn rate(&self) -> u64 {
        self.requests.saturating_mul(1_000_000).checked_div(self.duration_us).unwrap_or(0)
    }

    /// An error is an answer that costs less, so a run with errors measures nothing.
    fn expect_no_errors(&self) -> anyhow::Result<()> {
        let errors = self.status + self.connect + self.read + self.write + self.timeout;
        ensure!(errors == 0, "calls failed, so this is no measurement: {self:?}");
        ensure!(self.requests > 0, "not one answer: {self:?}");
        Ok(())
    }
}

/// The calls of one subject.
#[derive(Debug)]
pub(super) struct Load {
    url: String,
    script: PathBuf,
}

impl Load {
    /// Calls to `base` (`http://host:port`) with `key`. The script for wrk is written into `folder`.
    pub(super) fn new(name: &str, base: &str, key: &str, folder: &Path) -> anyhow::Result<Self> {
        let script = folder.join(format!("{name}.lua"));
        let mut file = std::fs::File::create(&script)?;
        writeln!(file, "wrk.method = 'POST'")?;
        writeln!(file, "wrk.headers['Content-Type'] = 'application/json'")?;
        writeln!(file, "wrk.headers['Authorization'] = 'Bearer {key}'")?;
        writeln!(file, "wrk.body = [==[{BODY}]==]")?;
        file.write_all(DONE.as_bytes())?;
        Ok(Self { url: format!("{base}{PATH}"), script })
    }

    /// Calls on so many connections for so long, in whole seconds.
    ///
    /// # Errors
    /// When a call fails.
    pub(super) async fn run(&self, connections: u32, length: Duration) -> anyhow::Result<Seen> {
        let mut command = Command::new("wrk");
        command.arg(format!("-t{}", THREADS.min(connections))).arg(format!("-c{connections}"));
        command.arg(format!("-d{}s", length.as_secs())).arg("--latency").arg("-s").arg(&self.script).arg(&self.url);
        let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let ended = tokio::time::timeout(length + PATIENCE, run).await.context("wrk does not end")?;
        let output = ended.context("cannot run wrk")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "wrk ended ({}): {said}{stderr}", output.status);
        let seen = Seen::parse(&said)?;
        seen.expect_no_errors()?;
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"RESULT {"requests":3000,"duration_us":1500000,"p50_us":410,"p99_us":900,"status":0,"connect":0,"read":0,"write":0,"timeout":0}"#;

    #[test]
    fn the_result_is_found_among_what_wrk_says() {
        let seen = Seen::parse(&format!("Running 1s test\n  2 threads\n{LINE}\n")).unwrap();
        assert_eq!((seen.rate(), seen.p50_us, seen.p99_us), (2_000, 410, 900));
        seen.expect_no_errors().unwrap();
        Seen::parse("Running 1s test\n").unwrap_err();
    }

    #[test]
    fn one_error_spoils_a_run() {
        for error in ["status", "connect", "read", "write", "timeout"] {
            let line = LINE.replace(&format!("\"{error}\":0"), &format!("\"{error}\":1"));
            assert_ne!(line, LINE);
            Seen::parse(&line).unwrap().expect_no_errors().unwrap_err();
        }
        let none = Seen::parse(&LINE.replace("3000", "0")).unwrap();
        none.expect_no_errors().unwrap_err();
    }

    #[test]
    fn the_body_is_a_chat_and_fits_into_the_script() {
        let body: serde_json::Value = serde_json::from_str(BODY).unwrap();
        assert_eq!(body["model"], "bench");
        let folder = testkit::Folder::new("bench").unwrap();
        let load = Load::new("x", "http://127.0.0.1:1", "sk-x", folder.path()).unwrap();
        let script = std::fs::read_to_string(&load.script).unwrap();
        assert!(script.contains(BODY) && script.contains("Bearer sk-x") && !BODY.contains("]==]"));
        assert_eq!(load.url, "http://127.0.0.1:1/v1/chat/completions");
    }
}
