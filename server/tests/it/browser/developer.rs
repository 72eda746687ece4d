//! What a developer does in the console, step by step.

use rstest::rstest;

use super::chromium::{Chromium, PATIENCE, Person, USUAL, WITHOUT_SCRIPTS};
use super::window::Window;
use crate::support::{IssuedKey, Server};

/// The button that redeems a code.
const REDEEM: &str = "main form:has([name=confirmed]) button";

impl Window {
    /// Signs in to the console with a key.
    pub(super) async fn sign_in_with(&self, secret: &str) {
        self.open("/console/sign-in").await;
        self.fill("main [name=secret_key]", secret).await;
        self.send("secret_key").await;
    }
}

/// A server with a customer, whose key sees the whole tenant.
async fn customer() -> (Server, IssuedKey) {
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
    let times = if person.language == "en" { "x" } else { "×" };
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

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_made_in_the_panel_and_redeemed_once(#[case] person: Person) {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let panel = chromium.window(person, &server.address("admin", "")).await;
    panel.begin_as(&server, "owner@example.com", "owner").await;
    panel.go("/codes").await;
    panel.inspect().await;
    panel.press(r#"main a[href="/codes/new"]"#).await;
    panel.fill("main [name=name]", "spring").await;
    panel.fill("main [name=count]", "2").await;
    panel.fill("main [name=value]", "3.00").await;
    panel.fill("main [name=expires]", "90d").await;
    panel.inspect().await;
    panel.send("count").await;
    let codes = panel.evaluate("return document.querySelector('[data-secret] textarea').value").await;
    panel.inspect().await;
    let code = codes.as_str().and_then(|codes| codes.lines().next()).expect("a code").to_owned();
    panel.reload().await;
    assert!(!panel.html().await.contains(&code), "the codes are shown again");

    let console = chromium.window(person, &server.address("api", "")).await;
    console.sign_in_with(&key.secret).await;
    for balance in ["10.00", "13.00"] {
        console.press(r#"nav a[href="/console/redeem"]"#).await;
        console.see(balance).await;
        console.fill("main [name=code]", &code).await;
        console.send("code").await;
        console.inspect().await;
        // It shows what it is worth, once.
        assert_eq!(console.has(REDEEM).await, balance == "10.00");
        if balance == "10.00" {
            console.press(REDEEM).await;
            console.see("13.00").await;
            console.inspect().await;
        }
    }
    assert_eq!(server.get("/v1/balance", &key).await.json["posted"], "13.00");
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_signed_out_soon() {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let window = chromium.window(USUAL, &server.address("api", "")).await;
    window.sign_in_with(&key.secret).await;
    window.see("10.00").await;
    server.command(&["key", "revoke", &key.id]).ok();
    server
        .within(std::time::Duration::from_secs(5), "the end of the session", async || {
            window.open("/console").await;
            window.has("main [name=secret_key]").await
        })
        .await;
}
