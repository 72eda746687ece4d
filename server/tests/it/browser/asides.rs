//! Pages to which no link leads, since a form makes them: what asks once more before it is done, what is shown once, and what came of a
//! test.

use rstest::rstest;

use super::chromium::{Chromium, ON_A_PHONE, Person, USUAL};
use super::window::Window;
use crate::support::{IssuedKey, Server};

/// A channel that reaches nobody: on port 1 nothing listens.
const BROKEN: &str = "http://127.0.0.1:1/v1";

impl Window {
    /// What must be true of every page, also for who has a keyboard alone.
    async fn inspect_fully(&self) {
        self.inspect().await;
        self.expect("beyond the keyboard", self.beyond_the_keyboard().await, Vec::new()).await;
        self.expect("headings of a page", self.find_all("h1").await.len(), 1).await;
    }
}

/// An owner at the panel of a server with an echo channel for `gpt-4`.
async fn owner(chromium: &Chromium, person: Person) -> (Server, Window) {
    let server = Server::start();
    server.echo("gpt-4").await;
    let window = chromium.window(person, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    (server, window)
}

#[rstest]
#[case::with_a_mouse(USUAL)]
#[case::on_a_phone_in_chinese(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn a_price_before_it_is_set(#[case] person: Person) {
    let chromium = Chromium::start();
    let (server, window) = owner(&chromium, person).await;
    window.open("/models/gpt-4").await;
    window.fill("main [name=prompt]", "12.5").await;
    window.send("prompt").await;
    window.see("12.50").await;
    window.see(person.say("Set this price?", "设置此价格？")).await;
    window.inspect_fully().await;
    let before = server.command(&["price", "list"]).ok().to_string();
    assert!(!before.contains("12.5"), "the page alone does nothing: {before}");
    window.press(r#"main form[action$="/price"]:has([name=confirmed]) button"#).await;
    window.inspect_fully().await;
    let after = server.command(&["price", "list"]).ok().to_string();
    assert!(after.contains("12.5"), "{after}");
}

#[rstest]
#[case::with_a_mouse(USUAL)]
#[case::on_a_phone_in_chinese(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_channel_answers_and_the_last_one_of_a_model(#[case] person: Person) {
    let chromium = Chromium::start();
    let (server, window) = owner(&chromium, person).await;
    let test = r#"main form[action$="/test"] button"#;
    window.open("/channels/echo-gpt-4").await;
    window.press(test).await;
    window.see(person.say("It answers", "正常应答")).await;
    window.find("main .notice.good pre").await;
    window.inspect_fully().await;

    let add = ["channel", "add", "--name", "broken", "--type", "openai", "--base-url", BROKEN, "--models", "lost"];
    server.command(&add).ok();
    window.open("/channels/broken").await;
    window.press(test).await;
    window.see(person.say("No answer", "没有应答")).await;
    window.find("main .notice.bad pre").await;
    window.inspect_fully().await;

    let disable = r#"main form[action$="/disable"] button"#;
    window.open("/channels/echo-gpt-4").await;
    window.press(disable).await;
    window.see("gpt-4").await;
    window.find("main button.danger").await;
    window.inspect_fully().await;
    window.press("main a.button").await;
    // The page alone does nothing.
    window.press(disable).await;
    window.press("main button.danger").await;
    window.find(r#"main form[action$="/enable"]"#).await;
    window.inspect_fully().await;
}

#[rstest]
#[case::with_a_mouse(USUAL)]
#[case::on_a_phone_in_chinese(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_invited_and_shut_out_again(#[case] person: Person) {
    let chromium = Chromium::start();
    let (_server, window) = owner(&chromium, person).await;
    window.open("/staff").await;
    window.fill("main [name=email]", "clerk@example.com").await;
    window.send("email").await;
    let link = window.read("[data-secret] code").await;
    window.expect("a link", link.contains("/invitation/"), true).await;
    window.inspect_fully().await;
    window.reload().await;
    window.expect("the link is shown again", window.html().await.contains(&link), false).await;
    window.inspect_fully().await;
    window.press(r#"main a.button[href="/staff"]"#).await;

    let disable = r#"main button[aria-label$="clerk@example.com"]"#;
    window.press(disable).await;
    window.find("main button.danger").await;
    window.see("clerk@example.com").await;
    window.inspect_fully().await;
    window.press("main a.button").await;
    window.press(disable).await;
    window.press("main button.danger").await;
    window.expect("a second time", window.has(disable).await, false).await;
    window.inspect_fully().await;
    window.open(link.find("/invitation/").map_or("", |at| &link[at..])).await;
    window.expect("the invitation counts", window.has("[name=password]").await, false).await;
}

#[rstest]
#[case::with_a_mouse(USUAL)]
#[case::on_a_phone_in_chinese(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_key_that_an_operator_rotates(#[case] person: Person) {
    let chromium = Chromium::start();
    let (server, window) = owner(&chromium, person).await;
    let old = server.customer("acme");
    window.open(&format!("/keys/{}", old.id)).await;
    window.press(r#"main a[href$="/rotate"]"#).await;
    window.inspect_fully().await;
    window.press(r#"main form[action$="/rotate"] button"#).await;
    let new: IssuedKey = window.shown_key().await;
    window.expect("the same key", new.id == old.id, false).await;
    window.find(&format!(r#"main dd a[href="/keys/{}"]"#, old.id)).await;
    window.inspect_fully().await;
    for valid in [&old, &new] {
        assert_eq!(server.get("/v1/balance", valid).await.status, 200);
    }
    window.reload().await;
    window.expect("the secret is shown again", window.html().await.contains(&new.secret), false).await;
    window.inspect_fully().await;
}
