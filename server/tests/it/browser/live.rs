//! The dashboard shows what happens while somebody looks at it.

use super::chromium::{Chromium, USUAL};
use crate::support::Server;

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
