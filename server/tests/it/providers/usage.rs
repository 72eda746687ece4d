//! A price that bills the provider's own count, and answers that cost more than there is.

use serde_json::{Value, json};

use super::{COMPLETION_PRICE, MODEL, PROMPT_PRICE, UPSTREAM, open};
use crate::support::provider::{Act, Received, chat, done, event, finish, reply, stream_end, stream_head, text};
use crate::support::reseller::{CLIENTS, PROMPT_TOKENS, Reply, Reseller, chat_body, cost, nanos, tokens};

const TEXT: &str = "one two three";
const DEAR_PROMPT: i64 = 7_000_000_001;
const DEAR_COMPLETION: i64 = 11_000_000_003;

/// Answers with [`TEXT`] and this usage.
fn answer_with(call: &Received, usage: &Value) -> Vec<Act> {
    if call.json()["stream"] != true {
        return vec![reply("200 OK", &chat(TEXT, &json!({"usage": usage})))];
    }
    let usage = event(&json!({"choices": [], "usage": usage}).to_string());
    vec![stream_head(), text(TEXT), finish(), usage, done(), stream_end()]
}

async fn set_price(reseller: &Reseller) {
    reseller.command(&[
        "price",
        "set",
        MODEL,
        "--prompt",
        "7.000000001",
        "--completion",
        "11.000000003",
        "--basis",
        "upstream",
    ]);
    reseller.wait_for_changes().await;
}

/// The usage that a reply tells, whole or streamed.
fn told(reply: &Reply) -> Value {
    if reply.body.starts_with('{') {
        reply.json()["usage"].clone()
    } else {
        reply.chunks().pop().unwrap()["usage"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_may_bill_the_providers_count() {
    let (provider, reseller) = open(&[], "100.00").await;
    set_price(&reseller).await;
    let estimate = (PROMPT_TOKENS, tokens(TEXT));
    let mut charges = 0;
    // What the provider says, and what of it is billed; what is none of a provider's business to claim falls back to the estimate.
    for (usage, billed, is_recorded) in [
        (json!({"prompt_tokens": 7, "completion_tokens": 11, "total_tokens": 18}), Some((7, 11)), true),
        (json!({"prompt_tokens": 2000, "completion_tokens": 2000}), Some((2000, 2000)), true),
        (Value::Null, None, false),
        (json!({}), None, false),
        (json!({"prompt_tokens": 7}), None, false),
        (json!({"prompt_tokens": 7, "completion_tokens": -1}), None, false),
        (json!({"prompt_tokens": 7, "completion_tokens": 1.5}), None, false),
        (json!({"prompt_tokens": 7, "completion_tokens": "11"}), None, false),
        (json!({"prompt_tokens": 7, "completion_tokens": 1_000_000_000_000_i64}), None, false),
        (json!({"prompt_tokens": 0, "completion_tokens": 11}), None, true),
        (json!({"prompt_tokens": 7, "completion_tokens": 0}), None, true),
        (json!({"prompt_tokens": 7, "completion_tokens": 5000}), Some((7, 5000)), true),
        (json!({"prompt_tokens": 7, "completion_tokens": 1_000_001}), None, true),
        (json!({"prompt_tokens": 1_000_000, "completion_tokens": 11}), None, true),
    ] {
        let (basis, (prompt, completion)) = match billed {
            Some(counts) => ("upstream", counts),
            None => ("estimate", estimate),
        };
        let behaviour = usage.clone();
        provider.on(UPSTREAM, move |call| answer_with(call, &behaviour));
        for stream in [false, true] {
            let mut body = chat_body(MODEL, stream);
            if stream {
                body["stream_options"] = json!({"include_usage": true});
            }
            let reply = reseller.call(CLIENTS[0], "/v1/chat/completions", body).await;
            let total = prompt + completion;
            let expected = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total});
            assert_eq!(told(&reply), expected, "{usage}, {stream}: {reply:?}");
            let entry = reseller.entry(reply.request_id()).await.unwrap();
            let charge = &entry["charge"];
            assert_eq!(charge["basis"], basis, "{usage}, {stream}: {entry}");
            let recorded = |side: &str, name: &str| (charge[side]["upstream_tokens"].clone(), usage[name].clone());
            let (of_prompt, said_of_prompt) = recorded("prompt", "prompt_tokens");
            let (of_completion, said_of_completion) = recorded("completion", "completion_tokens");
            let expected = if is_recorded { (said_of_prompt, said_of_completion) } else { (Value::Null, Value::Null) };
            assert_eq!((of_prompt, of_completion), expected, "{usage}, {stream}: {entry}");
            assert_eq!(
                (&charge["prompt"]["tokens"], &charge["completion"]["tokens"]),
                (&json!(estimate.0), &json!(estimate.1))
            );
            let cost = cost(prompt, DEAR_PROMPT) + cost(completion, DEAR_COMPLETION);
            assert_eq!(-nanos(&entry["amount"]), cost, "{usage}, {stream}: {entry}");
            charges += cost;
        }
    }
    reseller.assert_books(charges).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_billed_by_the_estimate() {
    let (provider, reseller) = open(&[], "100.00").await;
    set_price(&reseller).await;
    let usage = event(&json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 11}}).to_string());
    provider.acts(UPSTREAM, vec![stream_head(), text(TEXT), usage, Act::Cut]);
    let reply = reseller.chat(CLIENTS[0], MODEL, true).await;
    assert_eq!(reply.text(), TEXT);
    let entry = reseller.entry(reply.request_id()).await.unwrap();
    assert_eq!((&entry["charge"]["basis"], &entry["charge"]["finished_early"]), (&json!("estimate"), &json!(true)));
    let cost = cost(PROMPT_TOKENS, DEAR_PROMPT) + cost(tokens(TEXT), DEAR_COMPLETION);
    assert_eq!(-nanos(&entry["amount"]), cost);
    reseller.assert_books(cost).await;
}

/// A provider that answers far more than `max_tokens`: the balance goes down to nothing and no further, and what is missing is seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_beyond_the_balance_is_written_off() {
    const BALANCE: i64 = 1_000_000;
    let (provider, reseller) = open(&[], "0.001").await;
    let long = "word ".repeat(100_000);
    let answer = chat(&long, &Value::Null);
    provider.acts(UPSTREAM, vec![reply("200 OK", &answer)]);
    let mut body = chat_body(MODEL, false);
    body["max_tokens"] = json!(1);
    let reply = reseller.call(CLIENTS[0], "/v1/chat/completions", body.clone()).await;
    assert_eq!((reply.status, reply.text().len()), (200, long.len()), "{}", &reply.body[..200.min(reply.body.len())]);

    let cost = cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(tokens(&long), COMPLETION_PRICE);
    assert!(cost > 1000 * BALANCE);
    let entry = reseller.entry(reply.request_id()).await.unwrap();
    assert_eq!((nanos(&entry["amount"]), nanos(&entry["balance"])), (-BALANCE, 0), "{entry}");
    assert_eq!(nanos(&entry["charge"]["written_off"]), cost - BALANCE, "{entry}");
    reseller.assert_books(BALANCE).await;

    // The next call is refused before the provider hears of it.
    let refused = reseller.call(CLIENTS[0], "/v1/chat/completions", body).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (402, &json!("insufficient_quota")), "{refused:?}");
    assert_eq!(provider.received(UPSTREAM).len(), 1);
}

/// A stream has a meter: it is cut where its hold is used up, and the client is told so in OpenAI's words.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_beyond_its_hold_is_cut() {
    let (provider, reseller) = open(&[], "0.001").await;
    let Act::Send(word) = text("word ") else { unreachable!() };
    provider.acts(UPSTREAM, vec![stream_head(), text("word "), Act::Repeat(word, std::time::Duration::from_millis(1))]);
    let mut body = chat_body(MODEL, true);
    body["max_tokens"] = json!(10);
    let reply = reseller.call(CLIENTS[0], "/v1/chat/completions", body).await;
    // Held: the prompt, and twice 10 tokens. 15 words are 19 tokens, 16 words 20; 17 are 22.
    assert_eq!(reply.text(), "word ".repeat(16), "{reply:?}");
    assert_eq!(reply.chunks().pop().unwrap()["choices"][0]["finish_reason"], "length", "{reply:?}");
    provider.departure(UPSTREAM).await;
    let cost = cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(20, COMPLETION_PRICE);
    assert_eq!(reseller.charged(reply.request_id()).await, Some(cost));
    reseller.assert_books(cost).await;
}
