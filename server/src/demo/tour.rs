//! One call over HTTP, as a developer makes it, and what it did to the balance.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::sample::SampleKey;
use crate::failure::Failure;
use crate::serve::Service;

/// More than the call takes, so that a demo that hangs says so.
const LIMIT: Duration = Duration::from_secs(30);
const QUESTION: &str = "请介绍一下你自己: who are you?";

/// What was seen on the way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Tour {
    call: String,
    answer: String,
    usage: Value,
    charge: Value,
    balance_before: Value,
    balance_after: Value,
}

/// Makes the call.
pub(super) async fn walk(service: &Service, key: &SampleKey) -> Result<Tour, Failure> {
    let client = Client::new(&service.links.local_api, key.plain.expose())?;
    let before = client.get("/v1/balance").await?;
    let body = json!({"api_secret_key": key.plain.expose(), "messages": [{"role": "user", "content": QUESTION}]});
    let path = "/index.php/api/v1/chat/completions";
    let reply = client.post(path, &body).await?;
    let ledger = client.get("/v1/ledger?limit=1").await?;
    let after = client.get("/v1/balance").await?;
    let entry = &ledger["data"][0];
    let call = format!("curl -H 'Content-Type: application/json' -X POST {}{path} -d '{body}'", service.links.api);
    Ok(Tour {
        call,
        answer: words(&reply["choices"][0]["message"]["content"]),
        usage: reply["usage"].clone(),
        charge: json!({
            "request_id": entry["request_id"],
            "amount": words(&entry["amount"]).trim_start_matches('-'),
            "arithmetic": entry["charge"]["arithmetic"],
        }),
        balance_before: balance(&before),
        balance_after: balance(&after),
    })
}

impl Tour {
    /// The tour for people.
    pub(super) fn text(&self, service: &Service) -> String {
        let settings = &service.deployment.settings;
        let folder = service.deployment.settings.data.dir.display().to_string();
        let count = |name: &str| words(&self.usage[name]);
        let arithmetic = words(&self.charge["arithmetic"])
            .replace("; completion:", "\n  completion:")
            .replace("; together", "\n  together");
        format!(
            "小一 demo: one call and its charge. The built-in echo channel answers with what it was asked; the data is in {folder}.\n\n\
             The call\n  {call}\n\n\
             The answer\n  {answer}\n\n\
             The usage\n  {prompt} prompt tokens + {completion} completion tokens = {total}\n\n\
             The charge: {amount} {currency}\n  {arithmetic}\n\n\
             The balance: {before} {currency} before, {after} {currency} after",
            call = self.call,
            answer = self.answer.replace('\n', "\n  "),
            prompt = count("prompt_tokens"),
            completion = count("completion_tokens"),
            total = count("total_tokens"),
            amount = words(&self.charge["amount"]),
            currency = settings.currency,
            before = words(&self.balance_before["posted"]),
            after = words(&self.balance_after["posted"]),
        )
    }
}

/// The amounts of a balance, without the envelope.
fn balance(reply: &Value) -> Value {
    json!({"currency": reply["currency"], "posted": reply["posted"], "held": reply["held"], "available": reply["available"]})
}

/// Text as it is, anything else as JSON writes it.
fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

struct Client<'a> {
    http: reqwest::Client,
    base_url: &'a str,
    key: &'a str,
}

impl<'a> Client<'a> {
    fn new(base_url: &'a str, key: &'a str) -> Result<Self, Failure> {
        // No proxy and no certificates: it calls this very process.
        let builder = reqwest::Client::builder().no_proxy().timeout(LIMIT).tls_certs_only(Vec::new());
        Ok(Self { http: builder.build().map_err(Failure::internal)?, base_url, key })
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(path, self.http.get(format!("{}{path}", self.base_url)).bearer_auth(self.key)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(path, self.http.post(format!("{}{path}", self.base_url)).json(body)).await
    }

    async fn send(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let failed = |why: String| Failure::new("demo_failed", format!("the demo's own call of {path} failed: {why}"));
        let reply = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = reply.status();
        let body: Value = reply.json().await.map_err(|error| failed(error.to_string()))?;
        if status.is_success() { Ok(body) } else { Err(failed(format!("{status}: {}", words(&body["msg"])))) }
    }
}
