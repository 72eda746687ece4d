use std::process::ExitStatus;

use crate::support::{IssuedKey, Place, Server};

#[test]
fn one_call_is_shown_with_its_charge() {
    let place = Place::with(&[("DATABASE_URL", "sqlite://elsewhere.db"), ("XIAOYI_SECRET_KEY", "not even base64")]);
    let shown = place.command(&["demo", "--once"]).ok();
    let fields: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["call", "answer", "usage", "charge", "balance_before", "balance_after"]);
    assert!(shown["call"].as_str().unwrap().contains("/index.php/api/v1/chat/completions"));
    assert!(shown["answer"].as_str().unwrap().contains("请介绍一下你自己"));
    assert_eq!(shown["balance_before"]["posted"], "10.00");
    let arithmetic = shown["charge"]["arithmetic"].as_str().unwrap();
    assert!(arithmetic.contains("hanzi") && arithmetic.contains("x 1.3"), "{arithmetic}");
    assert!(place.data().join("demo/xiaoyi.db").exists());
    assert!(!place.data().join("xiaoyi.db").exists() && !place.data().join("../elsewhere.db").exists());

    let again = place.command(&["demo", "--once"]).ok();
    assert_eq!(again["balance_before"], shown["balance_after"], "the sample payment is booked once");
    let (status, stdout, _) = place.spoken(&["demo", "--once"]);
    assert_eq!(status, 0);
    for word in ["The call", "The answer", "The usage", "The charge", "The balance", "hanzi"] {
        assert!(stdout.contains(word), "{stdout}");
    }
}

#[test]
fn a_balance_that_is_nearly_spent_is_filled_up_each_time() {
    let place = Place::embedded(&[]);
    place.command(&["demo", "--once"]).ok();
    // 11 tokens of the prompt then cost 5.50, and 10.00 cover one such call only.
    let dear = ["price", "set", "gpt-3.5", "--prompt", "500000", "--completion", "0", "--data-dir", "data/demo"];
    place.command(&dear).ok();
    let mut befores = Vec::new();
    for _ in 0..3 {
        let shown = place.command(&["demo", "--once"]).ok();
        assert_eq!(shown["charge"]["amount"], "5.50");
        befores.push(shown["balance_before"]["available"].as_str().unwrap().to_owned());
    }
    // 9.99956 is enough; what is left of it (4.49956) and then of 10.00 (4.50) is not.
    assert_eq!(befores, ["9.99956", "10.00", "10.00"]);
    assert_eq!(place.command(&["ledger", "audit", "--data-dir", "data/demo"]).ok()["ok"], true);
}

#[tokio::test]
async fn it_serves_with_a_new_key_each_time() {
    let mut server = Server::start_in(Place::new(), &["demo"]);
    let key = |server: &Server| {
        let text = |name: &str| server.ready["key"][name].as_str().unwrap().to_owned();
        IssuedKey { id: text("id"), secret: text("secret") }
    };
    let first = key(&server);
    assert!(first.secret.contains(&first.id));
    for model in ["gpt-3.5", "gpt-4"] {
        let reply = server.chat(&first, model, "hello").await;
        assert_eq!(
            (reply.status, &reply.json["choices"][0]["message"]["content"]),
            (200, &"hello".into()),
            "{}",
            reply.text
        );
    }
    server.terminate();
    server.restart();
    assert_eq!(server.get("/v1/balance", &key(&server)).await.status, 200);
    assert_eq!(server.get("/v1/balance", &first).await.status, 401, "the key of the run before is revoked");
    let told: fn(&ExitStatus) -> bool = ExitStatus::success;
    server.order_to_stop();
    assert!(told(&server.wait()));
}

#[tokio::test]
async fn a_demo_beside_a_running_demo_is_refused_and_leaves_its_key_alone() {
    let server = Server::start_in(Place::new(), &["demo"]);
    assert_eq!(server.command(&["demo", "--once"]).failed(1).0, "already_running");
    let secret = server.ready["key"]["secret"].as_str().unwrap().to_owned();
    let key = IssuedKey { id: String::new(), secret };
    assert_eq!(server.get("/v1/balance", &key).await.status, 200);
}
