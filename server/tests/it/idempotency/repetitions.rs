//! The same call again, and calls that only look like it.

use std::collections::HashSet;

use rstest::rstest;
use serde_json::{Value, json};

use super::{MODEL, Scene, assert_in_progress, assert_replayed};
use crate::support::reseller::{CLIENTS, Client, PROMPT, chat_body, read};

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once_are_one_call(#[case] is_stream: bool) {
    let scene = Scene::open(&[("XIAOYI_IDEMPOTENCY_WAIT_S", "1")]).await;
    let gate = scene.gate();
    let body = chat_body(MODEL, is_stream);
    let asking = async {
        let all = (0..20).map(|_| scene.ask_until_answered("the key", &body));
        futures_util::future::join_all(all).await
    };
    // Later than those who are not the first are told to ask again.
    let opening = async {
        scene.provider.arrival(MODEL).await;
        assert_in_progress(&scene.ask("the key", &body).await);
        gate.open();
    };
    let (replies, ()) = tokio::join!(asking, opening);
    let different: HashSet<_> = replies.iter().map(|reply| (reply.status, &reply.body, reply.request_id())).collect();
    assert_eq!(different.len(), 1, "{different:?}");
    let first = &replies[0];
    assert_eq!((first.status, first.text().as_str()), (200, "pong from here"));
    assert_eq!(replies.iter().filter(|reply| reply.header("idempotent-replayed").is_none()).count(), 1);
    scene.assert_paid_once(first).await;
}

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_again_however_it_is_written(#[case] is_stream: bool) {
    let scene = Scene::open(&[]).await;
    let body = chat_body(MODEL, is_stream);
    let first = scene.ask("k", &body).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_replayed(&scene.ask("k", &body).await, &first);

    // Other white space, another order, an escape; the key in the body; another prefix.
    let again = format!(
        r#"{{ "stream":{is_stream}, "max_tokens" : 1000, "model":"\u006d", "messages":[{{"content":"{PROMPT}","role":"user"}}]}}"#
    );
    let reseller = &scene.reseller;
    let request = |path: &str| reseller.client.post(reseller.server.url(path)).header("idempotency-key", "k");
    let as_text = request("/index.php/api/v1/chat/completions").header("content-type", "application/json").body(again);
    assert_replayed(&read(as_text.bearer_auth(&reseller.key)).await, &first);
    let original = reseller.request(Client::Original, "/v1/chat/completions", body.clone());
    assert_replayed(&read(original.header("idempotency-key", "k")).await, &first);

    scene.assert_paid_once(&first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_call_is_none_of_it() {
    let scene = Scene::open(&[]).await;
    let reseller = &scene.reseller;
    let body = chat_body(MODEL, false);
    let first = scene.ask("k", &body).await;
    let mut charged = reseller.charged(first.request_id()).await.unwrap();

    let mut other = body.clone();
    other["temperature"] = json!(0.5);
    for client in CLIENTS {
        let request = reseller.request(client, "/v1/chat/completions", other.clone());
        let refused = read(request.header("idempotency-key", "k")).await;
        let reply = refused.json();
        assert_eq!((refused.status, &reply["code"]), (422, &json!(42200)), "{refused:?}");
        assert_eq!(reply["error"]["type"], "invalid_request_error");
        assert_eq!(reply["error"]["code"], "idempotency_mismatch");
        assert_eq!(reply["error"]["param"], "Idempotency-Key");
    }
    assert_eq!(scene.calls(), 1);

    // Another key, no key, another endpoint, another tenant.
    for key in [Some("K"), Some("k2"), None] {
        let request = reseller.request(Client::OpenAi, "/v1/chat/completions", body.clone());
        let reply = read(key.map_or(request.try_clone().unwrap(), |key| request.header("idempotency-key", key))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        charged += reseller.charged(reply.request_id()).await.unwrap();
    }
    assert_eq!(scene.calls(), 4);
    let completion = json!({"model": "text-davinci-003", "prompt": "ping", "max_tokens": 10});
    reseller.command(&["channel", "add", "--name", "e", "--type", "echo", "--models", "text-davinci-003"]);
    reseller.wait_for_changes().await;
    let reply =
        read(reseller.request(Client::OpenAi, "/v1/completions", completion).header("idempotency-key", "k")).await;
    assert_eq!(reply.json()["object"], "text_completion", "{reply:?}");
    charged += reseller.charged(reply.request_id()).await.unwrap();
    let stranger = stranger(&scene);
    let theirs = reseller.client.post(reseller.server.url("/v1/chat/completions")).header("idempotency-key", "k");
    let reply = read(theirs.bearer_auth(stranger).json(&body)).await;
    assert_eq!((reply.status, scene.calls()), (200, 5));
    reseller.assert_books(charged).await;
}

/// A key of another tenant's.
fn stranger(scene: &Scene) -> String {
    let reseller = &scene.reseller;
    reseller.command(&["tenant", "create", "other"]);
    reseller.command(&["topup", "--tenant", "other", "--amount", "1.00", "--reference", "first"]);
    reseller.command(&["key", "issue", "--tenant", "other"])["secret"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_call_is_not_answered_either() {
    let scene = Scene::open(&[]).await;
    let reseller = &scene.reseller;
    let body = chat_body(MODEL, false);
    let first = scene.ask("k", &body).await;
    assert_eq!(first.status, 200, "{first:?}");
    // The answer is there without money, but not without the right to ask.
    let narrow = reseller.command(&["key", "issue", "--tenant", "acme", "--models", "gpt-4"]);
    let request = reseller.client.post(reseller.server.url("/v1/chat/completions")).header("idempotency-key", "k");
    let reply = read(request.bearer_auth(narrow["secret"].as_str().unwrap()).json(&body)).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (403, &json!("model_not_allowed")), "{reply:?}");

    let empty = reseller.request(Client::OpenAi, "/v1/chat/completions", body.clone()).header("idempotency-key", "");
    let reply = read(empty).await;
    let expected: Value = json!({"code": 40002, "param": "Idempotency-Key"});
    assert_eq!(
        (reply.status, &reply.json()["code"], &reply.json()["error"]["param"]),
        (400, &expected["code"], &expected["param"])
    );
    // Where nothing is charged the header says nothing.
    let balance = reseller.client.get(reseller.server.url("/v1/balance")).header("idempotency-key", "");
    assert_eq!(read(balance.bearer_auth(&reseller.key)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_is_one_request_of_its_key_and_no_call_beside_the_first() {
    let scene = Scene::open(&[]).await;
    let reseller = &scene.reseller;
    let gate = scene.gate();
    let body = chat_body(MODEL, false);
    let narrow = reseller.command(&["key", "issue", "--tenant", "acme", "--rpm", "3", "--concurrency", "1"]);
    let secret = narrow["secret"].as_str().unwrap().to_owned();
    let request = || {
        let request = reseller.client.post(reseller.server.url("/v1/chat/completions")).json(&body);
        read(request.bearer_auth(&secret).header("idempotency-key", "k"))
    };
    // The key may make one call at a time; who asks for the same one waits for it all the same.
    let opening = async {
        scene.provider.arrival(MODEL).await;
        gate.open();
    };
    let (first, second, ()) = tokio::join!(request(), request(), opening);
    assert_eq!((first.status, &first.body), (200, &second.body), "{second:?}");
    let (third, fourth) = (request().await, request().await);
    assert_eq!((third.status, &third.body, scene.calls()), (200, &first.body, 1));
    assert_eq!((fourth.status, &fourth.json()["code"]), (429, &json!(42900)), "{fourth:?}");
    let charged = reseller.charged(first.request_id()).await.unwrap();
    reseller.assert_books(charged).await;
}
