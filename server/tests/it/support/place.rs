//! A folder of its own, with an environment of its own, in which the real program runs.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testkit::Pair;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xiaoyi");

/// 32 bytes; nothing that they seal outlives a test.
const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Output {
    /// The exit status.
    pub(crate) status: i32,
    /// The one JSON value on the standard output; null when there was none.
    pub(crate) json: Value,
    /// Everything on the standard output.
    pub(crate) stdout: String,
    /// Everything on the standard error output.
    pub(crate) stderr: String,
}

impl Output {
    /// The JSON of a command that must have succeeded.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.json
    }

    /// The code and message of a command that must have failed with `status`.
    pub(crate) fn failed(self, status: i32) -> (String, String) {
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        let error = &self.json["error"];
        assert!(error.is_object(), "no error on stdout: {}\nstderr: {}", self.stdout, self.stderr);
        (error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    }
}

/// A folder with its environment, in which commands run.
pub(crate) struct Place {
    folder: TempDir,
    environment: Vec<(String, String)>,
    pair: Pair,
}

impl Place {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// An empty folder, with more variables, on the pair of backends that this run is for.
    pub(crate) fn with(environment: &[(&str, &str)]) -> Self {
        Self::on(Pair::of_this_run(), environment)
    }

    /// The same on SQLite and the queue in process, for what only concerns files.
    pub(crate) fn embedded(environment: &[(&str, &str)]) -> Self {
        Self::on(Pair::Embedded, environment)
    }

    /// Whatever the run is for, with this database and this Redis.
    pub(crate) fn with_servers(database: &str, redis: &str, environment: &[(&str, &str)]) -> Self {
        let servers = [
            ("DATABASE_URL", database),
            ("REDIS_URL", redis),
            ("XIAOYI_REDIS_PREFIX", "own"),
            ("XIAOYI_SECRET_KEY", SECRET),
        ];
        let mut place = Self::on(Pair::Embedded, &[&servers[..], environment].concat());
        place.pair = Pair::Servers;
        place
    }

    fn on(pair: Pair, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let usual = [
            ("XIAOYI_API_LISTEN", "127.0.0.1:0"),
            ("XIAOYI_ADMIN_LISTEN", "127.0.0.1:0"),
            ("XIAOYI_METRICS_LISTEN", "127.0.0.1:0"),
            ("XIAOYI_LOG_FORMAT", "json"),
        ];
        let mut place = Self { folder, environment: Vec::new(), pair };
        if pair == Pair::Servers {
            for (name, value) in pair.settings(place.folder.path()) {
                place.set(&name, &value);
            }
        }
        for (name, value) in usual.iter().chain(environment) {
            place.set(name, value);
        }
        place
    }

    /// Sets a variable for what is started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The pair of backends.
    pub(crate) fn pair(&self) -> Pair {
        self.pair
    }

    /// An empty folder with the same environment and some more: another machine of the same service.
    pub(crate) fn twin(&self, environment: &[(&str, &str)]) -> Self {
        let mut twin =
            Self { folder: tempfile::tempdir().unwrap(), environment: self.environment.clone(), pair: self.pair };
        for (name, value) in environment {
            twin.set(name, value);
        }
        twin
    }

    /// The folder in which everything runs.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the database.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the database is.
    pub(crate) fn database_url(&self) -> String {
        let given = self.environment.iter().find(|(name, _)| name == "DATABASE_URL").map(|(_, url)| url.clone());
        given.unwrap_or_else(|| format!("sqlite://{}", self.data().join("xiaoyi.db").display()))
    }

    /// Runs a command with `--json`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, &[], "")
    }

    /// Runs a command with `--json`, more variables, and text on its standard input.
    pub(crate) fn command_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let mut command = self.program(arguments);
        command.arg("--json").envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let json = if stdout.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&stdout)
                .unwrap_or_else(|error| panic!("{arguments:?} printed no JSON ({error}): {stdout}"))
        };
        let status = output.status.code().unwrap_or(-1);
        Output { status, json, stdout, stderr: String::from_utf8(output.stderr).unwrap() }
    }

    /// Runs a command as a person does, and gives its status and all that it printed.
    pub(crate) fn spoken(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.program(arguments).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// The program with nothing in its environment but what this place sets.
    pub(crate) fn program<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
