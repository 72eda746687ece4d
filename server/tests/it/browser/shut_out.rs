//! What shuts calls out counts within a second of its page, and so does what lets them in again: a suspended tenant, a blocked end user, a
//! revoked key. None of it moves money.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};

use super::chromium::{Chromium, ON_A_PHONE, PATIENCE, Person, USUAL, WITHOUT_SCRIPTS};
use super::developer::customer;
use super::window::Window;
use crate::support::{IssuedKey, Reply, Server};

/// The longest that calls may go on as before, counted from when the page says that it is done.
const SOON: Duration = Duration::from_secs(1);

/// A call that names nobody, or its end user.
fn call(user: Option<&str>) -> Value {
    let mut call = json!({"model": "gpt-4", "messages": [{"role": "user", "content": "你好 world, GPT-4!"}]});
    if let Some(user) = user {
        call["user"] = user.into();
    }
    call
}

async fn answer(server: &Server, key: &IssuedKey, call: &Value) -> Reply {
    server.post("/v1/chat/completions", key, call).await
}

/// Calls until one is answered with this status: whatever begins more than a second from now is. Gives the code of its error.
async fn turns_into(status: u16, server: &Server, key: &IssuedKey, call: &Value) -> Value {
    let now = Instant::now();
    loop {
        let began = now.elapsed();
        let reply = answer(server, key, call).await;
        if reply.status == status {
            return reply.json["error"]["code"].clone();
        }
        assert!(began < SOON, "{began:?} later a call is answered with {}: {}", reply.status, reply.text);
    }
}

/// The balance as the books have it, whoever may ask.
fn posted(server: &Server) -> Value {
    server.command(&["balance", "--tenant", "acme"]).ok()["posted"].clone()
}

/// An operator on the tenant's page.
async fn at_the_tenant(server: &Server, chromium: &Chromium, person: Person) -> Window {
    let window = chromium.window(person, &server.address("admin", "")).await;
    window.begin_as(server, "owner@example.com", "owner").await;
    window.go("/tenants").await;
    window.follow("/tenants/", "acme").await;
    window
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[case::on_a_phone(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_until_it_is_resumed(#[case] person: Person) {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let panel = at_the_tenant(&server, &chromium, person).await;
    let console = chromium.window(person, &server.address("api", "")).await;
    console.sign_in_with(&key.secret).await;
    assert_eq!(answer(&server, &key, &call(None)).await.status, 200);

    let suspend = r#"main a[href$="/suspend"]"#;
    panel.press(suspend).await;
    panel.inspect().await;
    // The page alone does nothing.
    panel.press("main .actions a.button").await;
    assert_eq!(answer(&server, &key, &call(None)).await.status, 200);
    panel.press(suspend).await;
    panel.press(r#"main form[action$="/suspend"] button"#).await;
    panel.find(r#"main a[href$="/resume"]"#).await;
    assert_eq!(turns_into(403, &server, &key, &call(None)).await, "tenant_suspended");
    let before = posted(&server);
    assert_eq!(answer(&server, &key, &call(None)).await.status, 403);
    assert_eq!(posted(&server), before);
    panel.inspect().await;
    console.open("/console").await;
    console.see(person.say("This account is suspended", "该账户已被暂停")).await;
    console.inspect().await;

    panel.press(r#"main a[href$="/resume"]"#).await;
    panel.inspect().await;
    panel.press(r#"main form[action$="/resume"] button"#).await;
    panel.find(suspend).await;
    turns_into(200, &server, &key, &call(None)).await;
    panel.inspect().await;
    // The session was only kept out.
    console.open("/console").await;
    console.find("nav [aria-current=page]").await;
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[case::on_a_phone(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn an_end_user_who_is_blocked_from_the_page_of_a_call(#[case] person: Person) {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let panel = at_the_tenant(&server, &chromium, person).await;
    // A browser would send the end of this line as another one.
    let [blocked, other] = ["小明 \n& <co>", "小明"].map(|user| call(Some(user)));
    assert_eq!(answer(&server, &key, &blocked).await.status, 200);
    // In the list of calls, which has it with its details.
    let link = "main th a[href^='/calls/']";
    server
        .within(PATIENCE, "the call on the tenant's page", async || {
            panel.reload().await;
            panel.has(link).await
        })
        .await;
    panel.press(link).await;
    let first = panel.path().await;
    panel.inspect().await;
    panel.press(r#"main form[action$="/block-user"] button"#).await;
    panel.find(r#"main form[action$="/unblock-user"]"#).await;
    assert_eq!(turns_into(403, &server, &key, &blocked).await, "user_blocked");
    let before = posted(&server);
    assert_eq!(answer(&server, &key, &blocked).await.status, 403);
    assert_eq!(posted(&server), before);
    for call in [&other, &call(None)] {
        assert_eq!(answer(&server, &key, call).await.status, 200);
    }
    panel.inspect().await;

    panel.open(&first).await;
    panel.see(person.say("blocked since", "已封禁 自")).await;
    panel.inspect().await;
    panel.press(r#"main form[action$="/unblock-user"] button"#).await;
    panel.see(person.say("Nobody is blocked", "没有封禁任何人")).await;
    turns_into(200, &server, &key, &blocked).await;
    panel.inspect().await;
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[case::on_a_phone(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_and_whoever_is_signed_in_with_it(#[case] person: Person) {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let panel = at_the_tenant(&server, &chromium, person).await;
    let root = server.address("api", "");
    let (reader, writer) = (chromium.window(person, &root).await, chromium.window(person, &root).await);
    for window in [&reader, &writer] {
        window.sign_in_with(&key.secret).await;
        window.see("10.00").await;
    }
    writer.press(r#"nav a[href="/console/redeem"]"#).await;
    writer.fill("main [name=code]", "a code").await;

    panel.press(&format!(r#"main a[href="/keys/{}"]"#, key.id)).await;
    panel.inspect().await;
    panel.press(r#"main a[href$="/revoke"]"#).await;
    panel.inspect().await;
    panel.press(r#"main form[action$="/revoke"] button"#).await;
    panel.expect("a second revocation", panel.has(r#"main a[href$="/revoke"]"#).await, false).await;
    // Calls have a second. In the console nothing has to become known: the next click reads the key.
    let (calls, click) = (call(None), reader.press(r#"nav a[href="/console/calls"]"#));
    let (code, ()) = tokio::join!(turns_into(401, &server, &key, &calls), click);
    assert_eq!(code, "invalid_api_key");
    let before = posted(&server);
    assert_eq!(answer(&server, &key, &calls).await.status, 401);
    assert_eq!(posted(&server), before);
    reader.see(person.say("was revoked", "已被吊销")).await;
    reader.find("main [name=secret_key]").await;
    reader.inspect().await;
    writer.send("code").await;
    writer.see(person.say("was revoked", "已被吊销")).await;
    writer.inspect().await;
    panel.inspect().await;
}
