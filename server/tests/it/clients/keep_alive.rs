//! Streams that are silent for long: the comments that keep them alive disturb no client, neither while a call waits in the queue nor in
//! the middle of its text.

use std::time::Duration;

use serde_json::{Value, json};

use super::{UPSTREAM, open};
use crate::support::events::{self, Event, Events};
use crate::support::provider::openai::SAYING;
use crate::support::provider::{Act, Gate, done, finish, stream_end, stream_head, text};
use crate::support::reseller::{Client, Reseller, chat_body};
use crate::support::sdk::{Language, Script};

/// Each in a process of its own, so that all wait at the same time.
const CLIENTS: [(Language, &str); 3] = [
    (Language::Python, "chat.completions.create"),
    (Language::Node, "chat.completions.create"),
    (Language::Python, "langchain.stream"),
];

fn start(reseller: &Reseller, model: &str) -> Vec<Script> {
    let clients = CLIENTS.map(|(language, call)| {
        let mut driver = Script::driver(language, &reseller.server.url(""), &reseller.key);
        let messages = json!([{"role": "user", "content": "你好 world"}]);
        driver.order(&order(call, model, &messages));
        driver
    });
    clients.into()
}

fn order(call: &str, model: &str, messages: &Value) -> Value {
    let mut order = json!({"call": call, "body": {"model": model, "messages": messages}});
    // LangChain says by its method that it streams.
    if call != "langchain.stream" {
        order["body"]["stream"] = json!(true);
    }
    order
}

/// There are as many hands as streams that pause, so all others wait in the queue.
#[tokio::test(flavor = "multi_thread")]
async fn long_silence() {
    let (provider, reseller) = open(&[("XIAOYI_WORKER_CONCURRENCY", "3")]).await;
    let gate = Gate::closed();
    let pausing =
        [stream_head(), text("one two "), Act::Wait(gate.clone()), text("three"), finish(), done(), stream_end()];
    provider.acts("pausing", pausing.into());
    reseller.add_channel("pausing", &provider.url(), &[("pausing", "pausing")], "100");
    reseller.wait_for_changes().await;

    let mut pausing = start(&reseller, "pausing");
    for driver in &mut pausing {
        driver.event("begun").await;
    }
    let hold = reseller.balance().await.1 / 3;
    let mut waiting = start(&reseller, "gpt-4");
    let all_wait = async || reseller.balance().await.1 == 6 * hold;
    reseller.server.within(Duration::from_secs(60), "all calls have arrived", all_wait).await;
    // One more, which begins to wait only now: what it is told, all others have been told before it.
    let mut last = Events::of(reseller.request(Client::OpenAi, "/v1/chat/completions", chat_body("gpt-4", true))).await;
    assert_eq!(last.next().await, Some(Event::Comment(": ping".to_owned())));
    assert_eq!(provider.received(UPSTREAM).len(), 0);
    // Nobody works on theirs, so it was a comment that brought them the head of the reply. LangChain does not tell when that comes.
    for driver in &mut waiting[..2] {
        driver.event("begun").await;
    }
    gate.open();
    for driver in &mut pausing {
        assert_eq!(driver.result().await["result"], "one two three");
    }
    for driver in &mut waiting {
        assert_eq!(driver.result().await["result"], SAYING);
    }
    let texts = last.chunks().await;
    assert_eq!(events::text(&texts, 0), SAYING);
    // 你好 world is 3, and its answers are 3 and 7; 说 pong, please is 3 also.
    reseller.assert_books(3 * (3 * 10_000 + 3 * 30_000) + 4 * (3 * 10_000 + 7 * 30_000)).await;
}
