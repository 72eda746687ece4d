//! Usage is the estimate of the rules: the numbers here were counted by hand.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::money::recompute;
use crate::support::storefront::{COMPLETION_PRICE, PROMPT_PRICE, Reply, Storefront};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// The same chat in all cases below: 5 words make 6, 2 hanzi and 3 words make 5, 2 hanzi make 2, 7 hanzi and 1 word make 8.
fn conversation() -> Value {
    json!([
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "你好 world, GPT-4!"},
        {"role": "assistant", "content": "你好！"},
        {"role": "user", "content": "今天天气怎么样？ thanks"},
    ])
}

fn chat_with(fields: Value) -> Value {
    let mut body = json!({"model": "gpt-4", "messages": conversation()});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    body
}

fn completions_with(fields: Value) -> Value {
    let mut body = fields;
    body["model"] = "text-davinci-003".into();
    body
}

#[rstest]
#[case::several_messages(chat_with(json!({})), 21, 8)]
#[case::three_answers(chat_with(json!({"n": 3})), 21, 24)]
#[case::cut_before_the_word(chat_with(json!({"max_tokens": 7})), 21, 7)]
#[case::cut_in_the_middle(chat_with(json!({"max_tokens": 3, "n": 2})), 21, 6)]
#[case::newer_name_wins(chat_with(json!({"max_tokens": 3, "max_completion_tokens": 2})), 21, 2)]
// type, function, function, name, get, weather, description, 2 hanzi, parameters: floor(2 + 8 x 1.3) = 12.
#[case::tools(
    chat_with(json!({"tools": [{"type": "function", "function": {"name": "get_weather", "description": "天气", "parameters": {}}}]})),
    33,
    8
)]
// type, json, object: 3.
#[case::response_format(chat_with(json!({"response_format": {"type": "json_object"}})), 24, 8)]
// get, weather: 2. city, 2 hanzi: 3. The tool's own words: 2 hanzi. The question: 4 hanzi.
#[case::tool_calls(
    json!({"model": "gpt-4", "messages": [
        {"role": "user", "content": "天气如何"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\":\"上海\"}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "晴天"},
    ]}),
    11,
    4
)]
// The text counts 2, an image what the setting says.
#[case::parts(
    json!({"model": "gpt-4", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "看图"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]}),
    302,
    2
)]
#[tokio::test(flavor = "multi_thread")]
async fn chats(#[case] body: Value, #[case] prompt: i64, #[case] completion: i64) {
    let shop = Storefront::open("10.00").await;
    let reply = shop.post(CHAT, body.clone()).await;
    charged(&shop, &reply, prompt, completion).await;
    let choices = reply.json["choices"].as_array().expect("choices");
    assert_eq!(Some(choices.len() as u64), body.get("n").map_or(Some(1), Value::as_u64));
    let reason = if body.get("max_tokens").is_some() { "length" } else { "stop" };
    for choice in choices {
        assert_eq!(choice["finish_reason"], reason, "{choice}");
    }
    shop.close().await;
}

#[rstest]
#[case::one_prompt(json!({"prompt": "This is a test"}), 5, &[("This is a test", "stop")], 5)]
#[case::no_prompt(json!({}), 1, &[("<|endoftext|>", "stop")], 1)]
#[case::prompts(json!({"prompt": ["one two", "三四五"]}), 5, &[("one two", "stop"), ("三四五", "stop")], 5)]
#[case::tokens(json!({"prompt": [11, 12, 13, 14]}), 4, &[("tokens: 4", "stop")], 2)]
#[case::token_arrays(json!({"prompt": [[11, 12], [13]]}), 3, &[("tokens: 2", "stop"), ("tokens: 1", "stop")], 4)]
#[case::sixteen_tokens_by_default(json!({"prompt": "字".repeat(40)}), 40, &[("字字字字字字字字字字字字字字字字", "length")], 16)]
#[case::max_tokens(json!({"prompt": "one two three four five", "max_tokens": 4}), 6, &[("one two three", "length")], 3)]
#[case::the_prompt_echoed(json!({"prompt": "你好 there", "echo": true}), 3, &[("你好 there你好 there", "stop")], 3)]
#[case::suffix(json!({"prompt": "你好", "suffix": "the end"}), 4, &[("你好", "stop")], 2)]
#[case::best_of_three(json!({"prompt": "你好", "best_of": 3}), 2, &[("你好", "stop")], 2)]
#[case::two_of_three(json!({"prompt": "你好", "best_of": 3, "n": 2}), 2, &[("你好", "stop"), ("你好", "stop")], 4)]
#[case::stop(json!({"prompt": "一二三四", "stop": ["四", "三"]}), 4, &[("一二", "stop")], 2)]
#[tokio::test(flavor = "multi_thread")]
async fn completions(
    #[case] fields: Value,
    #[case] prompt: i64,
    #[case] choices: &[(&str, &str)],
    #[case] completion: i64,
) {
    let shop = Storefront::open("10.00").await;
    let reply = shop.post(COMPLETIONS, completions_with(fields)).await;
    charged(&shop, &reply, prompt, completion).await;
    let expected = choices.iter().enumerate().map(
        |(index, (text, reason))| json!({"text": text, "index": index, "logprobs": null, "finish_reason": reason}),
    );
    assert_eq!(reply.json["choices"], expected.collect::<Value>());
    shop.close().await;
}

#[rstest]
#[case::usual_size(json!({}), 1, "1024x1024", 200_000_000)]
#[case::two_small_ones(json!({"n": 2, "size": "512x512"}), 2, "512x512", 150_000_000)]
#[case::size_without_a_price(json!({"n": 10, "size": "256x256"}), 10, "256x256", 400_000_000)]
#[case::base64(json!({"response_format": "b64_json"}), 1, "1024x1024", 200_000_000)]
#[tokio::test(flavor = "multi_thread")]
async fn images(#[case] fields: Value, #[case] count: i64, #[case] size: &str, #[case] price: i64) {
    let shop = Storefront::open("10.00").await;
    let images = ["--image", "1024x1024=0.20", "--image", "512x512=0.15", "--image", "0.40"];
    let tokens = ["--prompt", "7.00", "--completion", "7.00"];
    shop.run(&[["price", "set", "dall-e-3"].as_slice(), &tokens, &images].concat());
    // One call with the new price shows that the server knows it.
    shop.until("the price is known", async || {
        let reply = shop.post("/v1/images/generations", json!({"prompt": "一只猫"})).await;
        shop.entry_of(&reply.request_id()).await["amount"] == "-0.20"
    })
    .await;

    let before = shop.settled().await;
    let mut body = fields.clone();
    body["prompt"] = "一只猫".into();
    let reply = shop.post("/v1/images/generations", body).await;
    let data = reply.ok()["data"].as_array().expect("a list");
    assert_eq!(i64::try_from(data.len()), Ok(count));
    let member = fields["response_format"].as_str().unwrap_or("url");
    assert!(data.iter().all(|image| image[member].as_str().is_some_and(|value| !value.is_empty())), "{data:?}");

    // By image and size; the prompt costs nothing.
    assert_eq!(shop.settled().await, before - count * price);
    let entry = shop.entry_of(&reply.request_id()).await;
    let (recomputed, images) = (recompute(&entry), &entry["charge"]["images"]);
    assert_eq!((recomputed, &images["count"], &images["size"]), (count * price, &json!(count), &json!(size)));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_prefixes_are_one_api() {
    let shop = Storefront::open("10.00").await;
    let mut seen = Vec::new();
    for prefix in ["/v1", "/api/v1", "/index.php/api/v1"] {
        let reply = shop.post(&format!("{prefix}/chat/completions"), chat_with(json!({}))).await;
        charged(&shop, &reply, 21, 8).await;
        let reply = shop.post(&format!("{prefix}/completions"), completions_with(json!({"prompt": "你好"}))).await;
        charged(&shop, &reply, 2, 2).await;
        let reply = shop.post(&format!("{prefix}/images/generations"), json!({"prompt": "猫"})).await;
        assert_eq!(recompute(&shop.entry_of(&reply.request_id()).await), 300_000_000);
        let mut replies = Vec::new();
        for path in ["models", "dashboard/billing/subscription"] {
            let reply = shop.get(&format!("{prefix}/{path}")).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            replies.push(reply.text);
        }
        seen.push(replies);
    }
    assert!(seen.iter().all(|replies| *replies == seen[0]), "{seen:?}");
    shop.close().await;
}

/// The usage is the expected one, the balance moved by its price, and the record of it says the same.
async fn charged(shop: &Storefront, reply: &Reply, prompt: i64, completion: i64) {
    assert_eq!(reply.usage(), (prompt, completion), "{}", reply.text);
    let entry = shop.entry_of(&reply.request_id()).await;
    assert_eq!(recompute(&entry), prompt * PROMPT_PRICE + completion * COMPLETION_PRICE);
    let charge = &entry["charge"];
    assert_eq!((&charge["prompt"]["tokens"], &charge["completion"]["tokens"]), (&json!(prompt), &json!(completion)));
    assert_eq!(charge["basis"], "estimate");
    let ledger = shop.ledger().await;
    let charges: i64 = ledger.iter().filter(|entry| entry["type"] == "capture").map(recompute).sum();
    assert_eq!(shop.settled().await, 10_000_000_000 - charges);
}
