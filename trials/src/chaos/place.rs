//! A folder in which the program runs, with an environment of its own, and the program's commands.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testkit::{Folder, Process, mortal};

/// How long a process may take until it serves.
const START: Duration = Duration::from_secs(30);

/// The folder, the program, and what every process of it finds in its environment.
pub(super) struct Place {
    program: PathBuf,
    environment: Vec<(String, String)>,
    folder: Folder,
}

impl Place {
    pub(super) fn new(program: &Path, environment: Vec<(String, String)>) -> Result<Self> {
        Ok(Self { program: program.to_owned(), environment, folder: Folder::new("chaos")? })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command and gives the JSON that it prints.
    pub(super) fn command(&self, arguments: &[&str]) -> Result<Value> {
        self.command_with(arguments, "")
    }

    /// The same, with text on its standard input.
    pub(super) fn command_with(&self, arguments: &[&str], input: &str) -> Result<Value> {
        let (succeeded, output) = self.run(arguments, input)?;
        if !succeeded {
            bail!("xiaoyi {}: {output}", arguments.join(" "));
        }
        Ok(output)
    }

    /// What `ledger audit` finds; nothing when the ledger is as it must be.
    pub(super) fn audit(&self) -> Result<Vec<String>> {
        let (succeeded, output) = self.run(&["ledger", "audit"], "")?;
        let violations = output["violations"].as_array().map(|all| all.iter().map(Value::to_string).collect());
        let violations: Vec<String> = violations.unwrap_or_default();
        if succeeded && violations.is_empty() && output["ok"] == true {
            return Ok(Vec::new());
        }
        Ok(if violations.is_empty() { vec![output.to_string()] } else { violations })
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<(bool, Value)> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--json").env_clear().envs(self.environment.iter().cloned());
        command.current_dir(self.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing may have ended already.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let value = match serde_json::from_str(&stdout) {
            Ok(value) => value,
            Err(_) if stdout.trim().is_empty() && output.status.success() => Value::Null,
            Err(_) => Value::from(format!("{stdout}{stderr}")),
        };
        Ok((output.status.success(), value))
    }

    /// Starts a process that serves, and waits until it says that it is ready.
    pub(super) fn serve(&self, name: &str, role: &str, more: &[(String, String)]) -> Result<Process> {
        let mut command = mortal(&self.program);
        command.args(["serve", "--role", role]).env_clear().envs(self.environment.iter().cloned());
        command.envs(more.iter().cloned()).current_dir(self.path());
        let (output, log) = (self.path().join(format!("{name}.out")), self.path().join(format!("{name}.log")));
        let mut process = Process::start_with_output(name, command, &output, &log)?;
        let begun = Instant::now();
        while !std::fs::read_to_string(&output)?.contains("\"event\":\"ready\"") {
            if let Some(status) = process.ended() {
                bail!("{name} ended ({status}) instead of serving: {}", process.log_tail());
            }
            if begun.elapsed() > START {
                bail!("{name} was not ready within {} s: {}", START.as_secs(), process.log_tail());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(process)
    }
}
