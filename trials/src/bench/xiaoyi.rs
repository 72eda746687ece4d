//! One installation of the service: a customer with money and a key, a channel to the provider, and the processes that serve.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use testkit::{Process, free_port, mortal};

use super::books::Books;
use super::process::{START_LIMIT, start_announced, wait_until};
use super::wrk;

/// How long what wrk left behind may take to come to its end.
const REST_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(40);
/// More than all calls of a benchmark cost.
const PAID: &str = "100000000.00";

/// A running installation with its customer.
#[derive(Debug)]
pub(super) struct Installation {
    name: &'static str,
    /// Where calls go, `http://host:port`.
    pub(super) base: String,
    /// The customer's key.
    pub(super) key: String,
    /// What each call costs, in 1e-9 of the currency.
    price: i128,
    client: reqwest::Client,
    place: Place,
    processes: Vec<Process>,
}

/// Where commands run, and with which variables.
#[derive(Debug)]
struct Place {
    program: PathBuf,
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Installation {
    /// One process on SQLite.
    pub(super) async fn embedded(program: &Path, provider: &str, folder: &Path) -> anyhow::Result<Self> {
        let place = Place::new(program, folder, "embedded", Vec::new())?;
        Self::start("embedded", place, provider, &[("serve", &["serve"])]).await
    }

    /// One API process and one worker on PostgreSQL and Redis.
    pub(super) async fn separate(
        program: &Path,
        provider: &str,
        folder: &Path,
        database_url: String,
        redis_url: String,
    ) -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let environment = vec![
            ("DATABASE_URL", database_url),
            ("REDIS_URL", redis_url),
            ("XIAOYI_SECRET_KEY", STANDARD.encode(secret)),
        ];
        let place = Place::new(program, folder, "separate", environment)?;
        let roles: [(_, &[_]); 2] = [("worker", &["serve", "--role", "worker"]), ("api", &["serve", "--role", "api"])];
        Self::start("separate", place, provider, &roles).await
    }

    async fn start(
        name: &'static str,
        place: Place,
        provider: &str,
        roles: &[(&str, &[&str])],
    ) -> anyhow::Result<Self> {
        place.command(&["migrate"])?;
        let base_url = format!("{provider}/v1");
        place.command(&[
            "channel",
            "add",
            "--name",
            "bench",
            "--type",
            "openai",
            "--base-url",
            &base_url,
            "--models",
            "bench=bench",
        ])?;
        place.command(&["tenant", "create", "bench"])?;
        place.command(&["topup", "--tenant", "bench", "--amount", PAID, "--reference", "bench"])?;
        let issued = place.command(&["key", "issue", "--tenant", "bench", "--console", "tenant"])?;
        let key = issued["secret"].as_str().context("an issued key without its secret")?.to_owned();
        let mut processes = Vec::new();
        for (role, arguments) in roles {
            let command = place.program(mortal(&place.program), arguments);
            processes.push(start_announced(&format!("{name}-{role}"), command, &place.folder).await?.0);
        }
        let base = place.base().to_owned();
        // Without a pool, so that no connection of ours is open while others are measured.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(REST_LIMIT).build()?;
        let mut installation = Self { name, base, key, price: 0, client, place, processes };
        wait_until("a first answer", START_LIMIT, async || installation.call().await).await?;
        let before = installation.books_at_rest().await?;
        ensure!(installation.call().await?, "the second call was not answered");
        installation.price = installation.books_at_rest().await?.price_since(before)?;
        Ok(installation)
    }

    /// Process ids of all that serves.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::pid).collect()
    }

    /// One call; whether it was answered.
    async fn call(&self) -> anyhow::Result<bool> {
        let call = self.client.post(format!("{}/v1/chat/completions", self.base)).bearer_auth(&self.key);
        let reply = call.header("content-type", "application/json").body(wrk::BODY).send().await?;
        let (status, text) = (reply.status(), reply.text().await?);
        if status.is_client_error() {
            bail!("a call was refused: {status} {text}");
        }
        Ok(status.is_success())
    }

    /// The customer's books, once no call is under way.
    pub(super) async fn books_at_rest(&self) -> anyhow::Result<Books> {
        let mut books = None;
        wait_until("every call has come to its end", REST_LIMIT, async || {
            let now = Books::read(&self.client, &self.base, &self.key).await?;
            let is_at_rest = now.held == 0 && books == Some(now);
            books = Some(now);
            Ok(is_at_rest)
        })
        .await?;
        books.context("no books")
    }

    /// Checks that what wrk saw answered was charged, and gives how many more were.
    pub(super) async fn check_run(&self, before: Books, answered: u64, connections: u32) -> anyhow::Result<u64> {
        let after = self.books_at_rest().await?;
        after
            .check_run(before, answered, connections, self.price)
            .with_context(|| format!("the books of {}", self.name))
    }

    /// The service's own audit of its ledger.
    pub(super) fn audit(&self) -> anyhow::Result<()> {
        let report = self.place.command(&["ledger", "audit"])?;
        ensure!(report["ok"] == true, "the ledger of {} is not in order: {report}", self.name);
        Ok(())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.terminate(STOP_LIMIT);
        }
    }
}

impl Place {
    fn new(program: &Path, folder: &Path, name: &str, more: Vec<(&'static str, String)>) -> anyhow::Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let mut environment = vec![
            ("XIAOYI_API_LISTEN", format!("127.0.0.1:{}", free_port())),
            ("XIAOYI_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("XIAOYI_METRICS_LISTEN", "127.0.0.1:0".to_owned()),
            ("XIAOYI_DATA_DIR", folder.join("data").display().to_string()),
        ];
        environment.extend(more);
        Ok(Self { program: program.to_owned(), folder, environment })
    }

    /// Where the API is.
    fn base(&self) -> String {
        format!("http://{}", self.environment[0].1)
    }

    /// `command` with nothing in its environment but what belongs to this place.
    fn program(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).env_clear().current_dir(&self.folder);
        // For the program that starts the service.
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command that must succeed, and gives the JSON that it prints.
    fn command(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = self.program(Command::new(&self.program), arguments);
        let output = command.arg("--json").stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot run {}", self.program.display()))?;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // What it prints may hold a key, but only when it succeeds.
        ensure!(output.status.success(), "xiaoyi {}: {}: {stdout}{stderr}", arguments.join(" "), output.status);
        serde_json::from_str(&stdout).with_context(|| format!("xiaoyi {} printed no JSON", arguments.join(" ")))
    }
}
