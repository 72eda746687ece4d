//! The dashboard shows what happens while somebody looks at it.

use super::chromium::{Chromium, Person, USUAL};
use super::window::Window;
use crate::support::Server;

/// The figures that say that they are old, and all figures.
const OLD: &str = "#live .figures dt:has(.old)";
const FIGURES: &str = "#live .figures dt";

impl Window {
    /// The dashboard says that it could not be renewed, and so does each figure.
    async fn sees_that_it_is_old(&self) {
        self.see(self.person.say("Not refreshed since", "未刷新，数据截至")).await;
        let (note, as_of) = (self.read("[data-behind-note] time").await, self.read("#live [data-as-of] time").await);
        self.expect("since when", note, as_of).await;
        let (old, all) = (self.find_all(OLD).await.len(), self.find_all(FIGURES).await.len());
        self.expect("figures that are old", old, all).await;
        // What the browser says of the server meanwhile is no complaint about the page.
        self.expect("for everybody", self.inaccessible().await, Vec::new()).await;
        self.expect("on a phone", self.beyond_the_edge().await, Vec::new()).await;
        self.shoot(&format!("{}-behind", self.person.language)).await;
    }

    /// It says so no more.
    async fn sees_that_it_is_new(&self) {
        self.find("[data-behind-note]:empty").await;
        self.expect("figures that are old", self.find_all(OLD).await.len(), 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_seen_without_loading_the_page_again() {
    let (server, chromium) = (Server::start(), Chromium::start());
    server.echo("gpt-4").await;
    let key = server.customer("acme");
    let window = chromium.window(USUAL, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    window.open("/dashboard").await;
    let page = window.find("html").await.element_id();
    assert!(!window.read("#live").await.contains("0.0002"));
    assert_eq!(server.chat(&key, "gpt-4", "你好 world, GPT-4!").await.status, 200);
    window.see("0.0002").await;
    assert_eq!(window.find("html").await.element_id(), page);
    window.inspect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_the_server_does_not_answer_is_said_until_it_does() {
    let (mut server, chromium) = (Server::start(), Chromium::start());
    let window = chromium.window(USUAL, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    let chinese = chromium.window(Person { language: "zh-CN", ..USUAL }, &server.address("admin", "")).await;
    chinese.begin_as(&server, "second@example.com", "owner").await;
    for window in [&window, &chinese] {
        window.open("/dashboard").await;
        window.sees_that_it_is_new().await;
    }
    let as_of = window.read("#live [data-as-of] time").await;
    // It takes connections and does not answer.
    server.pause();
    window.sees_that_it_is_old().await;
    server.resume();
    window.sees_that_it_is_new().await;
    assert_ne!(window.read("#live [data-as-of] time").await, as_of);

    // There is nobody who takes them.
    server.kill9();
    for window in [&window, &chinese] {
        window.sees_that_it_is_old().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_stands_still_while_somebody_reads() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let window = chromium.window(USUAL, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    window.open("/dashboard").await;
    let turn = async || {
        let turned = window.evaluate("document.querySelector('#live summary').click(); document.activeElement.blur()");
        turned.await;
    };
    turn().await;
    window.sees_that_it_is_old().await;
    window.see("while a table is open").await;
    turn().await;
    window.sees_that_it_is_new().await;

    window.press(r#"main a[href*="live=off"]"#).await;
    window.see("Not refreshed: it is shown as it stood at").await;
    window.inspect().await;
}
