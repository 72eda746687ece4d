//! Whatever is sent twice, or by two at once, or again after going back, happens as often as it was meant.

use rstest::rstest;
use serde_json::Value;

use super::chromium::{Chromium, Person, USUAL, WITHOUT_SCRIPTS};
use super::operator::{CONFIRM, invitation};
use super::window::Window;
use crate::support::{IssuedKey, Server};

/// Names and values of the form that moves the money.
const FIELDS: &str = r#"return [...new FormData(document.querySelector('main form[action="/top-ups"]'))]"#;
/// Sends that form, and stops loading what comes of it.
const STOPPED: &str =
    r#"document.querySelector('main form[action="/top-ups"]').requestSubmit(); setTimeout(() => stop(), 200)"#;
/// Sends such fields as a form of the page.
const SEND: &str = r#"
const form = document.createElement("form");
[form.method, form.action] = ["post", arguments[0]];
for (const [name, value] of arguments[1]) {
  const field = document.createElement("input");
  [field.type, field.name, field.value] = ["hidden", name, value];
  form.append(field);
}
document.body.append(form);
form.submit();"#;

impl Window {
    /// Sends these fields, as a form of the page, once more.
    pub(super) async fn send_fields(&self, path: &str, fields: Value) {
        let sent = async || self.driver.execute(SEND, vec![path.into(), fields]).await.map(drop);
        self.turn("the same fields", sent).await;
    }
}

/// An operator with a tenant that has a key, on the tenant's page.
pub(super) async fn begin(server: &Server, chromium: &Chromium, person: Person) -> (Window, String, IssuedKey) {
    let window = chromium.window(person, &server.address("admin", "")).await;
    window.begin_as(server, "billing@example.com", "owner").await;
    let tenant = window.create_tenant("acme").await;
    let issued = server.issue(&["--tenant", "acme", "--console", "tenant"]);
    (window, tenant, issued)
}

pub(super) async fn ledger(server: &Server, key: &IssuedKey) -> Vec<Value> {
    let reply = server.get("/v1/ledger?limit=100", key).await;
    reply.json["data"].as_array().unwrap_or_else(|| panic!("{}", reply.text)).clone()
}

pub(super) async fn posted(server: &Server, key: &IssuedKey) -> Value {
    server.get("/v1/balance", key).await.json["posted"].clone()
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts(WITHOUT_SCRIPTS)]
#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_is_one_top_up(#[case] person: Person) {
    let (server, chromium) = (Server::start(), Chromium::start());
    let (window, tenant, key) = begin(&server, &chromium, person).await;
    window.open(&tenant).await;
    window.prepare_top_up("5.00", "invoice 1", "").await;
    let button = window.find(CONFIRM).await;
    let twice = window.driver.action_chain_with_delay(None, Some(std::time::Duration::ZERO));
    window.turn("a double click", async || twice.double_click_element(&button).perform().await).await;
    window.see("invoice 1").await;
    assert_eq!(posted(&server, &key).await, "5.00");
    assert_eq!(ledger(&server, &key).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_whose_answer_was_stopped_can_be_sent_again_and_books_once() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let (window, tenant, key) = begin(&server, &chromium, USUAL).await;
    window.open(&tenant).await;
    window.prepare_top_up("5.00", "invoice 1", "").await;
    server.pause();
    // The button, and then the one of the browser that stops loading.
    window.evaluate(STOPPED).await;
    window.find("main form[data-sent]").await;
    server.resume();
    window.find("main form:not([data-sent])").await;
    window.confirm().await;
    window.see("invoice 1").await;
    assert_eq!(posted(&server, &key).await, "5.00");
    assert_eq!(ledger(&server, &key).await.len(), 1);
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts(WITHOUT_SCRIPTS)]
#[tokio::test(flavor = "multi_thread")]
async fn the_same_form_sent_again_books_nothing_and_shows_the_first_entry(#[case] person: Person) {
    let (server, chromium) = (Server::start(), Chromium::start());
    let (window, tenant, key) = begin(&server, &chromium, person).await;
    window.open(&tenant).await;
    window.prepare_top_up("5.00", "invoice 1", "").await;
    let fields = window.evaluate(FIELDS).await;
    window.confirm().await;
    let entry = window.path().await;
    // The page with the button came of a form, so the browser does not show it again unasked; the form before it is still filled in.
    window.turn("back", async || window.driver.back().await).await;
    window.turn("back", async || window.driver.back().await).await;
    window.send("amount").await;
    if window.has(CONFIRM).await {
        window.confirm().await;
    }
    window.see("invoice 1").await;
    window.inspect().await;

    window.send_fields("/top-ups", fields).await;
    window.expect("the page of the entry", window.path().await.split('?').next(), entry.split('?').next()).await;
    assert_eq!(posted(&server, &key).await, "5.00");
    assert_eq!(ledger(&server, &key).await.len(), 1);
    window.inspect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_the_same_moment_both_count() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let (one, tenant, key) = begin(&server, &chromium, USUAL).await;
    let other = chromium.window(USUAL, &server.address("admin", "")).await;
    other.begin_as(&server, "second@example.com", "billing").await;
    for (window, amount, reference) in [(&one, "5.00", "from one"), (&other, "7.00", "from the other")] {
        window.open(&tenant).await;
        window.prepare_top_up(amount, reference, "").await;
        // Each is told of a balance that the other is about to change.
        window.see("0.00").await;
    }
    tokio::join!(one.confirm(), other.confirm());
    one.see("from one").await;
    other.see("from the other").await;
    assert_eq!(posted(&server, &key).await, "12.00");
    let mut references: Vec<_> = ledger(&server, &key).await.iter().map(|entry| entry["reference"].clone()).collect();
    references.sort_by_key(ToString::to_string);
    assert_eq!(references, ["from one", "from the other"]);
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_with_one_reference_are_one_top_up() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let (one, tenant, key) = begin(&server, &chromium, USUAL).await;
    let other = chromium.window(USUAL, &server.address("admin", "")).await;
    other.begin_as(&server, "second@example.com", "billing").await;
    for window in [&one, &other] {
        window.open(&tenant).await;
        window.prepare_top_up("5.00", "invoice 1", "").await;
    }
    tokio::join!(one.confirm(), other.confirm());
    assert_eq!(posted(&server, &key).await, "5.00");
    assert_eq!(ledger(&server, &key).await.len(), 1);
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts(WITHOUT_SCRIPTS)]
#[tokio::test(flavor = "multi_thread")]
async fn going_back_after_issuing_a_key_neither_shows_it_nor_issues_another(#[case] person: Person) {
    let (server, chromium) = (Server::start(), Chromium::start());
    let (window, tenant, _) = begin(&server, &chromium, person).await;
    window.open(&tenant).await;
    let key = window.issue_key("of the shop").await;
    let keys = || server.command(&["key", "list", "--tenant", "acme"]).ok().as_array().expect("a list").len();
    let before = keys();

    let hidden = async || {
        let html = window.html().await;
        window.expect("the secret is hidden", html.contains(&key.secret), false).await;
    };
    window.turn("back", async || window.driver.back().await).await;
    hidden().await;
    // The form is still the one that was sent.
    if window.has("main [name=name]").await {
        window.send("name").await;
        hidden().await;
        window.inspect().await;
        window.turn("back", async || window.driver.back().await).await;
    }
    window.turn("forward", async || window.driver.forward().await).await;
    hidden().await;
    assert_eq!(keys(), before);
    // It is the one that works.
    assert_eq!(server.get("/v1/balance", &key).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_taken_once() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let link = invitation(&server, "owner@example.com", "owner");
    let root = server.address("admin", "");
    let window = chromium.window(USUAL, &root).await;
    // Looking at it, as a mail program does, does not use it up.
    window.open(&link).await;
    window.accept(&link).await;
    let other = chromium.window(USUAL, &root).await;
    other.open(&link).await;
    assert!(!other.has("main [name=password]").await);
    other.inspect().await;
}
