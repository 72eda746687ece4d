//! A service that is open for business: a running server with the echo channel, and a tenant with a balance and a key.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::Server;
use super::money::nanos;

/// What the echo channel serves.
const MODELS: &str = "gpt-3.5=echo,gpt-4=echo,text-davinci-003=echo,dall-e-3=echo,\
    text-embedding-3-small=echo,omni-moderation-latest=echo";
/// The default price of a token of the prompt, in billionths: 10.00 per million.
pub(crate) const PROMPT_PRICE: i64 = 10_000;
/// The default price of a token of the answer, in billionths: 30.00 per million.
pub(crate) const COMPLETION_PRICE: i64 = 30_000;

/// The longest wait for anything, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest wait for a reply.
const REPLY_PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// A running server, and whoever calls it.
pub(crate) struct Storefront {
    pub(crate) server: Server,
    pub(crate) http: Client,
    /// A key that may do everything and sees all of its tenant's records.
    pub(crate) key: Key,
}

/// A Secret Key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A reply that has arrived.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Reply {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the reply arrives whole");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, text, json }
    }

    pub(crate) fn request_id(&self) -> String {
        self.header("x-request-id").expect("every reply has a request id")
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of ASCII").to_owned())
    }

    /// The object of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert!(self.text.starts_with(r#"{"code":0,"msg":"""#), "the two fields come first: {}", self.text);
        &self.json
    }

    /// The message of a refusal, once it is the one that was expected, in both forms.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: i64, name: &str) -> &str {
        let told = (self.status, self.json["code"].as_i64(), self.json["error"]["code"].as_str());
        assert_eq!(told, (status, Some(code), Some(name)), "{}", self.text);
        assert!(
            self.header("content-type").is_some_and(|kind| kind.starts_with("application/json")),
            "{:?}",
            self.headers
        );
        let message = self.json["msg"].as_str().expect("a message");
        assert_eq!(self.json["error"]["message"].as_str(), Some(message));
        message
    }

    /// Tokens of prompt and completion.
    #[track_caller]
    pub(crate) fn usage(&self) -> (i64, i64) {
        let usage = &self.ok()["usage"];
        let count = |name: &str| usage[name].as_i64().unwrap_or_else(|| panic!("no {name}: {}", self.text));
        let (prompt, completion) = (count("prompt_tokens"), count("completion_tokens"));
        assert_eq!(count("total_tokens"), prompt + completion, "{usage}");
        (prompt, completion)
    }
}

impl Storefront {
    /// Opens one whose tenant `acme` has this balance.
    pub(crate) async fn open(balance: &str) -> Self {
        Self::open_with(balance, &[], "echo:").await
    }

    /// The same with settings (variables and their values), and with delays in the echo channel's base URL.
    pub(crate) async fn open_with(balance: &str, settings: &[(&str, &str)], echo: &str) -> Self {
        let server = Server::start_with(settings);
        // No certificates: it calls this very machine.
        let http =
            Client::builder().no_proxy().tls_certs_only(Vec::new()).timeout(REPLY_PATIENCE).build().expect("a client");
        run(&server, &["tenant", "create", "acme"]);
        run(&server, &["topup", "--tenant", "acme", "--amount", balance, "--reference", "first"]);
        let key = issue(&server, &["--console", "tenant"]);
        run(&server, &["channel", "add", "--name", "echo", "--type", "echo", "--base-url", echo, "--models", MODELS]);
        let storefront = Self { server, http, key };
        storefront.until("the models are served", async || storefront.serves("dall-e-3").await).await;
        storefront
    }

    async fn serves(&self, model: &str) -> bool {
        let models = self.get("/v1/models").await;
        models.ok()["data"].as_array().expect("a list").iter().any(|each| each["id"] == model)
    }

    /// Runs a command beside the server and gives what it printed.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Value {
        run(&self.server, arguments)
    }

    /// One more key of the tenant.
    #[track_caller]
    pub(crate) fn issue(&self, options: &[&str]) -> Key {
        issue(&self.server, options)
    }

    /// Waits for a condition.
    pub(crate) async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let start = Instant::now();
        while !condition().await {
            assert!(start.elapsed() < PATIENCE, "after {PATIENCE:?} still not: {what}");
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// GET with the key in a header.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_as(&self.key, path).await
    }

    /// GET with another key.
    pub(crate) async fn get_as(&self, key: &Key, path: &str) -> Reply {
        let request = self.http.get(self.server.url(path)).bearer_auth(&key.secret);
        Reply::of(request.send().await.expect("the server answers")).await
    }

    /// POST with the key in a header: OpenAI's rules.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.post_as(&self.key, path, body).await
    }

    /// POST with another key.
    pub(crate) async fn post_as(&self, key: &Key, path: &str, body: Value) -> Reply {
        Reply::of(self.request(key, path, &body).send().await.expect("the server answers")).await
    }

    /// A POST that is not sent yet.
    pub(crate) fn request(&self, key: &Key, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.server.url(path)).bearer_auth(&key.secret).json(body)
    }

    /// POST with the key in the body: the original rules.
    pub(crate) async fn post_original(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.original_request(path, body).send().await.expect("the server answers")).await
    }

    /// The same, not sent yet.
    pub(crate) fn original_request(&self, path: &str, mut body: Value) -> RequestBuilder {
        body["api_secret_key"] = self.key.secret.clone().into();
        self.http.post(self.server.url(path)).json(&body)
    }

    /// A chat of one message.
    pub(crate) async fn chat(&self, model: &str, text: &str) -> Reply {
        self.post("/v1/chat/completions", chat(model, text)).await
    }

    /// Posted and held, in billionths.
    pub(crate) async fn balance(&self) -> (i64, i64) {
        let reply = self.get("/v1/balance").await;
        let balance = reply.ok();
        let (posted, held) = (nanos(&balance["posted"]), nanos(&balance["held"]));
        assert_eq!(nanos(&balance["available"]), posted - held, "{balance}");
        assert_eq!(balance["currency"], "CNY");
        (posted, held)
    }

    /// Waits until nothing is held, and gives what is posted.
    pub(crate) async fn settled(&self) -> i64 {
        self.until("nothing is held", async || self.balance().await.1 == 0).await;
        self.balance().await.0
    }

    /// The whole ledger of the tenant, newest first.
    pub(crate) async fn ledger(&self) -> Vec<Value> {
        self.ledger_as(&self.key).await
    }

    /// The ledger as another key sees it.
    pub(crate) async fn ledger_as(&self, key: &Key) -> Vec<Value> {
        let reply = self.get_as(key, "/v1/ledger?limit=1000").await;
        assert_eq!(reply.ok()["has_more"], false);
        reply.json["data"].as_array().expect("a list").clone()
    }

    /// The entry of the call with this request id; there is exactly one.
    pub(crate) async fn entry_of(&self, request_id: &str) -> Value {
        let mut entries = self.ledger().await;
        entries.retain(|entry| entry["request_id"] == request_id);
        assert_eq!(entries.len(), 1, "entries of {request_id}: {entries:?}");
        entries.swap_remove(0)
    }

    /// Proves at the end of a test that no money is held or lost.
    pub(crate) async fn close(self) {
        self.settled().await;
        let audit = self.run(&["ledger", "audit"]);
        assert_eq!(audit["ok"], true, "{audit}");
        assert_eq!(self.run(&["balance", "--tenant", "acme"])["held"], "0.00");
    }
}

/// A chat of one message, as OpenAI's clients send it.
pub(crate) fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

#[track_caller]
fn run(server: &Server, arguments: &[&str]) -> Value {
    let output = server.command(arguments);
    assert_eq!(output.status, 0, "{arguments:?}: {} {}", output.json, output.stderr);
    output.json
}

#[track_caller]
fn issue(server: &Server, options: &[&str]) -> Key {
    let arguments: Vec<&str> = ["key", "issue", "--tenant", "acme"].iter().chain(options).copied().collect();
    let issued = run(server, &arguments);
    let field = |name: &str| issued[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
    Key { id: field("id"), secret: field("secret") }
}
