//! Balance and records.

use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::db::DbError;
use shared::key::{Console, KeyPolicy};
use shared::queue::Endpoint;
use shared::rollups::{self, Rolled};

use crate::app::{TestApp, hello};
use crate::client::{Request, get, post};
use crate::worker::Act;

/// One chat by the key, one completion by another key, and one image by the key: 0.0001, 0.00007 and 0.60.
async fn app() -> (TestApp, String) {
    let app = TestApp::start(|job| {
        let words = if job.endpoint == Endpoint::Images {
            0
        } else if job.endpoint == Endpoint::Chat {
            3
        } else {
            2
        };
        vec![Act::Answer(&["{}"], words)]
    });
    let app = app.await;
    let other = app.key(app.tenant, KeyPolicy { name: "other".to_owned(), ..KeyPolicy::default() }).await;
    let mut chat = hello();
    chat["user"] = "张三".into();
    for request in [
        post("/v1/chat/completions").bearer(&app.key).json(chat),
        post("/v1/completions").bearer(&other).json(json!({"model": "text-davinci-003", "prompt": "hello"})),
        post("/v1/images/generations").bearer(&app.key).json(json!({"prompt": "an otter", "n": 2, "size": "512x512"})),
    ] {
        let reply = app.send(request).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    (app, other)
}

async fn shown(app: &TestApp, request: Request) -> String {
    let reply = app.send(request).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

#[actix_web::test]
async fn balance() {
    let (app, _) = app().await;
    let body = shown(&app, get("/v1/balance").bearer(&app.key)).await;
    insta::assert_snapshot!(body, @r#"{"code":0,"msg":"","currency":"CNY","posted":"9.39983","held":"0.00","available":"9.39983"}"#);
}

#[actix_web::test]
async fn credit_grants_by_header_and_by_body() {
    let (app, _) = app().await;
    let path = "/index.php/api/v1/dashboard/billing/credit_grants";
    let body = shown(&app, get(path).bearer(&app.key)).await;
    insta::assert_snapshot!(body, @r#"{"code":0,"msg":"ok","object":"credit_summary","grants":{"available_amount":"9.39983"},"total_granted":10,"total_used":0.60017,"total_available":9.39983}"#);
    let key_in_body = json!({"api_secret_key": app.key});
    for request in [
        post(path).header("x-api-key", &app.key),
        post(path).json(&key_in_body),
        post("/dashboard/billing/credit_grants").json(&key_in_body),
    ] {
        assert_eq!(shown(&app, request).await, body);
    }
    for (request, code) in [(post(path), 40100), (post(path).json("{}"), 40100), (post(path).json("nonsense"), 40000)] {
        assert_eq!(app.send(request).await.json()["code"], code);
    }
}

#[actix_web::test]
async fn subscription() {
    let (app, _) = app().await;
    let body = shown(&app, get("/dashboard/billing/subscription").bearer(&app.key)).await;
    insta::assert_snapshot!(body, @r#"{"object":"billing_subscription","has_payment_method":true,"soft_limit_usd":10,"hard_limit_usd":10,"system_hard_limit_usd":10,"access_until":4102444800}"#);
    assert_eq!(shown(&app, get("/v1/dashboard/billing/subscription").bearer(&app.key)).await, body);
}

#[actix_web::test]
async fn billing_usage() {
    let (app, other) = app().await;
    let path = "/v1/dashboard/billing/usage";
    let start = app.deployment.clock.now().plus_ms(-100 * 86_400_000).to_rfc3339();
    let body = shown(&app, get(&format!("{path}?start_date={start}")).bearer(&app.tenant_key().await)).await;
    insta::assert_snapshot!(body, @r#"{"object":"list","total_usage":60.017}"#);
    // The whole tenant's, whichever of its keys asks, as the subscription shows the whole tenant's top-ups.
    for prefix in ["", "/api", "/api/v1", "/index.php/api", "/index.php/api/v1"] {
        let path = format!("{prefix}/dashboard/billing/usage");
        for key in [&app.key, &other] {
            assert_eq!(shown(&app, get(&path).bearer(key)).await, body, "{path}");
        }
    }
    let stranger = app.key(app.poor, KeyPolicy { console: Console::Tenant, ..KeyPolicy::default() }).await;
    assert_eq!(shown(&app, get(path).bearer(&stranger)).await, r#"{"object":"list","total_usage":0}"#);
    let long_ago = format!("{path}?start_date=2020-01-01&end_date=2020-02-01");
    assert_eq!(shown(&app, get(&long_ago).bearer(&other)).await, r#"{"object":"list","total_usage":0}"#);
}

#[actix_web::test]
async fn usage_in_groups() {
    let (app, other) = app().await;
    let by =
        async |group_by: &str, key: &str| shown(&app, get(&format!("/v1/usage?group_by={group_by}")).bearer(key)).await;
    let all = app.tenant_key().await;
    insta::assert_snapshot!(by("model", &all).await, @r#"{"code":0,"msg":"","object":"list","data":[{"group":"dall-e-3","requests":1,"prompt_tokens":0,"completion_tokens":0,"images":2,"amount":"0.60"},{"group":"gpt-3.5","requests":1,"prompt_tokens":1,"completion_tokens":3,"images":0,"amount":"0.0001"},{"group":"text-davinci-003","requests":1,"prompt_tokens":1,"completion_tokens":2,"images":0,"amount":"0.00007"}],"has_more":false,"next_cursor":null}"#);
    insta::assert_snapshot!(by("model", &other).await, @r#"{"code":0,"msg":"","object":"list","data":[{"group":"text-davinci-003","requests":1,"prompt_tokens":1,"completion_tokens":2,"images":0,"amount":"0.00007"}],"has_more":false,"next_cursor":null}"#);
    insta::assert_snapshot!(by("user", &app.key).await, @r#"{"code":0,"msg":"","object":"list","data":[{"group":"","requests":1,"prompt_tokens":0,"completion_tokens":0,"images":2,"amount":"0.60"},{"group":"张三","requests":1,"prompt_tokens":1,"completion_tokens":3,"images":0,"amount":"0.0001"}],"has_more":false,"next_cursor":null}"#);

    let by_day: Value = serde_json::from_str(&by("day", &all).await).unwrap();
    let zone = app.deployment.settings.timezone;
    let now = app.deployment.clock.now();
    let today = chrono::DateTime::from_timestamp_millis(now.0).unwrap().with_timezone(&zone).date_naive().to_string();
    assert_eq!(by_day["data"].as_array().unwrap().len(), 1);
    assert_eq!(by_day["data"][0]["group"], today);
    assert_eq!(by_day["data"][0]["amount"], "0.60017");
    assert_eq!(shown(&app, get("/v1/usage").bearer(&all)).await, by_day.to_string());

    let by_key: Value = serde_json::from_str(&by("key", &all).await).unwrap();
    let mut ids = [&app.key[5..17], &other[5..17]];
    ids.sort_unstable();
    let groups: Vec<&str> =
        by_key["data"].as_array().unwrap().iter().map(|row| row["group"].as_str().unwrap()).collect();
    assert_eq!(groups, ids);
}

#[actix_web::test]
async fn end_users_that_are_forgotten_are_said_and_not_left_out() {
    let (app, _) = app().await;
    let (database, zone) = (&app.deployment.database, app.deployment.settings.timezone);
    let later = |days: i64| app.deployment.clock.now().plus_ms(days * 86_400_000 + 600_000);
    while rollups::step(database, zone, later(0)).await.unwrap() == Rolled::Partly {}
    let now = later(40);
    let purged = database.write(move |connection| rollups::purge(connection, 31, now)).await;
    assert!(!purged.map_err(|error: DbError| error).unwrap(), "there were few");
    let day = |moment: Timestamp| {
        let day = chrono::DateTime::from_timestamp_millis(moment.0).unwrap().with_timezone(&zone).date_naive();
        day.to_string()
    };
    let known_from = day(now.plus_ms(-31 * 86_400_000));
    let usage = async |query: &str| app.send(get(&format!("/v1/usage?{query}")).bearer(&app.key)).await;
    let refused = usage("group_by=user").await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("from")));
    let message =
        format!("end users are known from {known_from} on; ask for a period that begins then or later, with from");
    assert_eq!(refused.json()["msg"], message);
    let reply = usage(&format!("group_by=user&from={known_from}&to={}", day(later(30)))).await;
    assert_eq!((reply.status, &reply.json()["data"]), (200, &json!([])));
    // All else is known for ever.
    let reply = usage("group_by=model").await;
    assert_eq!(reply.json()["data"].as_array().unwrap().len(), 2, "{}", reply.body);
}

/// The ledger's page with the parts that differ from run to run taken out.
async fn ledger(app: &TestApp, query: &str, key: &str) -> Value {
    let mut page: Value =
        serde_json::from_str(&shown(app, get(&format!("/v1/ledger{query}")).bearer(key)).await).unwrap();
    for entry in page["data"].as_array_mut().unwrap() {
        for name in ["id", "created_at", "request_id"] {
            if entry[name].is_string() {
                entry[name] = format!("[{name}]").into();
            }
        }
        if entry["charge"].is_object() {
            entry["charge"]["key"] = "[key]".into();
        }
    }
    page
}

#[actix_web::test]
async fn the_ledger_of_a_tenant() {
    let (app, _) = app().await;
    let key = app.tenant_key().await;
    insta::assert_json_snapshot!(ledger(&app, "", &key).await, @r#"
    {
      "code": 0,
      "msg": "",
      "object": "list",
      "data": [
        {
          "id": "[id]",
          "type": "capture",
          "amount": "-0.60",
          "balance": "9.39983",
          "created_at": "[created_at]",
          "request_id": "[request_id]",
          "reference": null,
          "note": null,
          "charge": {
            "model": "dall-e-3",
            "endpoint": "images",
            "key": "[key]",
            "user": null,
            "basis": "estimate",
            "prompt": {
              "hanzi": 0,
              "words": 2,
              "tokens": 2,
              "upstream_tokens": null,
              "price_per_million": "0.00",
              "cost": "0.00"
            },
            "completion": {
              "hanzi": 0,
              "words": 0,
              "tokens": 0,
              "upstream_tokens": null,
              "price_per_million": "0.00",
              "cost": "0.00"
            },
            "images": {
              "count": 2,
              "size": "512x512",
              "price": "0.30",
              "cost": "0.60"
            },
            "written_off": "0.00",
            "finished_early": false,
            "arithmetic": "2 images of 512x512 x 0.30 = 0.60; together 0.60"
          }
        },
        {
          "id": "[id]",
          "type": "capture",
          "amount": "-0.00007",
          "balance": "9.99983",
          "created_at": "[created_at]",
          "request_id": "[request_id]",
          "reference": null,
          "note": null,
          "charge": {
            "model": "text-davinci-003",
            "endpoint": "completions",
            "key": "[key]",
            "user": null,
            "basis": "estimate",
            "prompt": {
              "hanzi": 0,
              "words": 1,
              "tokens": 1,
              "upstream_tokens": null,
              "price_per_million": "10.00",
              "cost": "0.00001"
            },
            "completion": {
              "hanzi": 0,
              "words": 2,
              "tokens": 2,
              "upstream_tokens": null,
              "price_per_million": "30.00",
              "cost": "0.00006"
            },
            "images": {
              "count": 0,
              "size": null,
              "price": "0.30",
              "cost": "0.00"
            },
            "written_off": "0.00",
            "finished_early": false,
            "arithmetic": "prompt: 0 hanzi + 1 words x 1.3 = 1 tokens; 1 x 10.00 / 1,000,000 = 0.00001; completion: 0 hanzi + 2 words x 1.3 = 2 tokens; 2 x 30.00 / 1,000,000 = 0.00006; together 0.00007"
          }
        },
        {
          "id": "[id]",
          "type": "capture",
          "amount": "-0.0001",
          "balance": "9.9999",
          "created_at": "[created_at]",
          "request_id": "[request_id]",
          "reference": null,
          "note": null,
          "charge": {
            "model": "gpt-3.5",
            "endpoint": "chat",
            "key": "[key]",
            "user": "张三",
            "basis": "estimate",
            "prompt": {
              "hanzi": 0,
              "words": 1,
              "tokens": 1,
              "upstream_tokens": null,
              "price_per_million": "10.00",
              "cost": "0.00001"
            },
            "completion": {
              "hanzi": 0,
              "words": 3,
              "tokens": 3,
              "upstream_tokens": null,
              "price_per_million": "30.00",
              "cost": "0.00009"
            },
            "images": {
              "count": 0,
              "size": null,
              "price": "0.30",
              "cost": "0.00"
            },
            "written_off": "0.00",
            "finished_early": false,
            "arithmetic": "prompt: 0 hanzi + 1 words x 1.3 = 1 tokens; 1 x 10.00 / 1,000,000 = 0.00001; completion: 0 hanzi + 3 words x 1.3 = 3 tokens; 3 x 30.00 / 1,000,000 = 0.00009; together 0.0001"
          }
        },
        {
          "id": "[id]",
          "type": "top_up",
          "amount": "10.00",
          "balance": "10.00",
          "created_at": "[created_at]",
          "request_id": null,
          "reference": "first",
          "note": null,
          "charge": null
        }
      ],
      "has_more": false,
      "next_cursor": null
    }
    "#);
}

#[actix_web::test]
async fn a_key_sees_its_own_calls_only() {
    let (app, other) = app().await;
    let models = async |key: &str| -> Vec<String> {
        let page = ledger(&app, "", key).await;
        let charges = page["data"].as_array().unwrap().iter().map(|entry| entry["charge"]["model"].to_string());
        charges.collect()
    };
    assert_eq!(models(&app.key).await, [r#""dall-e-3""#, r#""gpt-3.5""#]);
    assert_eq!(models(&other).await, [r#""text-davinci-003""#]);
    let none = app.key(app.tenant, KeyPolicy { console: Console::None, ..KeyPolicy::default() }).await;
    assert_eq!(models(&none).await, Vec::<String>::new());
    let stranger = app.key(app.poor, KeyPolicy { console: Console::Tenant, ..KeyPolicy::default() }).await;
    assert_eq!(models(&stranger).await, Vec::<String>::new());
}

#[actix_web::test]
async fn the_ledger_in_pages() {
    let (app, _) = app().await;
    let key = app.tenant_key().await;
    let whole = ledger(&app, "", &key).await;
    let (mut entries, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let page = ledger(&app, &query, &key).await;
        entries.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(page["has_more"], false);
            break;
        };
        assert_eq!((page["has_more"].clone(), page["data"].as_array().unwrap().len()), (json!(true), 1));
        query = format!("?limit=1&cursor={cursor}");
    }
    assert_eq!(Value::from(entries), whole["data"]);
}

#[actix_web::test]
async fn the_request_id_of_a_reply_is_in_the_ledger() {
    let (app, _) = app().await;
    let reply = app.send(app.chat()).await;
    let page: Value = serde_json::from_str(&shown(&app, get("/v1/ledger?limit=1").bearer(&app.key)).await).unwrap();
    assert_eq!(page["data"][0]["request_id"], reply.request_id());
}

#[actix_web::test]
async fn wrong_queries_are_refused_by_name() {
    let app = TestApp::without_a_worker(&[]).await;
    for (query, param) in [
        ("usage?from=yesterday", json!("from")),
        ("usage?to=2026-13-01", json!("to")),
        ("usage?from=2026-02-01&to=2026-02-01", json!("from")),
        ("usage?group_by=week", json!("group_by")),
        ("usage?group_by=day&from=2024-01-01&to=2025-01-02", json!("from")),
        ("usage?group_by=model&from=2024-01-01&to=2025-01-02", json!("from")),
        ("usage?group_by=user&from=2000-01-01", json!("from")),
        ("usage?from=2026-01-01&from=2026-01-02", json!("from")),
        ("ledger?cursor=7&limit=1&limit=1", json!("limit")),
        ("dashboard/billing/usage?end_date=2026-01-01&end_date=2026-01-02", json!("end_date")),
        ("dashboard/billing/usage?start_date=2024-01-01&end_date=2025-01-02", json!("start_date")),
        ("ledger?limit=0", json!("limit")),
        ("ledger?limit=1001", json!("limit")),
        ("ledger?limit=ten", json!("limit")),
        ("ledger?cursor=x", json!("cursor")),
        ("dashboard/billing/usage?start_date=1.1.2026", json!("start_date")),
        ("dashboard/billing/usage?end_date=never", json!("end_date")),
    ] {
        let reply = app.send(get(&format!("/v1/{query}")).bearer(&app.key)).await;
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!(40002)), "{query}");
        assert_eq!(reply.json()["error"]["param"], param, "{query}");
    }
    for query in [
        "usage?unknown=1",
        "usage?group_by=day&from=2024-01-01&to=2025-01-01",
        "usage?group_by=model&from=2024-01-01&to=2025-01-01",
        "usage?unknown=1&unknown=2",
        "usage?from=2026-01-01T00:00:00%2B08:00&to=2026-01-02T00:00:00Z",
        "ledger?limit=1000&cursor=",
    ] {
        assert_eq!(app.send(get(&format!("/v1/{query}")).bearer(&app.key)).await.status, 200, "{query}");
    }
}

#[actix_web::test]
async fn records_need_a_key_but_no_money() {
    let app = TestApp::without_a_worker(&[]).await;
    let poor = app.key(app.poor, KeyPolicy::default()).await;
    for path in [
        "/v1/balance",
        "/v1/usage",
        "/v1/ledger",
        "/v1/models",
        "/v1/models/gpt-4",
        "/v1/dashboard/billing/credit_grants",
        "/api/v1/dashboard/billing/subscription",
        "/dashboard/billing/usage",
    ] {
        assert_eq!(app.send(get(path).bearer(&poor)).await.status, 200, "{path}");
        assert_eq!(app.send(get(path)).await.json()["code"], 40100, "{path}");
    }
}

#[actix_web::test]
async fn models() {
    let app = TestApp::without_a_worker(&[]).await;
    let key = app.key(app.tenant, KeyPolicy { models: Some(vec!["gpt-4".to_owned()]), ..KeyPolicy::default() }).await;
    insta::assert_snapshot!(shown(&app, get("/v1/models").bearer(&key)).await, @r#"{"code":0,"msg":"","object":"list","data":[{"id":"gpt-4","object":"model","created":1680307200,"owned_by":"xiaoyi"}]}"#);
    insta::assert_snapshot!(shown(&app, get("/v1/models/gpt-4").bearer(&key)).await, @r#"{"code":0,"msg":"","id":"gpt-4","object":"model","created":1680307200,"owned_by":"xiaoyi"}"#);
    let all: Value = serde_json::from_str(&shown(&app, get("/v1/models").bearer(&app.key)).await).unwrap();
    let names: Vec<&Value> = all["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    let served =
        ["dall-e-3", "gpt-3.5", "gpt-4", "omni-moderation-latest", "text-davinci-003", "text-embedding-3-small"];
    assert_eq!(names, served);
    for (name, status) in [("unknown", 404), ("org%2Fmodel", 404), ("org/model", 404), ("%ff", 404)] {
        let reply = app.send(get(&format!("/v1/models/{name}")).bearer(&app.key)).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!("model_not_found")), "{name}");
    }
    assert_eq!(app.send(get("/v1/models/gpt-3.5").bearer(&key)).await.status, 403);
}

/// Models of other houses have names with slashes and colons, which some clients escape and some do not.
#[actix_web::test]
async fn models_with_names_that_paths_escape() {
    let known = "acme/large-1.5:free,模型";
    let app = TestApp::without_a_worker(&[("XIAOYI_MODELS_KNOWN", known)]).await;
    for (path, name) in [
        ("acme/large-1.5:free", "acme/large-1.5:free"),
        ("acme%2Flarge-1.5%3Afree", "acme/large-1.5:free"),
        ("acme%2flarge-1.5:free", "acme/large-1.5:free"),
        ("%E6%A8%A1%E5%9E%8B", "模型"),
    ] {
        for prefix in ["/v1", "/api/v1", "/index.php/api/v1"] {
            let reply = app.send(get(&format!("{prefix}/models/{path}")).bearer(&app.key)).await;
            assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(name)), "{prefix} {path}: {}", reply.body);
        }
    }
    // Once only.
    let twice = app.send(get("/v1/models/acme%252Flarge-1.5:free").bearer(&app.key)).await;
    assert_eq!(twice.status, 404);
}

#[actix_web::test]
async fn health() {
    let app = TestApp::without_a_worker(&[]).await;
    insta::assert_snapshot!(app.send(get("/healthz")).await.shown(), @r#"
    200
    {"status":"ok"}
    "#);
    insta::assert_snapshot!(app.send(get("/readyz")).await.shown(), @r#"
    200
    {"status":"ok","database":"ok","queue":"ok","ledger":"ok"}
    "#);
}
