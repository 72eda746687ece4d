//! What a developer does in the console, step by step.

use rstest::rstest;

use super::chromium::{Chromium, PATIENCE, Person, USUAL, WITHOUT_SCRIPTS};
use super::window::Window;
use crate::support::{IssuedKey, Server};

impl Window {
    /// Signs in to the console with a key.
    pub(super) async fn sign_in_with(&self, secret: &str) {
        self.open("/console/sign-in").await;
        self.fill("main [name=secret_key]", secret).await;
        self.send("secret_key").await;
    }
}

/// A server with a customer, whose key sees the whole tenant.
pub(super) async fn customer() -> (Server, IssuedKey) {
    let server = Server::start();
    server.echo("gpt-4").await;
    server.command(&["tenant", "create", "acme"]).ok();
    server.command(&["topup", "--tenant", "acme", "--amount", "10.00", "--reference", "first"]).ok();
    let key = server.issue(&["--tenant", "acme", "--console", "tenant", "--name", "the shop"]);
    (server, key)
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[tokio::test(flavor = "multi_thread")]
async fn from_signing_in_to_a_rotated_key(#[case] person: Person) {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let window = chromium.window(person, &server.address("api", "")).await;
    window.open("/console").await;
    window.inspect().await;

    window.sign_in_with("sk-xy-is-not-a-key").await;
    assert!(window.has("main [name=secret_key]").await, "a wrong key signs nobody in");
    window.inspect().await;
    window.sign_in_with(&key.secret).await;
    window.see("10.00").await;
    assert_eq!(window.attribute("html", "lang").await, person.language);
    assert!(!window.path().await.contains("sk-xy") && !window.html().await.contains(&key.secret));
    window.inspect().await;

    // A call in the playground, and what it cost.
    window.press(r#"nav a[href="/console/playground"]"#).await;
    window.choose("model", "gpt-4").await;
    window.fill("main textarea", "你好 world, GPT-4!").await;
    window.inspect().await;
    window.press("main form:has(textarea) button:not([type=button])").await;
    window.see("0.0002").await;
    window.inspect().await;
    server
        .within(PATIENCE, "the balance on the first page", async || {
            window.open("/console").await;
            window.text().await.contains("9.9998")
        })
        .await;

    window.press(r#"nav a[href="/console/calls"]"#).await;
    let link = r#"main a[href^="/console/calls/"]"#;
    server
        .within(PATIENCE, "the call", async || {
            window.reload().await;
            window.has(link).await
        })
        .await;
    window.inspect().await;
    window.press(link).await;
    let times = person.say("x", "×");
    window.see(&format!("5 {times} 30.00 / 1,000,000 = 0.000150000")).await;
    window.inspect().await;

    window.press(r#"nav a[href="/console/keys"]"#).await;
    window.inspect().await;
    window.press(&format!(r#"main a[href="/console/keys/{}/rotate"]"#, key.id)).await;
    window.inspect().await;
    window.send("grace_hours").await;
    let next = window.shown_key().await;
    window.inspect().await;
    assert_ne!(next.id, key.id);
    for valid in [&key, &next] {
        assert_eq!(server.get("/v1/balance", valid).await.status, 200);
    }
    window.reload().await;
    assert!(!window.html().await.contains(&next.secret), "the secret is shown again");
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_on_the_command_line_is_signed_out_with_the_next_click() {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let window = chromium.window(USUAL, &server.address("api", "")).await;
    window.sign_in_with(&key.secret).await;
    window.see("10.00").await;
    server.command(&["key", "revoke", &key.id]).ok();
    // Nothing is kept of a key between two clicks, so nothing is waited for.
    window.press(r#"nav a[href="/console/keys"]"#).await;
    let signs_in_again = window.has("main [name=secret_key]").await;
    window.expect("the page for signing in", signs_in_again, true).await;
}
