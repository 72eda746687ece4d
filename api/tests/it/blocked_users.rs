//! End users who are blocked: every call for one is refused, whatever it calls and wherever its key is, and no other call is.

use serde_json::{Value, json};
use shared::blocked_users::{self, BlockError};
use shared::db::DbError;
use shared::id::TenantId;
use shared::key::KeyPolicy;

use crate::app::{TestApp, hello};
use crate::client::{PATIENCE, Request, post};
use crate::worker::Act;

const CHAT: &str = "/v1/chat/completions";

async fn answering() -> TestApp {
    TestApp::start(|_| vec![Act::Chunk("1", 1), Act::Answer(&["{}"], 1)]).await
}

async fn block(app: &TestApp, tenant: TenantId, end_user: &'static str) {
    let now = app.deployment.clock.now();
    let blocked = app.deployment.database.write(move |connection| {
        blocked_users::block(connection, tenant, end_user, "staff@example.com", now)?;
        Ok::<_, BlockError>(())
    });
    blocked.await.unwrap();
}

/// A chat for this end user.
fn chat_of(key: &str, end_user: &str) -> Request {
    let mut body = hello();
    body["user"] = end_user.into();
    post(CHAT).bearer(key).json(body)
}

/// Waits until the change is known here.
async fn until(app: &TestApp, status: u16, request: Request) {
    let answered = async {
        while app.send(request.clone()).await.status != status {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("the change was never known");
}

#[actix_web::test]
async fn what_a_blocked_user_is_told() {
    let app = answering().await;
    assert_eq!(app.send(chat_of(&app.key, "ann")).await.status, 200);
    block(&app, app.tenant, "ann").await;
    until(&app, 403, chat_of(&app.key, "ann")).await;
    insta::assert_snapshot!(app.send(chat_of(&app.key, "ann")).await.shown(), @r#"
    403
    {"code":40300,"msg":"the end user of this call (`user`) is blocked; nothing was charged, please ask the operator of the service","error":{"message":"the end user of this call (`user`) is blocked; nothing was charged, please ask the operator of the service","type":"permission_error","param":"user","code":"user_blocked"}}
    "#);
    let before = app.settled().await;
    assert_eq!(app.send(chat_of(&app.key, "ann")).await.status, 403);
    assert_eq!(app.settled().await, before, "nothing is held and nothing charged");

    let unblocked = app.deployment.database.write({
        let tenant = app.tenant;
        move |connection| blocked_users::unblock(connection, tenant, "ann")
    });
    assert!(unblocked.await.map_err(|error: DbError| error).unwrap().is_some());
    until(&app, 200, chat_of(&app.key, "ann")).await;
}

#[rstest::rstest]
#[case::chat(CHAT, hello())]
#[case::stream(CHAT, json!({"messages": hello()["messages"], "stream": true}))]
#[case::completion("/v1/completions", json!({"model": "text-davinci-003", "prompt": "hello"}))]
#[case::image("/v1/images/generations", json!({"prompt": "hello"}))]
#[actix_web::test]
async fn every_endpoint(#[case] path: &str, #[case] body: Value) {
    let app = answering().await;
    for name in ["ann", "张三", "nul\u{0}"] {
        block(&app, app.tenant, name).await;
    }
    until(&app, 403, chat_of(&app.key, "nul\u{0}")).await;
    let another = app.tenant_key().await;
    let with = |user: Option<&str>| {
        let mut body = body.clone();
        if let Some(user) = user {
            body["user"] = user.into();
        }
        body
    };
    for key in [&app.key, &another] {
        for (user, status) in [
            (Some("ann"), 403),
            (Some("张三"), 403),
            (Some("nul\u{0}"), 403),
            (Some("Ann"), 200),
            (Some(""), 200),
            (None, 200),
        ] {
            let in_header = app.send(post(path).bearer(key).json(with(user))).await;
            assert_eq!(in_header.status, status, "{user:?}: {}", in_header.shown());
            let mut body = with(user);
            body["api_secret_key"] = key.as_str().into();
            let in_body = app.send(post(path).json(body)).await;
            assert_eq!(in_body.status, status, "{user:?}: {}", in_body.shown());
        }
    }
    let reply = app.send(post(path).bearer(&another).json(with(Some("ann")))).await;
    assert!(
        reply.shown().contains("\"code\":40300") && reply.shown().contains("\"user_blocked\""),
        "{}",
        reply.shown()
    );
}

/// Of another tenant the same name is another user; whether its balance suffices comes after.
#[actix_web::test]
async fn another_tenants_user_of_the_same_name() {
    let app = answering().await;
    block(&app, app.tenant, "ann").await;
    block(&app, app.poor, "bob").await;
    let poor = app.key(app.poor, KeyPolicy::default()).await;
    until(&app, 403, chat_of(&poor, "bob")).await;
    assert_eq!(app.send(chat_of(&poor, "ann")).await.status, 402);
    assert_eq!(app.send(chat_of(&app.key, "ann")).await.status, 403);
    assert_eq!(app.send(chat_of(&app.key, "bob")).await.status, 200);
}

/// Records are not calls: who is blocked is not named in them.
#[actix_web::test]
async fn records_are_shown_all_the_same() {
    let app = answering().await;
    block(&app, app.tenant, "ann").await;
    until(&app, 403, chat_of(&app.key, "ann")).await;
    for path in ["/v1/balance", "/v1/ledger", "/v1/models"] {
        let reply = app.send(crate::client::get(path).bearer(&app.key)).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.shown());
    }
}
