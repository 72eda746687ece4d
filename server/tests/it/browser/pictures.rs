//! The pictures of the README. `scripts/screenshots.sh` makes them.

use serde_json::json;

use super::chromium::{Chromium, PATIENCE, Person, USUAL};
use crate::support::{IssuedKey, Server};

/// What developers ask.
const QUESTIONS: [&str; 6] = [
    "请介绍一下你自己",
    "Write a haiku about double-entry bookkeeping.",
    "用 Rust 写一个二分查找，并解释每一步的复杂度。",
    "What is 1+100?",
    "把下面这句话翻译成英文：账目清楚，朋友长久。",
    "请用三句话总结这份会议纪要 (minutes of the meeting of 3 March)。",
];
const USERS: [&str; 4] = ["alice", "bob", "小明", "carol"];
const MODELS: [&str; 2] = ["gpt-3.5", "gpt-4"];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it makes pictures for people"]
async fn of_the_panel_and_the_console() {
    let server = Server::start();
    server.echo(&MODELS.join(",")).await;
    let chromium = Chromium::start();
    let panel = chromium.window(USUAL, &server.address("admin", "")).await;
    panel.begin_as(&server, "wang@example.com", "owner").await;
    let mut keys = Vec::new();
    for (name, amount) in [("Acme Robotics", "250.00"), ("杭州云帆科技", "1200.00"), ("Lighthouse Labs", "80.50")]
    {
        server.command(&["tenant", "create", name]).ok();
        server.command(&["topup", "--tenant", name, "--amount", amount, "--reference", "INV-2041"]).ok();
        keys.push(server.issue(&["--tenant", name, "--name", "production", "--console", "tenant"]));
    }
    for round in 0..60_usize {
        call(&server, &keys[round % 3], round).await;
    }
    panel.open("/tenants").await;
    panel.press("main table a[href^='/tenants/']").await;
    let tenant = panel.path().await;
    // When a key was used is written a few seconds later.
    server
        .within(PATIENCE, "the use of the key", async || {
            panel.reload().await;
            !panel.text().await.contains("never")
        })
        .await;
    panel.prepare_top_up("100.00", "INV-2077", "bank transfer of 3 March").await;
    panel.shoot("top-up").await;
    panel.confirm().await;
    panel.open(&tenant).await;
    panel.shoot("tenant").await;
    panel.press("main a[href^='/calls/']").await;
    panel.shoot("call").await;
    panel.open("/dashboard?range=1h").await;
    panel.shoot("dashboard").await;
    panel.prefer("dark").await;
    panel.open("/usage").await;
    panel.shoot("usage-dark").await;

    let person = Person { language: "zh-CN", ..USUAL };
    let console = chromium.window(person, &server.address("api", "")).await;
    console.sign_in_with(&keys[1].secret).await;
    console.shoot("console").await;
}

async fn call(server: &Server, key: &IssuedKey, round: usize) {
    let question = QUESTIONS[round % QUESTIONS.len()].repeat(1 + round % 5);
    let body = json!({
        "model": MODELS[round % MODELS.len()],
        "user": USERS[round % USERS.len()],
        "messages": [{"role": "user", "content": question}],
    });
    assert_eq!(server.post("/v1/chat/completions", key, &body).await.status, 200);
}
