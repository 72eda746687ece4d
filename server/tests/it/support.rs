//! Starts the real program on free ports in a folder of its own, and talks to it.

pub(crate) mod books;
pub(crate) mod call;
pub(crate) mod cluster;
pub(crate) mod events;
pub(crate) mod load;
pub(crate) mod money;
pub(crate) mod openai_schema;
mod place;
pub(crate) mod provider;
pub(crate) mod raw;
pub(crate) mod reseller;
pub(crate) mod sdk;
pub(crate) mod storefront;
pub(crate) mod tenancy;
pub(crate) mod terminal;
pub(crate) mod visitor;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Pair;

pub(crate) use self::place::{Output, Place};

/// More than a start takes on the slowest machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// More than a stop takes when nothing hangs.
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// A key as it was issued.
#[derive(Debug, Clone)]
pub(crate) struct IssuedKey {
    /// Its id.
    pub(crate) id: String,
    /// The key itself.
    pub(crate) secret: String,
}

/// A reply over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body as it came.
    pub(crate) text: String,
    /// The body; null when it is not JSON.
    pub(crate) json: Value,
}

/// A running server in a place of its own. Dropping it kills it.
pub(crate) struct Server {
    /// Where it runs.
    pub(crate) place: Place,
    /// Its ready line.
    pub(crate) ready: Value,
    /// For requests of one's own.
    pub(crate) http: reqwest::Client,
    arguments: Vec<String>,
    child: Child,
}

impl Server {
    /// Starts `xiaoyi serve` in an empty folder, and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more variables.
    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Self {
        Self::start_in(Place::with(environment), &["serve"])
    }

    /// Starts a command that serves, in a place that may hold a database already.
    pub(crate) fn start_in(place: Place, arguments: &[&str]) -> Self {
        if place.pair() == Pair::Servers && !arguments.contains(&"demo") {
            // On a server nothing is made or changed by `serve` itself.
            place.command(&["migrate"]).ok();
        }
        Self::launch(place, arguments)
    }

    fn launch(place: Place, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        // No pool: a connection that waits for its next request would keep a stopping server from nothing, but a test from its point.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).tls_certs_only(Vec::new());
        let http = http.timeout(START_LIMIT).build().unwrap();
        let (child, ready) = spawn(&place, &arguments);
        Self { place, ready, http, arguments, child }
    }

    /// The same where the database may be away, so that nothing but the command itself can be run.
    pub(crate) fn start_in_unmigrated(place: Place, arguments: &[&str]) -> Self {
        Self::launch(place, arguments)
    }

    /// Starts again what has ended, in the same place; ports may be others.
    pub(crate) fn restart(&mut self) {
        assert!(self.child.try_wait().unwrap().is_some(), "it still runs");
        (self.child, self.ready) = spawn(&self.place, &self.arguments);
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub(crate) fn order_to_stop(&self) {
        self.signal("-TERM");
    }

    /// Lets it stand still: it takes connections, and answers nothing.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < STOP_LIMIT, "it did not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it as an operator does, and checks that it ended well.
    pub(crate) fn terminate(&mut self) {
        self.order_to_stop();
        let status = self.wait();
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    /// Everything that it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(log_path(&self.place)).unwrap()
    }

    /// Runs a command with `--json` beside it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        self.place.command(arguments)
    }

    /// An address on the developers' listener.
    pub(crate) fn url(&self, path: &str) -> String {
        self.address("api", path)
    }

    /// An address on one of the listeners: `api`, `admin`, `metrics`.
    pub(crate) fn address(&self, listener: &str, path: &str) -> String {
        format!("{}{path}", self.ready[listener].as_str().unwrap())
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let reply = request.send().await.unwrap_or_else(|error| panic!("{error:?}\n{}", self.log()));
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let text = reply.text().await.unwrap();
        Reply { status, headers, json: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    /// `GET` with a key.
    pub(crate) async fn get(&self, path: &str, key: &IssuedKey) -> Reply {
        self.send(self.http.get(self.url(path)).bearer_auth(&key.secret)).await
    }

    /// `POST` of JSON with a key in the header.
    pub(crate) async fn post(&self, path: &str, key: &IssuedKey, body: &Value) -> Reply {
        self.send(self.http.post(self.url(path)).bearer_auth(&key.secret).json(body)).await
    }

    /// A chat of one message with a key in the header.
    pub(crate) async fn chat(&self, key: &IssuedKey, model: &str, content: &str) -> Reply {
        let body = json!({"model": model, "messages": [{"role": "user", "content": content}]});
        self.post("/v1/chat/completions", key, &body).await
    }

    /// A tenant with 10.00 and a key.
    pub(crate) fn customer(&self, name: &str) -> IssuedKey {
        self.command(&["tenant", "create", name]).ok();
        self.command(&["topup", "--tenant", name, "--amount", "10.00", "--reference", "first"]).ok();
        self.issue(&["--tenant", name])
    }

    /// One more key.
    pub(crate) fn issue(&self, options: &[&str]) -> IssuedKey {
        let issued = self.command(&[&["key", "issue"], options].concat()).ok();
        IssuedKey {
            id: issued["id"].as_str().unwrap().to_owned(),
            secret: issued["secret"].as_str().unwrap().to_owned(),
        }
    }

    /// An echo channel for these models, once the server uses it.
    pub(crate) async fn echo(&self, models: &str) {
        self.echo_at("echo:", models).await;
    }

    /// An echo channel with delays, such as `echo://local?delay_ms=500`.
    pub(crate) async fn echo_at(&self, base_url: &str, models: &str) {
        let name = format!("echo-{}", models.replace(',', "-"));
        // Known names are listed without a channel, so the server shows by one more model that it uses this one.
        let models = format!("{models},{name}");
        self.command(&[
            "channel",
            "add",
            "--name",
            &name,
            "--type",
            "echo",
            "--base-url",
            base_url,
            "--models",
            &models,
        ])
        .ok();
        let key = self.customer(&format!("watcher of {name}"));
        self.within(START_LIMIT, "the new channel", async || {
            let models = self.get("/v1/models", &key).await.json;
            models["data"].as_array().unwrap().iter().any(|model| model["id"] == name.as_str())
        })
        .await;
    }

    /// Asks again and again, until it is so or the time is over.
    pub(crate) async fn within(&self, limit: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < limit, "{what}: not within {limit:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "what a failed test needs to be understood")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- log of the server ---\n{}",
                std::fs::read_to_string(log_path(&self.place)).unwrap_or_default()
            );
        }
    }
}

fn log_path(place: &Place) -> PathBuf {
    place.folder().join("server.log")
}

fn spawn(place: &Place, arguments: &[String]) -> (Child, Value) {
    let log = log_path(place);
    let stderr = File::options().create(true).append(true).open(&log).unwrap();
    let mut child =
        place.program(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    match lines.recv_timeout(START_LIMIT) {
        Ok(line) => {
            let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(ready["event"], "ready", "{line}");
            (child, ready)
        }
        Err(_) => {
            let _ = child.kill();
            let status = child.wait().unwrap();
            panic!("{arguments:?} did not get ready ({status}):\n{}", read(&log));
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
