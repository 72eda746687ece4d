//! Texts that would like to be more than text, in every field that takes one.

use super::chromium::{Chromium, USUAL};
use super::window::Window;
use crate::support::Server;

/// Markup in every context that a page has, quotes, right-to-left marks, an emoji, a template's and a script's own signs.
const HOSTILE: [&str; 4] = [
    "<script data-hostile>window.xss=1</script>",
    "\"'><img data-hostile src=x onerror=window.xss=1>&amp;{{7*7}}",
    "' onmouseover='window.xss=1' x='\u{202e}\u{2066}desrever\u{2069}😀",
    "</title></textarea></script><svg data-hostile onload=window.xss=1>`${window.xss=1}`",
];

#[tokio::test(flavor = "multi_thread")]
async fn they_are_shown_as_text_wherever_they_can_be_entered() {
    let (server, chromium) = (Server::start(), Chromium::start());
    server.echo("gpt-4").await;
    let window = chromium.window(USUAL, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    for (number, text) in HOSTILE.into_iter().enumerate() {
        let name = format!("{number}{text}");
        let tenant = window.create_tenant(&name).await;
        shows(&window, &name).await;
        let key = window.issue_key(&name).await;
        shows(&window, &name).await;
        window.open(&tenant).await;
        window.prepare_top_up("1.00", &name, &name).await;
        shows(&window, &name).await;
        window.confirm().await;
        shows(&window, &name).await;
        for (action, field) in [("notes", "note"), ("block-user", "end_user")] {
            window.open(&tenant).await;
            window.fill(&format!("main form[action$='/{action}'] [name={field}]"), &format!("{action}{text}")).await;
            window.press(&format!("main form[action$='/{action}'] button")).await;
            shows(&window, &format!("{action}{text}")).await;
        }
        window.open("/codes/new").await;
        for (field, value) in [("name", name.as_str()), ("count", "1"), ("value", "1.00"), ("expires", "90d")] {
            window.fill(&format!("main [name={field}]"), value).await;
        }
        window.send("count").await;
        shows(&window, &name).await;
        // The names of models hold neither of these.
        let model = name.replace(['=', ','], "");
        window.open("/channels/new").await;
        window.fill("main [name=name]", &name).await;
        window.choose("kind", "echo").await;
        window.fill("main [name=base_url]", "echo:").await;
        window.fill("main [name=models]", &model).await;
        window.send("models").await;
        shows(&window, &name).await;
        shows(&window, &model).await;

        let body = serde_json::json!({"model": "gpt-4", "user": name, "messages": [{"role": "user", "content": "hi"}]});
        let reply = server.post("/v1/chat/completions", &key, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let call = format!("/calls/{}", reply.headers["x-request-id"].to_str().expect("an id"));
        server
            .within(super::chromium::PATIENCE, "the call", async || {
                window.open(&call).await;
                window.body().await.contains(&name)
            })
            .await;
        window.inspect().await;
    }
    // And where they come together: lists, searches, filters, the audit log.
    for page in
        ["/tenants", "/keys", "/top-ups", "/usage", "/ledger", "/codes", "/channels", "/models", "/audit", "/dashboard"]
    {
        window.open(page).await;
        window.inspect().await;
    }
    for text in HOSTILE {
        window.open("/tenants").await;
        window.fill("form[role=search] [name=q]", text).await;
        window.press("form[role=search] button").await;
        window.inspect().await;
    }
}

/// The page has the text, letter for letter, and nothing came of it.
async fn shows(window: &Window, text: &str) {
    let body = window.body().await;
    if !body.contains(text) {
        window.fail(&format!("{text:?} is not there")).await;
    }
    window.inspect().await;
}
