//! The first day of a service: from the first owner to a customer's first charge.

use rstest::rstest;

use super::chromium::{Chromium, Person, USUAL, WITHOUT_SCRIPTS};
use super::operator::invitation;
use crate::support::Server;

/// 2 hanzi and 3 words: 2 + 3.9, rounded down, are 5 tokens.
const QUESTION: &str = "你好 world, GPT-4!";

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_owner_to_a_charge(#[case] person: Person) {
    let server = Server::start();
    server.echo("gpt-4").await;
    let chromium = Chromium::start();
    let window = chromium.window(person, &server.address("admin", "")).await;

    // Nobody is signed in, and there is no password that anybody could know.
    window.open("/").await;
    assert!(window.path().await.starts_with("/sign-in"));
    window.inspect().await;
    let link = invitation(&server, "owner@example.com", "owner");
    window.accept(&link).await;
    if !window.has("nav.side").await {
        window.sign_in("owner@example.com").await;
    }
    assert_eq!(window.attribute("html", "lang").await, person.language);
    window.inspect().await;

    let tenant = window.create_tenant("acme 小店").await;
    window.inspect().await;

    let key = window.issue_key("the shop").await;
    window.inspect().await;
    window.reload().await;
    let html = window.html().await;
    assert!(!html.contains(&key.secret), "the secret is shown again");
    window.inspect().await;

    window.open(&tenant).await;
    window.prepare_top_up("12.5", "invoice 7", "paid in cash").await;
    for shown in ["acme 小店", "12.50", "0.00", "invoice 7"] {
        window.see(shown).await;
    }
    window.inspect().await;
    window.confirm().await;
    window.see("invoice 7").await;
    window.inspect().await;
    // A reload does not send the form again.
    window.reload().await;
    assert_eq!(server.get("/v1/balance", &key).await.json["posted"], "12.50");

    let reply = server.chat(&key, "gpt-4", QUESTION).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let call = reply.headers["x-request-id"].to_str().expect("an id").to_owned();
    let link = format!(r#"main a[href="/calls/{call}"]"#);
    window.open(&tenant).await;
    // The details of a call are written a moment after its end.
    server
        .within(super::chromium::PATIENCE, "the call on the tenant's page", async || {
            window.reload().await;
            window.has(&link).await
        })
        .await;
    window.inspect().await;
    window.press(&link).await;
    let times = person.say("x", "×");
    window.see(&format!("5 {times} 10.00 / 1,000,000 = 0.000050000")).await;
    window.see(&format!("5 {times} 30.00 / 1,000,000 = 0.000150000")).await;
    window.see("0.000200000").await;
    window.inspect().await;
    window.shoot("call").await;
    assert_eq!(server.get("/v1/balance", &key).await.json["posted"], "12.4998");
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}
