//! Keys that may be used from some networks only.

use rstest::rstest;
use serde_json::json;
use shared::key::KeyPolicy;

use crate::app::{TestApp, hello};
use crate::client::{Request, get, post};

const CHAT: &str = "/v1/chat/completions";

fn only_from(networks: &[&str]) -> KeyPolicy {
    let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    KeyPolicy { networks: Some(networks), ..KeyPolicy::default() }
}

#[actix_web::test]
async fn ip_not_allowed() {
    let app = TestApp::without_a_worker(&[]).await;
    let key = app.key(app.tenant, only_from(&["10.0.0.0/8", "::1"])).await;
    insta::assert_snapshot!(app.send(post(CHAT).bearer(&key).json(hello())).await.shown(), @r#"
    403
    {"code":40300,"msg":"this Secret Key may not be used from this address; call from one of the networks that it was issued for, or ask the operator of the service, who finds the address in the log under the request id","error":{"message":"this Secret Key may not be used from this address; call from one of the networks that it was issued for, or ask the operator of the service, who finds the address in the log under the request id","type":"permission_error","param":null,"code":"ip_not_allowed"}}
    "#);
    let in_body = json!({"api_secret_key": key});
    for request in [
        post(CHAT).json(&in_body),
        get("/v1/balance").header("x-api-key", &key),
        get("/v1/models").bearer(&key),
        get("/v1/ledger").bearer(&key),
        post("/v1/dashboard/billing/credit_grants").json(&in_body),
    ] {
        assert_eq!(app.send(request).await.json()["error"]["code"], "ip_not_allowed");
    }
    let here = app.key(app.tenant, only_from(&["10.0.0.0/8", "127.0.0.1"])).await;
    assert_eq!(app.send(get("/v1/balance").bearer(&here)).await.status, 200);
    let nowhere = app.key(app.tenant, only_from(&[])).await;
    assert_eq!(app.send(get("/v1/balance").bearer(&nowhere)).await.status, 403);
}

/// The tests' own address is the proxy's.
#[rstest]
#[case::the_client(&["10.1.2.3"], 200)]
#[case::another_client(&["192.0.2.1"], 403)]
#[case::a_client_that_lies(&["10.1.2.3, 192.0.2.1"], 403)]
#[case::a_client_that_lies_in_a_header_of_its_own(&["10.1.2.3", "192.0.2.1"], 403)]
#[case::two_proxies(&["10.1.2.3, 127.0.0.9"], 200)]
#[case::no_address(&["10.1.2.3, unknown"], 403)]
#[case::nothing(&[], 403)]
#[actix_web::test]
async fn behind_a_trusted_proxy(#[case] forwarded: &[&str], #[case] status: u16) {
    let app = TestApp::without_a_worker(&[("XIAOYI_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let key = app.key(app.tenant, only_from(&["10.0.0.0/8"])).await;
    let asked = |request: Request, line: &&str| request.header("X-Forwarded-For", line);
    let request = forwarded.iter().fold(get("/v1/balance").bearer(&key), asked);
    assert_eq!(app.send(request).await.status, status);
}

#[actix_web::test]
async fn nobody_else_is_believed() {
    let app = TestApp::without_a_worker(&[("XIAOYI_TRUSTED_PROXIES", "192.0.2.0/24")]).await;
    let key = app.key(app.tenant, only_from(&["10.0.0.0/8"])).await;
    let request = get("/v1/balance").bearer(&key).header("X-Forwarded-For", "10.1.2.3");
    assert_eq!(app.send(request).await.status, 403);
}
