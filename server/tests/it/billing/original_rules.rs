//! The original service's rules, which hold for calls with the key in the body.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::money::recompute;
use crate::support::storefront::{COMPLETION_PRICE, PROMPT_PRICE, Storefront};

const PATH: &str = "/index.php/api/v1/chat/completions";

fn messages(messages: &[(&str, &str)]) -> Value {
    messages.iter().map(|(role, content)| json!({"role": role, "content": content})).collect()
}

#[rstest]
#[case::none(messages(&[]), "messages", (40003, "invalid_messages"))]
#[case::even(messages(&[("user", "一"), ("assistant", "二")]), "messages", (40003, "invalid_messages"))]
#[case::begins_with_the_assistant(messages(&[("assistant", "一")]), "messages[0].role", (40003, "invalid_messages"))]
#[case::user_twice(messages(&[("user", "一"), ("user", "二"), ("user", "三")]), "messages[1].role", (40003, "invalid_messages"))]
#[case::system(messages(&[("system", "一"), ("assistant", "二"), ("user", "三")]), "messages[0].role", (40003, "invalid_messages"))]
#[case::empty_question(messages(&[("user", "")]), "messages[0].content", (40003, "invalid_messages"))]
#[case::empty_history(messages(&[("user", "一"), ("assistant", ""), ("user", "三")]), "messages[1].content", (40003, "invalid_messages"))]
#[case::question_over_2000(messages(&[("user", &"字".repeat(2_001))]), "messages[0].content", (40004, "content_too_long"))]
#[case::no_array(json!({"role": "user", "content": "一"}), "messages", (40002, "invalid_parameter"))]
#[case::parts(json!([{"role": "user", "content": [{"type": "text", "text": "一"}]}]), "messages[0].content", (40002, "invalid_parameter"))]
#[tokio::test(flavor = "multi_thread")]
async fn refused(#[case] messages: Value, #[case] param: &str, #[case] (code, name): (i64, &str)) {
    let shop = Storefront::open("10.00").await;
    let reply = shop.post_original(PATH, json!({"messages": messages})).await;
    let message = reply.refused(400, code, name);
    assert!(!message.contains(&shop.key.secret));
    assert_eq!(reply.json["error"]["param"], param, "{message}");
    assert_eq!(shop.balance().await, (10_000_000_000, 0));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_question_is_answered() {
    let shop = Storefront::open("10.00").await;
    let reply = shop.post_original(PATH, json!({"messages": messages(&[("user", &"字".repeat(2_000))])})).await;
    assert_eq!(reply.usage(), (2_000, 2_000));
    assert_eq!(reply.json["model"], "gpt-3.5", "the usual model");
    assert_eq!(shop.settled().await, 10_000_000_000 - 2_000 * (PROMPT_PRICE + COMPLETION_PRICE));
    shop.close().await;
}

#[rstest]
// 2000 characters in all: nothing is forgotten.
#[case::fits([500, 500, 300, 300, 400], 2_000)]
// 2001: the first round goes, and with it 1000.
#[case::one_round([500, 500, 300, 301, 400], 1_001)]
// Without the first round it is 2001 still, so that the second goes too.
#[case::two_rounds([1, 1, 1_000, 1, 1_000], 1_000)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_not_paid(#[case] lengths: [usize; 5], #[case] prompt: i64) {
    let shop = Storefront::open("10.00").await;
    let contents = lengths.map(|length| "字".repeat(length));
    let roles = ["user", "assistant", "user", "assistant", "user"];
    let turns: Vec<(&str, &str)> = roles.into_iter().zip(contents.iter().map(String::as_str)).collect();
    let last = i64::try_from(lengths[4]).expect("a short text");

    let reply = shop.post_original(PATH, json!({"model": "gpt-4", "messages": messages(&turns)})).await;
    assert_eq!(reply.usage(), (prompt, last));
    assert_eq!(recompute(&shop.entry_of(&reply.request_id()).await), prompt * PROMPT_PRICE + last * COMPLETION_PRICE);

    // With the key in a header all of it is sent, and paid.
    let all: i64 = lengths.iter().map(|length| i64::try_from(*length).expect("a short text")).sum();
    let reply = shop.post("/v1/chat/completions", json!({"model": "gpt-4", "messages": messages(&turns)})).await;
    assert_eq!(reply.usage(), (all, last));
    assert_eq!(recompute(&shop.entry_of(&reply.request_id()).await), all * PROMPT_PRICE + last * COMPLETION_PRICE);
    shop.close().await;
}
