//! What is shown once, and the ids by which people talk about keys and calls, can be copied. What was copied is pasted, as a person does it.

use thirtyfour::Key;

use super::chromium::{Chromium, USUAL, WITHOUT_SCRIPTS};
use super::developer::customer;
use super::window::Window;
use crate::support::Server;

impl Window {
    /// Presses a button that copies.
    async fn copy(&self, selector: &str) {
        let pressed = self.find(&format!("{selector}[data-copy]:not([hidden])")).await.click().await;
        self.done(selector, pressed).await;
        self.find(&format!("{selector}[data-told]")).await;
        self.expect("what the button says", self.read(&format!("{selector}[data-told]")).await, "✓".to_owned()).await;
    }

    /// What comes when a person pastes into this field, once it is empty. It is empty afterwards.
    async fn paste_into(&self, selector: &str) -> String {
        let field = self.find(selector).await;
        let cleared = field.clear().await;
        self.done("clearing", cleared).await;
        let pasted = field.send_keys(Key::Control + "v").await;
        self.done("pasting", pasted).await;
        let value = self.evaluate(&format!("return document.querySelector({selector:?}).value")).await;
        let cleared = field.clear().await;
        self.done("clearing", cleared).await;
        value.as_str().unwrap_or_default().to_owned()
    }
}

/// The field that every page of the panel has.
const SEARCH: &str = "input[name=q]";

#[tokio::test(flavor = "multi_thread")]
async fn in_the_panel() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let window = chromium.window(USUAL, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    window.create_tenant("acme").await;
    let key = window.issue_key("of the shop").await;
    window.copy("[data-secret] button").await;
    assert_eq!(window.paste_into(SEARCH).await, key.secret);
    window.inspect().await;

    window.press("[data-secret] a.button").await;
    window.copy("h1 button").await;
    assert_eq!(window.paste_into(SEARCH).await, key.id);
    window.go("/keys").await;
    window.copy("tbody th button").await;
    assert_eq!(window.paste_into(SEARCH).await, key.id);

    window.go("/codes").await;
    let codes = window.make_codes("spring", "3").await;
    window.copy("[data-secret] button").await;
    // A field of one line has no place for the ends of the others.
    let pasted = window.paste_into(SEARCH).await.replace(char::is_whitespace, "");
    assert_eq!(pasted, codes.concat());
    window.inspect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_console() {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let window = chromium.window(USUAL, &server.address("api", "")).await;
    window.sign_in_with(&key.secret).await;
    window.press(r#"nav a[href="/console/keys"]"#).await;
    window.copy("tbody th button").await;
    window.press(r#"nav a[href="/console/redeem"]"#).await;
    assert_eq!(window.paste_into("main [name=code]").await, key.id);

    window.press(r#"nav a[href="/console/keys"]"#).await;
    window.press(r#"main a[href$="/rotate"]"#).await;
    window.send("grace_hours").await;
    let next = window.shown_key().await;
    window.copy("[data-secret] button").await;
    window.press(r#"nav a[href="/console/playground"]"#).await;
    assert_eq!(window.paste_into("main textarea").await, next.secret);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_button_is_shown_that_could_not_work() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let window = chromium.window(WITHOUT_SCRIPTS, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    window.create_tenant("acme").await;
    window.issue_key("of the shop").await;
    assert!(window.has("[data-copy][hidden]").await);
    assert!(!window.has("[data-copy]:not([hidden])").await);
}
