//! A server that serves: an echo channel, a tenant with money, and keys of it that see all of its books.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::books::Books;
use super::money::nanos;
use super::{Place, Server};

/// The models of the echo channel.
const MODELS: &str = "gpt-3.5=echo,gpt-4=echo,text-davinci-003=echo,dall-e-3=echo,\
    text-embedding-3-small=echo,omni-moderation-latest=echo";
/// How long a test waits for something that must happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// The server, its tenant `acme`, and what its developers have.
pub(crate) struct Tenancy {
    pub(crate) server: Server,
    pub(crate) client: reqwest::Client,
    pub(crate) keys: Vec<String>,
}

impl Tenancy {
    /// Starts a server whose echo channel has this base URL, and tops up the tenant.
    pub(crate) async fn open(echo: &str, balance: &str, keys: usize) -> Self {
        Self::open_with(&[], echo, balance, keys).await
    }

    /// The same with settings.
    pub(crate) async fn open_with(settings: &[(&str, &str)], echo: &str, balance: &str, keys: usize) -> Self {
        Self::open_in(Place::with(settings), echo, balance, keys).await
    }

    /// The same in a place.
    pub(crate) async fn open_in(place: Place, echo: &str, balance: &str, keys: usize) -> Self {
        let server = Server::start_in(place, &["serve"]);
        let channel = ["channel", "add", "--name", "echo", "--type", "echo", "--base-url", echo, "--models", MODELS];
        server.command(&channel).ok();
        server.command(&["tenant", "create", "acme"]).ok();
        server.command(&["topup", "--tenant", "acme", "--amount", balance, "--reference", "first"]).ok();
        let keys = (0..keys).map(|_| server.issue(&["--tenant", "acme", "--console", "tenant"]).secret).collect();
        let tenancy = Self { server, client: client(), keys };
        tenancy.until_it_serves("dall-e-3").await;
        tenancy
    }

    /// Where the API is.
    pub(crate) fn base(&self) -> String {
        self.server.url("")
    }

    /// Runs a command that must succeed.
    pub(crate) fn command(&self, arguments: &[&str]) -> Value {
        self.server.command(arguments).ok()
    }

    /// What is held, as the command shows it, in 1e-9.
    pub(crate) fn held(&self) -> i64 {
        nanos(&self.command(&["balance", "--tenant", "acme"])["held"])
    }

    /// Waits until so much is held, in 1e-9.
    pub(crate) async fn until_held(&self, expected: i64) {
        let begun = Instant::now();
        loop {
            let held = nanos(&self.balance().await["held"]);
            if held == expected {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "{held} is held, not {expected}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The balance as a developer sees it.
    pub(crate) async fn balance(&self) -> Value {
        let url = self.server.url("/v1/balance");
        let response = self.client.get(url).header("x-api-key", &self.keys[0]).send().await.expect("a reply");
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }

    /// The books, once nothing is held any more and the audit has found them right.
    pub(crate) async fn clean_books(&self) -> Books {
        self.until_held(0).await;
        let audit = self.command(&["ledger", "audit"]);
        assert_eq!(audit["ok"], true, "{audit}");
        assert_eq!(audit["violations"], Value::Array(Vec::new()), "{audit}");
        let books = Books::read(&self.client, &self.base(), &self.keys[0]).await;
        let balance = self.command(&["balance", "--tenant", "acme"]);
        assert_eq!(balance["held"], "0.00", "{balance}");
        assert_eq!(nanos(&balance["posted"]), books.topped_up() - books.charged(), "{balance}");
        books
    }

    /// Sets the price of a model, and waits until the server has seen it.
    pub(crate) async fn set_price(&self, model: &str, prices: &[&str]) {
        self.command(&[&["price", "set", model], prices].concat());
        // What a channel serves shows in the API, a price does not; the server sees both in the order of their commands.
        let mark = format!("mark-{model}");
        let models = format!("{mark}=echo");
        self.command(&["channel", "add", "--name", &mark, "--type", "echo", "--models", &models]);
        self.until_it_serves(&mark).await;
    }

    /// Channels are seen within a second of their command.
    async fn until_it_serves(&self, model: &str) {
        let begun = Instant::now();
        loop {
            // The list names the default model of images only when a channel serves it.
            let url = self.server.url("/v1/models");
            let response = self.client.get(url).header("x-api-key", &self.keys[0]).send().await.expect("a reply");
            let listed: serde_json::Value = response.json().await.expect("a list");
            if listed["data"].as_array().expect("a list").iter().any(|each| each["id"] == model) {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "the channel of {model} is not seen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A client that keeps its connections.
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only(Vec::new()).build().expect("a client")
}
