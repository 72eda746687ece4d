use diesel::SqliteConnection;
use diesel::connection::{Connection as _, SimpleConnection as _};
use serde_json::json;

use crate::support::{Place, Server};

fn place_with_tenant() -> Place {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    place.command(&["tenant", "create", "acme"]).ok();
    place
}

#[test]
fn a_payment_is_booked_once_per_reference() {
    let place = place_with_tenant();
    let pay = |amount: &str, reference: &str| {
        place.command(&["topup", "--tenant", "acme", "--amount", amount, "--reference", reference, "--note", "谢谢"])
    };
    let first = pay("10.00", "invoice-7").ok();
    assert_eq!((&first["posted"], &first["replayed"]), (&"10.00".into(), &false.into()));
    let again = pay("10", "invoice-7").ok();
    assert_eq!(again, json!({"id": first["id"], "posted": "10.00", "replayed": true}));
    let (code, message) = pay("11.00", "invoice-7").failed(1);
    assert_eq!(code, "reference_taken");
    assert!(message.contains("10.00"), "{message}");
    assert_eq!(pay("0.000000001", "invoice-8").ok()["posted"], "10.000000001");
    let balance = place.command(&["balance", "--tenant", "acme"]).ok();
    assert_eq!(
        balance,
        json!({"currency": "CNY", "posted": "10.000000001", "held": "0.00", "available": "10.000000001"})
    );
}

#[test]
fn what_is_no_payment_is_refused() {
    let place = place_with_tenant();
    let pay = |amount: &str, reference: &str| {
        place.command(&["topup", "--tenant", "acme", "--amount", amount, "--reference", reference])
    };
    assert_eq!(pay("0", "r").failed(1).0, "amount_not_positive");
    assert_eq!(pay("-5.00", "r").failed(1).0, "amount_not_positive");
    assert_eq!(pay("ten", "r").failed(2).0, "usage");
    assert_eq!(pay("1.0000000001", "r").failed(2).0, "usage");
    assert_eq!(pay("1.00", "").failed(1).0, "bad_reference");
    assert_eq!(pay("1.00", "code:1/1").failed(1).0, "reserved_reference");
    assert_eq!(pay("9223372036.854775807", "r").ok()["posted"], "9223372036.854775807");
    assert_eq!(pay("1.00", "s").failed(1).0, "amount_out_of_range");
    let unknown = place.command(&["topup", "--tenant", "nobody", "--amount", "1.00", "--reference", "r"]);
    assert_eq!(unknown.failed(1).0, "unknown_tenant");
    assert_eq!(place.command(&["balance", "--tenant", "nobody"]).failed(1).0, "unknown_tenant");
}

#[tokio::test]
async fn usage_and_audit_show_what_a_call_cost() {
    let server = Server::start();
    server.echo("gpt-3.5").await;
    let key = server.customer("acme");
    let reply = server.chat(&key, "gpt-3.5", "你好 world").await;
    assert_eq!(reply.status, 200, "{}", reply.text);

    // 2 hanzi + 1 word x 1.3 = 3 tokens each way, at 10 and 30 per million.
    let by_model = server.command(&["usage", "--tenant", "acme", "--group-by", "model"]).ok();
    let row = json!({"group_by": "model", "group": "gpt-3.5", "requests": 1, "prompt_tokens": 3, "completion_tokens": 3, "images": 0, "amount": "0.00012"});
    assert_eq!(by_model, json!([row]));
    let by_key = server.command(&["usage", "--tenant", "acme", "--group-by", "key"]).ok();
    assert_eq!(by_key[0]["group"], key.id.as_str());
    let long_ago = server.command(&["usage", "--tenant", "acme", "--from", "2020-01-01", "--to", "2020-02-01"]).ok();
    assert_eq!(long_ago, json!([]));
    assert_eq!(
        server.command(&["usage", "--tenant", "acme", "--from", "2020-02-01", "--to", "2020-01-01"]).failed(2).0,
        "usage"
    );

    assert_eq!(server.command(&["balance", "--tenant", "acme"]).ok()["posted"], "9.99988");
    let audit = server.command(&["ledger", "audit"]).ok();
    assert_eq!((&audit["ok"], &audit["violations"]), (&true.into(), &json!([])));
    assert!(audit["transfers"].as_u64().unwrap() >= 3, "{audit}");
}

#[test]
fn usage_by_end_user_says_since_when_they_are_known() {
    let place = Place::embedded(&[("XIAOYI_TIMEZONE", "Asia/Shanghai")]);
    place.command(&["migrate"]).ok();
    place.command(&["tenant", "create", "acme"]).ok();
    // As it is after sums by end user were removed: known since the day 20,000.
    let state = json!({
        "counted_below": "019ac000-0000-7000-8000-000000000000", "zone": "Asia/Shanghai", "least_delay_ms": 0, "most_delay_ms": 0,
        "last_charged_at": 0, "is_clearing": false, "users_since": 20_000,
    });
    let insert = format!("INSERT INTO facts (name, value) VALUES ('usage_state', CAST('{state}' AS BLOB))");
    let path = place.data().join("xiaoyi.db");
    SqliteConnection::establish(path.to_str().unwrap()).unwrap().batch_execute(&insert).unwrap();
    let usage = |from: &str, group: &str| {
        place.command(&["usage", "--tenant", "acme", "--from", from, "--to", "2024-11-01", "--group-by", group])
    };
    let (code, message) = usage("2024-10-03", "user").failed(2);
    assert_eq!(
        (code.as_str(), message.contains("end users are known from 2024-10-04 on")),
        ("usage", true),
        "{message}"
    );
    assert_eq!(usage("2024-10-04", "user").ok(), json!([]));
    assert_eq!(usage("2024-10-03", "model").ok(), json!([]));
}

#[tokio::test]
async fn a_payment_beside_a_running_server_counts_at_once() {
    let server = Server::start();
    server.echo("gpt-3.5").await;
    server.command(&["tenant", "create", "acme"]).ok();
    let key = server.issue(&["--tenant", "acme"]);
    assert_eq!(server.chat(&key, "gpt-3.5", "hello").await.status, 402);
    server.command(&["topup", "--tenant", "acme", "--amount", "1.00", "--reference", "r"]).ok();
    assert_eq!(server.chat(&key, "gpt-3.5", "hello").await.status, 200);
}
