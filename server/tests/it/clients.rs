//! The clients that people have already: OpenAI's SDKs, LangChain and curl, with nothing set but a base URL and a key.

mod capabilities;
mod console_samples;
mod curl;
mod departures;
mod described;
mod documented;
mod errors;
mod keep_alive;
mod repetitions;
mod retries;
mod schema;
mod timeouts;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::provider::{Act, Provider, openai};
use crate::support::reseller::Reseller;

/// The provider's name of every model.
const UPSTREAM: &str = "upstream-model";
const MODELS: [(&str, &str); 8] = [
    ("gpt-4", UPSTREAM),
    ("gpt-4o", UPSTREAM),
    ("text-davinci-003", UPSTREAM),
    ("dall-e-3", UPSTREAM),
    ("text-embedding-3-small", UPSTREAM),
    ("omni-moderation-latest", UPSTREAM),
    ("acme/large-1.5:free", UPSTREAM),
    ("silent", SILENT),
];
/// The provider's name of the model that never answers.
const SILENT: &str = "silent-model";

/// A server with a channel to a provider that answers as OpenAI does, and a customer who has 100.00.
async fn open(settings: &[(&str, &str)]) -> (Provider, Reseller) {
    let provider = Provider::start();
    provider.on(UPSTREAM, openai::answer);
    provider.acts(SILENT, vec![Act::Hang]);
    let reseller = Reseller::open(settings);
    reseller.add_channel("wholesale", &provider.url(), &MODELS, "100");
    reseller.wait_for_changes().await;
    (provider, reseller)
}

/// A chat of one message for a driver.
fn chat(model: &str) -> Value {
    json!({"call": "chat.completions.create", "body": {"model": model, "messages": [{"role": "user", "content": "你好 world"}]}})
}

/// An order for a driver, with options of its client.
fn with_client(mut order: Value, client: &Value) -> Value {
    order["client"] = client.clone();
    order
}

/// The lines of the access log with this reason, once there are so many.
async fn refused(reseller: &Reseller, reason: &str, number: usize) -> Vec<Value> {
    const SOON: Duration = Duration::from_secs(10);
    let lines = || -> Vec<Value> {
        let log = reseller.server.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == "request" && line["error"] == reason).collect()
    };
    reseller.server.within(SOON, reason, async || lines().len() >= number).await;
    lines()
}
