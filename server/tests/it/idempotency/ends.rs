//! Clients that leave, providers that fail, and processes that die.

use rstest::rstest;
use serde_json::json;

use super::{MODEL, PIECES, Scene, assert_replayed};
use crate::support::provider::{Act, answer, reply, stream_head, text};
use crate::support::reseller::{Reply, chat_body};

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_runs_on_when_its_client_leaves(#[case] is_stream: bool) {
    let scene = Scene::open(&[]).await;
    let gate = scene.gate();
    let body = chat_body(MODEL, is_stream);
    let call = scene.begin("k", &body).await;
    if is_stream {
        let mut response = call.await.unwrap().unwrap();
        response.chunk().await.unwrap().expect("the first text");
    } else {
        call.abort();
    }
    // Who asks meanwhile waits for it; the provider's call goes on.
    let waiting = scene.ask("k", &body);
    let opening = async { gate.open() };
    let (answered, _) = tokio::join!(waiting, opening);
    assert_eq!((answered.status, answered.text()), (200, PIECES.concat()), "{answered:?}");
    assert_eq!(answered.header("idempotent-replayed"), Some("true"));
    assert!(scene.provider.only(MODEL).left.is_none());
    let entry = scene.reseller.entry(answered.request_id()).await.unwrap();
    assert_eq!(entry["charge"]["finished_early"], false);
    scene.assert_paid_once(&answered).await;
}

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_frees_the_key(#[case] is_stream: bool) {
    let scene = Scene::open(&[]).await;
    let body = chat_body(MODEL, is_stream);
    scene.provider.acts(MODEL, vec![reply("500 Internal Server Error", "{}")]);
    for calls in 1..=2 {
        let failed = scene.ask("k", &body).await;
        assert_eq!((failed.status, scene.calls()), (502, calls), "{failed:?}");
        assert_eq!(failed.header("idempotent-replayed"), None);
    }
    // Even another request may take it.
    let mut other = body.clone();
    other["seed"] = json!(1);
    scene.provider.on(MODEL, |call| answer(call, &PIECES));
    let first = scene.ask("k", &other).await;
    assert_eq!((first.status, scene.calls()), (200, 3), "{first:?}");
    assert_replayed(&scene.ask("k", &other).await, &first);
    assert_eq!(scene.ask("k", &body).await.status, 422);
    let charged = scene.reseller.charged(first.request_id()).await.unwrap();
    scene.reseller.assert_books(charged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_broke_off_is_not_paid_twice() {
    let scene = Scene::open(&[]).await;
    let body = chat_body(MODEL, true);
    scene.provider.acts(MODEL, vec![stream_head(), text("pong "), text("from "), Act::Cut]);
    let first = scene.ask("k", &body).await;
    assert_eq!(first.status, 200, "{first:?}");
    let events = first.chunks();
    let error = &events.last().unwrap()["error"];
    assert_eq!(error["code"], "upstream_error");
    assert!(error["message"].as_str().unwrap().contains("were charged for the text above"), "{error}");
    assert_replayed(&scene.ask("k", &body).await, &first);
    assert!(scene.reseller.charged(first.request_id()).await.unwrap() > 0);
    scene.assert_paid_once(&first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_large_to_be_kept_is_not_paid_twice() {
    let scene = Scene::open(&[]).await;
    let body = chat_body(MODEL, false);
    let long = "x".repeat(5 * 1024 * 1024);
    scene.provider.on(MODEL, move |call| answer(call, &[&long]));
    let first = scene.ask("k", &body).await;
    assert_eq!(first.status, 200);
    let again = scene.ask("k", &body).await;
    let error = &again.json()["error"];
    assert_eq!((again.status, &again.json()["code"]), (409, &json!(40901)), "{again:?}");
    assert_eq!((&error["type"], &error["code"]), (&json!("conflict_error"), &json!("answer_not_kept")));
    assert!(error["message"].as_str().unwrap().contains(first.request_id()), "{error}");
    assert_eq!((again.header("x-should-retry"), again.header("retry-after")), (Some("false"), None));
    scene.assert_paid_once(&first).await;
}

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_outlives_the_process(#[case] is_stream: bool) {
    let mut scene = Scene::open(&[]).await;
    let body = chat_body(MODEL, is_stream);
    let first = scene.ask("k", &body).await;
    assert_eq!(first.status, 200, "{first:?}");
    scene.reseller.server.kill9();
    scene.reseller.server.restart();
    assert_replayed(&scene.ask("k", &body).await, &first);
    scene.assert_paid_once(&first).await;
}

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_in_between_makes_no_second_charge(#[case] is_stream: bool) {
    // Where others may serve the same database, what a dead process held is free once it was silent this long.
    let mut scene = Scene::open(&[("XIAOYI_LEDGER_OWNER_SILENCE_S", "10"), ("XIAOYI_LEDGER_SWEEP_S", "1")]).await;
    let body = chat_body(MODEL, is_stream);
    let _gate = scene.gate();
    let sending = scene.begin("k", &body).await;
    if is_stream {
        // Its first text has reached the client.
        let mut response = sending.await.unwrap().unwrap();
        response.chunk().await.unwrap().expect("the first text");
        scene.reseller.server.kill9();
    } else {
        scene.reseller.server.kill9();
        assert!(sending.await.unwrap().is_err(), "the connection broke");
    }
    scene.provider.on(MODEL, |call| answer(call, &PIECES));
    scene.reseller.server.restart();
    let answered: Reply = scene.ask_until_answered("k", &body).await;
    assert_eq!((answered.status, answered.text()), (200, PIECES.concat()), "{answered:?}");
    assert_eq!(scene.calls(), 2, "what died is asked for once more");
    assert_replayed(&scene.ask("k", &body).await, &answered);
    assert_eq!(scene.calls(), 2);
    let charged = scene.reseller.charged(answered.request_id()).await.unwrap();
    scene.reseller.assert_books(charged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_gives_up_what_waits_without_a_client() {
    let mut scene = Scene::open(&[("XIAOYI_WORKER_CONCURRENCY", "1"), ("XIAOYI_HTTP_SHUTDOWN_S", "5")]).await;
    let _gate = scene.gate();
    let body = chat_body(MODEL, false);
    let mut calls = Vec::new();
    for key in ["runs", "waits"] {
        calls.push(scene.begin(key, &body).await);
    }
    let both = scene.reseller.balance().await.1;
    assert!(both > 0);
    for call in calls {
        call.abort();
    }
    let begun = std::time::Instant::now();
    scene.reseller.server.terminate();
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(
        !scene.reseller.server.log().contains("stopped with calls still running"),
        "{}",
        scene.reseller.server.log()
    );
    scene.provider.on(MODEL, |call| answer(call, &PIECES));
    scene.reseller.server.restart();
    assert_eq!(scene.reseller.balance().await.1, 0, "nothing is held any more");
    let mut charged = 0;
    for key in ["runs", "waits"] {
        let answered = scene.ask(key, &body).await;
        assert_eq!(answered.status, 200, "its key is free: {answered:?}");
        charged += scene.reseller.charged(answered.request_id()).await.unwrap();
    }
    scene.reseller.assert_books(charged).await;
}
