//! Sums of what was charged: by day, model, key and end user, for one key or for its tenant, and as the dashboards of chat clients read
//! them.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, FixedOffset};
use serde_json::{Value, json};

use crate::support::money::{amount, number, recompute};
use crate::support::storefront::{Key, Reply, Storefront};

/// More than the 366 days that a period may have.
const ALL_TIME: &str = "from=2000-01-01&to=2100-01-01";
/// Asia/Shanghai, in seconds.
const SHANGHAI: i32 = 8 * 3_600;

/// The group that a ledger entry belongs to.
type GroupOf = fn(&Value) -> String;

/// Calls of three keys: the shop's, and one that sees only its own calls, and one that sees nothing of a console.
async fn busy_shop() -> (Storefront, Key, Key) {
    let shop = Storefront::open("10.00").await;
    let own = shop.issue(&["--console", "key", "--name", "own"]);
    let usual = shop.issue(&[]);
    let ask = async |key: &Key, model: &str, text: &str, user: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": text}], "user": user});
        shop.post_as(key, "/v1/chat/completions", body).await.ok();
    };
    ask(&shop.key, "gpt-4", "一二三", "张三").await;
    ask(&shop.key, "gpt-3.5", "one two three four", "李四").await;
    ask(&own, "gpt-4", "你好 world", "张三").await;
    ask(&own, "gpt-4", "四五", "").await;
    ask(&usual, "gpt-3.5", "六", "").await;
    shop.post_as(&own, "/v1/images/generations", json!({"prompt": "猫", "n": 2})).await.ok();
    (shop, own, usual)
}

/// The same sums, made from the ledger by the test.
fn sums(entries: &[Value], group_of: impl Fn(&Value) -> String) -> BTreeMap<String, Value> {
    let mut groups: BTreeMap<String, [i64; 5]> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry["type"] == "capture") {
        let charge = &entry["charge"];
        let count = |value: &Value| value.as_i64().expect("a count");
        // Images are paid by the piece, so what their prompt counts is no usage.
        let prompt = if charge["endpoint"] == "images" { 0 } else { count(&charge["prompt"]["tokens"]) };
        let numbers =
            [1, prompt, count(&charge["completion"]["tokens"]), count(&charge["images"]["count"]), recompute(entry)];
        let sum = groups.entry(group_of(entry)).or_default();
        for (sum, number) in sum.iter_mut().zip(numbers) {
            *sum += number;
        }
    }
    let object = |group: &str, [requests, prompt, completion, images, charged]: [i64; 5]| json!({"group": group, "requests": requests, "prompt_tokens": prompt, "completion_tokens": completion, "images": images, "amount": amount(charged)});
    groups.into_iter().map(|(group, sum)| (group.clone(), object(&group, sum))).collect()
}

fn moment_of(entry: &Value) -> DateTime<FixedOffset> {
    let moment = DateTime::parse_from_rfc3339(entry["created_at"].as_str().expect("a moment")).expect("RFC 3339");
    moment.with_timezone(&FixedOffset::east_opt(SHANGHAI).expect("a zone"))
}

fn day_of(entry: &Value) -> String {
    moment_of(entry).date_naive().to_string()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_in_groups() {
    let (shop, own, usual) = busy_shop().await;
    for key in [&shop.key, &own, &usual] {
        let entries = shop.ledger_as(key).await;
        let today = moment_of(&entries[0]).date_naive();
        let (from, to) = (today - Days::new(2), today + Days::new(2));
        let by: [(&str, GroupOf); 4] = [
            ("day", day_of),
            ("model", |entry| text_of(&entry["charge"]["model"])),
            ("key", |entry| text_of(&entry["charge"]["key"])),
            ("user", |entry| text_of(&entry["charge"]["user"])),
        ];
        for (name, group_of) in by {
            let reply = shop.get_as(key, &format!("/v1/usage?from={from}&to={to}&group_by={name}")).await;
            let expected: Vec<Value> = sums(&entries, group_of).into_values().collect();
            assert_eq!(reply.ok()["data"], json!(expected), "by {name}");
            assert_eq!((&reply.json["object"], &reply.json["has_more"]), (&json!("list"), &json!(false)));
        }
    }
    // By hand, so that the test does not only agree with the ledger.
    let by_model = shop.get("/v1/usage?group_by=model").await;
    assert_eq!(
        by_model.ok()["data"],
        json!([
            {"group": "dall-e-3", "requests": 1, "prompt_tokens": 0, "completion_tokens": 0, "images": 2, "amount": "0.60"},
            {"group": "gpt-3.5", "requests": 2, "prompt_tokens": 6, "completion_tokens": 6, "images": 0, "amount": "0.00024"},
            {"group": "gpt-4", "requests": 3, "prompt_tokens": 8, "completion_tokens": 8, "images": 0, "amount": "0.00032"},
        ])
    );
    let command =
        shop.run(&["usage", "--tenant", "acme", "--from", "2000-01-01", "--to", "2100-01-01", "--group-by", "model"]);
    let amounts: Vec<&Value> = command.as_array().expect("a list").iter().map(|row| &row["amount"]).collect();
    assert_eq!(amounts, ["0.60", "0.00024", "0.00032"]);

    // A period without calls, and one that is none.
    let empty = shop.get("/v1/usage?from=2000-01-01&to=2000-02-01").await;
    assert_eq!(empty.ok()["data"], json!([]));
    for bad in ["from=2000-02-01&to=2000-01-01", "from=yesterday", "group_by=colour"] {
        shop.get(&format!("/v1/usage?{bad}")).await.refused(400, 40002, "invalid_parameter");
    }
    for name in ["day", "model", "key", "user"] {
        let reply = shop.get(&format!("/v1/usage?{ALL_TIME}&group_by={name}")).await;
        let message = reply.refused(400, 40002, "invalid_parameter");
        assert!(message.contains("366 days"), "{message}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_its_own_calls_and_the_tenants_balance() {
    let (shop, own, usual) = busy_shop().await;
    let all = shop.ledger().await;
    assert_eq!(all.len(), 7, "six calls and a top-up");
    for key in [&own, &usual] {
        let seen = shop.ledger_as(key).await;
        let expected: Vec<Value> =
            all.iter().filter(|entry| entry["charge"]["key"] == key.id.as_str()).cloned().collect();
        assert_eq!(seen, expected);
        assert!(!seen.is_empty() && seen.len() < 6);
        assert_eq!(shop.get_as(key, "/v1/balance").await.json, shop.get("/v1/balance").await.json);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_of_chat_clients() {
    let (shop, own, _) = busy_shop().await;
    shop.run(&["topup", "--tenant", "acme", "--amount", "0.123456789", "--reference", "odd"]);
    let today = moment_of(&shop.ledger().await[0]).date_naive();
    // As chat clients ask.
    let (first, end) = ((today - Days::new(99)).to_string(), (today + Days::new(1)).to_string());
    let (posted, _) = shop.balance().await;
    let granted = 10_123_456_789;
    let used = granted - posted;
    assert_eq!(used, 600_000_000 + 240_000 + 320_000);

    let expected = format!(
        r#"{{"code":0,"msg":"ok","object":"credit_summary","grants":{{"available_amount":"{}"}},"total_granted":{},"total_used":{},"total_available":{}}}"#,
        amount(posted),
        number(granted, 9),
        number(used, 9),
        number(posted, 9)
    );
    for prefix in ["/v1", "/api/v1", "/index.php/api/v1", "/api", "/index.php/api", ""] {
        let path = format!("{prefix}/dashboard/billing/credit_grants");
        let got = shop.get(&path).await;
        assert_eq!((got.status, &got.text), (200, &expected));
        let url = shop.server.url(&path);
        let in_body = shop.http.post(&url).json(&json!({"api_secret_key": own.secret}));
        let in_header = shop.http.post(&url).bearer_auth(&own.secret);
        for request in [in_body, in_header] {
            let posted = Reply::of(request.send().await.expect("an answer")).await;
            assert_eq!((posted.status, &posted.text), (200, &expected), "the tenant's balance, whoever asks");
        }

        let granted = number(granted, 9);
        let subscription = shop.get(&format!("{prefix}/dashboard/billing/subscription")).await;
        let limits = format!(
            r#""soft_limit_usd":{granted},"hard_limit_usd":{granted},"system_hard_limit_usd":{granted},"access_until":"#
        );
        let start = format!(r#"{{"object":"billing_subscription","has_payment_method":true,{limits}"#);
        assert!(subscription.status == 200 && subscription.text.starts_with(&start), "{}", subscription.text);

        let usage = async |key: &Key, start: &str, end: &str| {
            shop.get_as(key, &format!("{prefix}/dashboard/billing/usage?start_date={start}&end_date={end}")).await.text
        };
        let of = |spent: i64| format!(r#"{{"object":"list","total_usage":{}}}"#, number(spent, 7));
        // The tenant's, whichever key asks: granted less spent is the rest that a client shows.
        assert_eq!(usage(&shop.key, &first, &end).await, of(used));
        assert_eq!(usage(&own, &first, &end).await, of(used));
        assert_eq!(usage(&shop.key, "2000-01-01", "2000-02-01").await, of(0));
        let too_long = format!("{prefix}/dashboard/billing/usage?start_date=2000-01-01&end_date=2100-01-01");
        shop.get(&too_long).await.refused(400, 40002, "invalid_parameter");
    }
    shop.close().await;
}
