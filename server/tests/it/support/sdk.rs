//! OpenAI's own SDKs, as `scripts/clients.sh` installs them: scripts of `server/tests/clients` run with nothing in their environment but the
//! base URL and a Secret Key, under the names by which the SDKs look for them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The longest wait for a script to say something.
const PATIENCE: Duration = Duration::from_secs(60);

/// In which language an SDK is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Node,
}

/// Both.
pub(crate) const LANGUAGES: [Language; 2] = [Language::Python, Language::Node];

/// A running script.
pub(crate) struct Script {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: UnboundedReceiver<String>,
    complaints: Option<JoinHandle<String>>,
    _folder: TempDir,
}

impl Script {
    /// Starts a script, such as `capabilities.py`, that calls the server at this address with this key.
    pub(crate) fn start(name: &str, server: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = command(name, folder.path());
        command.env("OPENAI_BASE_URL", format!("{server}/v1")).env("OPENAI_API_KEY", key);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
        let (sender, lines) = unbounded_channel();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut complaints = child.stderr.take().expect("it is piped");
        let complaints = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = complaints.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let input = child.stdin.take();
        Self { name: name.to_owned(), child, input, lines, complaints: Some(complaints), _folder: folder }
    }

    /// Starts the script that makes calls as it is told.
    pub(crate) fn driver(language: Language, server: &str, key: &str) -> Self {
        let name = match language {
            Language::Python => "drive.py",
            Language::Node => "drive.mjs",
        };
        Self::start(name, server, key)
    }

    /// Tells a driver to make a call.
    pub(crate) fn order(&mut self, order: &Value) {
        let input = self.input.as_mut().expect("it takes orders");
        writeln!(input, "{order}").and_then(|()| input.flush()).expect("the script reads its orders");
    }

    /// The next line of the script, which is JSON.
    pub(crate) async fn line(&mut self) -> Value {
        let line = match tokio::time::timeout(PATIENCE, self.lines.recv()).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{} ended\n{}", self.name.clone(), self.stop()),
            Err(_) => panic!("{} said nothing for {PATIENCE:?}\n{}", self.name.clone(), self.stop()),
        };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.name))
    }

    /// Tells a driver to make a call, and gives what became of it.
    pub(crate) async fn call(&mut self, order: &Value) -> Value {
        self.order(order);
        self.result().await
    }

    /// What became of a call, behind the events of it.
    pub(crate) async fn result(&mut self) -> Value {
        loop {
            let line = self.line().await;
            if line["event"].is_null() {
                return line;
            }
        }
    }

    /// Waits for the event that a driver tells next.
    pub(crate) async fn event(&mut self, name: &str) {
        let line = self.line().await;
        assert_eq!(line["event"], name, "{}: {line}", self.name);
    }

    /// Runs a script of checks to its end, and gives their names. Fails when one of them has failed.
    pub(crate) async fn checks(mut self) -> Vec<String> {
        self.input = None;
        let report = self.line().await;
        let complaints = self.stop();
        assert_eq!(report["failed"], json!([]), "{}:\n{complaints}", self.name);
        let names = report["checks"].as_array().expect("a list");
        names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    }

    /// Ends it, and gives what it wrote to its standard error.
    fn stop(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.complaints.take().and_then(|complaints| complaints.join().ok()).unwrap_or_default()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where `scripts/clients.sh` puts the clients.
fn clients() -> PathBuf {
    // Cargo gives tests a folder of their own, right within the target folder.
    let clients = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients");
    let is_there = clients.join("python/stamp").exists() && clients.join("node/stamp").exists();
    assert!(is_there, "this test needs the clients in {}: run scripts/clients.sh", clients.display());
    clients
}

/// The program of a sample in `python` or `js`, which lies in this folder.
pub(crate) fn sample(language: &str, source: &str, folder: &Path) -> Command {
    let clients = clients();
    let (name, program) = match language {
        "python" => ("sample.py", clients.join("python/bin/python")),
        "js" => ("sample.mjs", PathBuf::from("node")),
        other => panic!("no sample is in {other}"),
    };
    std::fs::write(folder.join(name), source).expect("a file is written");
    std::os::unix::fs::symlink(clients.join("node/node_modules"), folder.join("node_modules")).expect("a link");
    let mut command = Command::new(program);
    command.arg(folder.join(name)).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8");
    command
}

/// The first python3 that can import requests, which is Debian's: the clients have none.
#[track_caller]
pub(crate) fn python_with_requests() -> PathBuf {
    let has_requests = |python: &&str| {
        Command::new(python).args(["-c", "import requests"]).output().is_ok_and(|output| output.status.success())
    };
    let python = ["python3", "/usr/bin/python3"].into_iter().find(has_requests);
    let why = "this test needs a python3 that can import requests: install the Debian package python3-requests, or run scripts/test.sh, which does it";
    python.expect(why).into()
}

/// A program that came with the clients of Python, with an environment of almost nothing.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(clients().join("python/bin").join(name));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8");
    command
}

/// The program of the script, with an environment of almost nothing. Modules of Node are looked for beside the script, so it is copied to
/// a folder in which they seem to be.
fn command(name: &str, folder: &Path) -> Command {
    let (clients, scripts) = (clients(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = if name.ends_with(".py") {
        let mut command = Command::new(clients.join("python/bin/python"));
        command.arg(scripts.join(name));
        command
    } else {
        let copy = |name: &str| std::fs::copy(scripts.join(name), folder.join(name)).expect("a copy");
        let _ = (copy("checks.mjs"), copy(name));
        std::os::unix::fs::symlink(clients.join("node/node_modules"), folder.join("node_modules")).expect("a link");
        let mut command = Command::new("node");
        command.arg(folder.join(name));
        command
    };
    command.env_clear().env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8");
    command
}
