//! A running server with one customer, who has a key and money, and with channels to providers that a test has in its hands.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use shared::money::Amount;

use super::Server;

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// The customer.
pub(crate) const TENANT: &str = "acme";
/// The key that channels send to their provider. It does not look like one, so only who knows it can hide it.
pub(crate) const PROVIDER_KEY: &str = "the+providers+own+password+7f3a";
/// The variable that `channel add` reads it from.
pub(crate) const PROVIDER_KEY_VARIABLE: &str = "PROVIDER_PASSWORD";

/// Where a client puts its key, and so which rules it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// In a header: OpenAI's rules.
    OpenAi,
    /// In the body: the original service's rules.
    Original,
}

/// Both kinds.
pub(crate) const CLIENTS: [Client; 2] = [Client::OpenAi, Client::Original];

/// A whole reply.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn request_id(&self) -> &str {
        self.header("x-request-id").expect("every reply carries x-request-id")
    }

    /// The data of a stream's events, in their order, without `[DONE]`, which must be the last.
    pub(crate) fn events(&self) -> Vec<&str> {
        let lines = self.body.lines().filter(|line| !line.is_empty() && !line.starts_with(':'));
        let mut events: Vec<_> =
            lines.map(|line| line.strip_prefix("data: ").unwrap_or_else(|| panic!("no event: {self:?}"))).collect();
        assert_eq!(events.pop(), Some("[DONE]"), "{self:?}");
        events
    }

    /// The chunks of a stream.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        self.events()
            .iter()
            .map(|event| serde_json::from_str(event).unwrap_or_else(|error| panic!("{error}: {event}")))
            .collect()
    }

    /// All text of an answer, whole or streamed.
    pub(crate) fn text(&self) -> String {
        if self.body.starts_with('{') {
            return self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        }
        self.chunks().iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
    }

    /// Status, headers and body as one text, for searches.
    pub(crate) fn everything(&self) -> String {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        format!("{}\n{}\n\n{}", self.status, headers.join("\n"), self.body)
    }
}

/// The server, its customer and the customer's client.
pub(crate) struct Reseller {
    pub(crate) server: Server,
    pub(crate) key: String,
    pub(crate) client: reqwest::Client,
    topped_up: i64,
    marks: AtomicUsize,
}

impl Reseller {
    /// Starts it with these settings; the customer has 100.00.
    pub(crate) fn open(settings: &[(&str, &str)]) -> Self {
        Self::open_with_balance(settings, "100.00")
    }

    /// Starts it; the customer has this much.
    pub(crate) fn open_with_balance(settings: &[(&str, &str)], amount: &str) -> Self {
        let environment = [&[(PROVIDER_KEY_VARIABLE, PROVIDER_KEY)], settings].concat();
        let server = Server::start_with(&environment);
        good(&server, &["tenant", "create", TENANT]);
        let issued = good(&server, &["key", "issue", "--tenant", TENANT, "--console", "tenant"]);
        good(&server, &["topup", "--tenant", TENANT, "--amount", amount, "--reference", "first"]);
        let key = issued["secret"].as_str().unwrap().to_owned();
        Self { server, key, client: client(), topped_up: nanos(&json!(amount)), marks: AtomicUsize::new(0) }
    }

    /// Runs a command that must succeed, and gives its JSON.
    pub(crate) fn command(&self, arguments: &[&str]) -> Value {
        good(&self.server, arguments)
    }

    /// Adds a channel with the provider's key. The server sees it a little later: see [`Self::wait_for_changes`].
    pub(crate) fn add_channel(&self, name: &str, base_url: &str, models: &[(&str, &str)], priority: &str) {
        let pairs: Vec<String> = models.iter().map(|(public, upstream)| format!("{public}={upstream}")).collect();
        let pairs = pairs.join(",");
        let what = ["channel", "add", "--name", name, "--type", "openai", "--base-url", base_url, "--models", &pairs];
        self.command(&[&what[..], &["--api-key-env", PROVIDER_KEY_VARIABLE, "--priority", priority]].concat());
    }

    /// Waits until the server has seen all changes by commands so far: a later one shows that it has.
    pub(crate) async fn wait_for_changes(&self) {
        let mark = format!("seen-{}", self.marks.fetch_add(1, Ordering::Relaxed));
        self.command(&["channel", "add", "--name", &mark, "--type", "echo", "--models", &mark]);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let models = self.get("/v1/models").await.json();
            if models["data"].as_array().unwrap().iter().any(|model| model["id"] == mark.as_str()) {
                return;
            }
            assert!(Instant::now() < deadline, "the server did not see a new channel within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks for something with the key in a header.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        read(self.client.get(self.server.url(path)).bearer_auth(&self.key)).await
    }

    /// A chat with [`PROMPT`].
    pub(crate) async fn chat(&self, client: Client, model: &str, stream: bool) -> Reply {
        self.call(client, "/v1/chat/completions", chat_body(model, stream)).await
    }

    /// Any call.
    pub(crate) async fn call(&self, client: Client, path: &str, body: Value) -> Reply {
        read(self.request(client, path, body)).await
    }

    /// A call that is not made yet.
    pub(crate) fn request(&self, client: Client, path: &str, mut body: Value) -> RequestBuilder {
        let request = self.client.post(self.server.url(path));
        match client {
            Client::OpenAi => request.bearer_auth(&self.key).json(&body),
            Client::Original => {
                body["api_secret_key"] = json!(self.key);
                request.json(&body)
            }
        }
    }

    /// What `GET /v1/balance` tells: posted and held, in 1e-9.
    pub(crate) async fn balance(&self) -> (i64, i64) {
        let balance = self.get("/v1/balance").await.json();
        (nanos(&balance["posted"]), nanos(&balance["held"]))
    }

    /// Waits until no call holds money any more.
    pub(crate) async fn wait_for_release(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.balance().await.1 != 0 {
            assert!(Instant::now() < deadline, "money was held for longer than {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The newest entry of the ledger for a request.
    pub(crate) async fn entry(&self, request_id: &str) -> Option<Value> {
        let page = self.get("/v1/ledger?limit=1000").await.json();
        page["data"].as_array().unwrap().iter().find(|entry| entry["request_id"] == request_id).cloned()
    }

    /// What a request was charged, in 1e-9; `None` when nothing.
    pub(crate) async fn charged(&self, request_id: &str) -> Option<i64> {
        self.entry(request_id).await.map(|entry| -nanos(&entry["amount"]))
    }

    /// The end of each test of money: nothing is held, what was paid in less `charges` is left, and the audit finds nothing.
    pub(crate) async fn assert_books(&self, charges: i64) {
        self.wait_for_release().await;
        assert_eq!(self.balance().await, (self.topped_up - charges, 0));
        let shown = self.command(&["balance", "--tenant", TENANT]);
        assert_eq!(shown["held"], "0.00");
        let audit = self.command(&["ledger", "audit"]);
        assert_eq!((&audit["ok"], &audit["violations"]), (&json!(true), &json!([])));
    }
}

/// A chat of one message with this model.
pub(crate) fn chat_body(model: &str, stream: bool) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 1000, "stream": stream})
}

/// What [`chat_body`] asks.
pub(crate) const PROMPT: &str = "说 pong, please";
/// Its tokens: one hanzi and two words.
pub(crate) const PROMPT_TOKENS: i64 = 3;

/// Reads a reply to its end.
pub(crate) async fn read(request: RequestBuilder) -> Reply {
    let reading = async {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, body: response.text().await.unwrap() }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a reply within a minute")
}

/// A client that uses no proxy of the machine.
pub(crate) fn client() -> reqwest::Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only(Vec::new()).build().unwrap()
}

/// The tokens of a text of ASCII and plain hanzi, by the contract's rule and not by the program's code.
pub(crate) fn tokens(text: &str) -> i64 {
    let is_hanzi = |character: char| ('\u{4e00}'..='\u{9fff}').contains(&character);
    let separates = |character: char| {
        is_hanzi(character)
            || character.is_whitespace()
            || character.is_ascii_punctuation()
            || "，。！？".contains(character)
    };
    let hanzi = text.chars().filter(|character| is_hanzi(*character)).count();
    let words = text.split(separates).filter(|word| !word.is_empty()).count();
    i64::try_from(hanzi + words * 13 / 10).unwrap()
}

/// What tokens cost at a price per million, rounded up, all in 1e-9.
pub(crate) fn cost(tokens: i64, per_million: i64) -> i64 {
    let exact = i128::from(tokens) * i128::from(per_million);
    i64::try_from((exact + 999_999) / 1_000_000).unwrap()
}

/// An amount of a reply, in 1e-9.
pub(crate) fn nanos(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap_or_else(|| panic!("an amount is a text, not {amount}"));
    text.parse::<Amount>().unwrap().nanos()
}

/// An amount in 1e-9 as a reply shows it.
pub(crate) fn shown(nanos: i64) -> String {
    Amount::from_nanos(nanos).to_string()
}

fn good(server: &Server, arguments: &[&str]) -> Value {
    server.command(arguments).ok()
}
