//! Clients who put a key into every wrong place, and look at every page.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde_json::json;

use super::{CONTROL, Evidence, FOREIGN, MADE_UP};
use crate::support::reseller::{Reseller, read};

const CHAT: &str = "/v1/chat/completions";

/// Makes all visits. Gives the tokens of the console's sessions that were begun on them, which are secrets too.
pub(super) async fn pay(reseller: &Reseller, keys: &[String], evidence: &mut Evidence) -> Vec<String> {
    let all = keys.iter().map(String::as_str).chain([MADE_UP, FOREIGN]);
    for key in all {
        for (number, request) in with_key(reseller, key).into_iter().enumerate() {
            evidence.add(format!("reply to visit {number}"), read(request).await.everything());
        }
        for (number, body) in bodies(key).into_iter().enumerate() {
            let request =
                reseller.client.post(reseller.server.url(CHAT)).header("content-type", "application/json").body(body);
            evidence.add(format!("reply to body {number}"), read(request).await.everything());
        }
        for (number, head) in broken_heads(key).into_iter().enumerate() {
            evidence.add(format!("reply to broken request {number}"), send_raw(reseller, &head));
        }
    }
    for path in [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/console",
        "/v1/models",
        "/v1/usage?group_by=key",
        "/v1/ledger",
    ] {
        evidence.add(format!("reply of {path}"), reseller.get(path).await.everything());
    }
    let control = json!({"model": CONTROL, "messages": [{"role": "user", "content": "ping"}]});
    let request = reseller
        .client
        .post(reseller.server.url(CHAT))
        .bearer_auth(&reseller.key)
        .header("x-request-id", CONTROL)
        .json(&control);
    evidence.add("reply to the control", read(request).await.everything());
    for listener in ["admin", "metrics"] {
        for path in ["/", "/metrics", "/healthz", "/readyz"] {
            let request = reseller.client.get(reseller.server.address(listener, path));
            evidence.add(format!("reply of {listener}{path}"), read(request).await.everything());
        }
    }
    evidence.add("reply: ready line", reseller.server.ready.to_string());
    let mut tokens = Vec::new();
    for key in keys.iter().map(String::as_str).chain([MADE_UP, FOREIGN]) {
        tokens.extend(sign_in(reseller, key, evidence).await);
    }
    assert!(!tokens.is_empty(), "nobody could sign in to the console");
    tokens
}

/// Signs in to the console with a key, if that is possible, and looks around; puts the key where it does not belong.
async fn sign_in(reseller: &Reseller, key: &str, evidence: &mut Evidence) -> Option<String> {
    let http = Client::builder().no_proxy().redirect(Policy::none()).tls_certs_only(Vec::new()).build().unwrap();
    let url = |path: &str| reseller.server.url(path);
    let form = |path: &str, cookie: &str, body: String| {
        let request = http.post(url(path)).header("origin", url("")).header("cookie", cookie);
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    let mut misplaced = vec![
        http.get(url("/console")).header("cookie", format!("xiaoyi_console={key}")),
        form("/console/sign-in", "", format!("secret_key={key}x&next={key}")),
        form("/console/sign-in", "", format!("other={key}")),
        form("/console/redeem", &format!("xiaoyi_console={key}"), format!("csrf={key}&code={key}")),
    ];
    if key.starts_with("sk-xy") {
        let escaped = key.replacen("sk-xy", "sk%2Dxy", 1);
        misplaced.extend([
            http.get(url(&format!("/console?secret_key={key}"))),
            http.get(url(&format!("/console/sign-in?secret_key={key}&next={escaped}&ended={key}"))),
            http.get(url(&format!("/console/calls/{key}"))),
            http.get(url(&format!("/console/keys/{escaped}/rotate?{key}"))),
        ]);
    }
    for (number, request) in misplaced.into_iter().enumerate() {
        evidence.add(format!("reply {number} of the console"), read(request).await.everything());
    }
    let reply = read(form("/console/sign-in", "", format!("secret_key={key}"))).await;
    let Some(cookie) = reply.header("set-cookie") else {
        evidence.add("reply of the console to a wrong key", reply.everything());
        return None;
    };
    let token = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let cookie = format!("xiaoyi_console={token}");
    for path in ["", "/calls", "/calls.csv", "/usage", "/keys", "/samples", "/playground", "/nothing"] {
        for query in ["", &format!("?model={key}&from={key}&before={key}&{key}")] {
            let visit = http.get(url(&format!("/console{path}{query}"))).header("cookie", &cookie);
            evidence.add(format!("reply of the console{path}"), read(visit).await.everything());
        }
    }
    let page = read(http.get(url("/console/redeem")).header("cookie", &cookie)).await.body;
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let reply = read(form("/console/redeem", &cookie, format!("csrf={csrf}&code={key}"))).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    evidence.add("reply of the console to a key as a code", reply.everything());
    Some(token)
}

/// The key where one may stand, and where none belongs.
fn with_key(reseller: &Reseller, key: &str) -> Vec<RequestBuilder> {
    let client = &reseller.client;
    let url = |path: &str| reseller.server.url(path);
    let balance = || client.get(url("/v1/balance"));
    let chat = json!({"model": "typed", "messages": [{"role": "user", "content": "ping"}]});
    let keyed = json!({"model": "typed", "messages": [{"role": "user", "content": "ping"}], "api_secret_key": key});
    let mut requests = vec![
        balance().bearer_auth(key),
        balance().header("x-api-key", key),
        balance().bearer_auth(format!("{key}x")),
        balance().header("authorization", key),
        balance().header("authorization", format!("Key {key}")),
        balance().basic_auth("me", Some(key)),
        balance().header("api-key", key).header("x-auth", key).header("proxy-authorization", format!("Bearer {key}")),
        balance().header("cookie", format!("key={key}")).header("referer", format!("https://x.example/?key={key}")),
        client.get(url(&format!("/v1/balance?api_key={key}"))),
        client.get(url(&format!("/v1/ledger?limit={key}&cursor={key}"))).bearer_auth(&reseller.key),
        client.get(url(&format!("/v1/usage?from={key}&group_by={key}"))).bearer_auth(&reseller.key),
        client.get(url(&format!("/v1/dashboard/billing/usage?start_date={key}"))).bearer_auth(&reseller.key),
        client.post(url(&format!("{CHAT}?api_secret_key={key}"))).json(&chat),
        client.put(url(CHAT)).json(&keyed),
        client.post(url(CHAT)).body(keyed.to_string()),
        client.post(url(CHAT)).header("content-type", format!("text/plain; key={key}")).body(keyed.to_string()),
        client.post(url(CHAT)).header("idempotency-key", key).bearer_auth(&reseller.key).json(&chat),
        client.post(url(CHAT)).bearer_auth(&reseller.key).json(&keyed),
        client.post(url(CHAT)).json(&keyed),
        client.post(url("/v1/completions")).json(&json!({"model": "typed", "prompt": "ping", "api_secret_key": key})),
        client.post(url("/v1/images/generations")).json(&json!({"prompt": "ping", "api_secret_key": key})),
        client.post(url("/v1/dashboard/billing/credit_grants")).json(&json!({"api_secret_key": key})),
        client.get(url("/console")).header("cookie", format!("key={key}")),
        client.get(reseller.server.address("admin", &format!("/?key={key}"))).bearer_auth(key),
        client.get(reseller.server.address("metrics", &format!("/metrics?key={key}"))).bearer_auth(key),
    ];
    if key.starts_with("sk-xy") {
        // What looks like a key of ours is cut out of paths and of the ids that clients give. Another service's cannot be known.
        let escaped = key.replacen("sk-xy", "sk%2Dxy", 1);
        requests.extend([
            balance().header("x-request-id", key),
            client.get(url(&format!("/v1/models/{key}"))).bearer_auth(&reseller.key),
            client.get(url(&format!("/v1/models/{escaped}"))).bearer_auth(&reseller.key),
            client.get(url(&format!("/v1/{key}"))),
            client.get(url(&format!("/v1/{escaped}"))),
            client.get(url(&format!("/{key}/v1"))),
        ]);
    }
    requests
}

/// Calls that are refused, each for another reason, with the key in the body.
fn bodies(key: &str) -> Vec<String> {
    let messages = r#""messages":[{"role":"user","content":"ping"}]"#;
    vec![
        format!(r#"{{"api_secret_key":"{key}"}}"#),
        format!(r#"{{"api_secret_key":"{key}","messages":5}}"#),
        format!(r#"{{"api_secret_key":"{key}","messages":[]}}"#),
        format!(r#"{{"api_secret_key":"{key}",{messages},"temperature":"{key}"}}"#),
        format!(r#"{{"api_secret_key":"{key}",{messages},"stream":"{key}"}}"#),
        format!(r#"{{"api_secret_key":"{key}",{messages},"user":["{key}"]}}"#),
        format!(r#"{{"api_secret_key":"{key}",{messages},"model":["{key}"]}}"#),
        format!(r#"{{"api_secret_key":"{key}",{messages},"model":"{key}"}}"#),
        format!(r#"{{"api_secret_key":["{key}"],{messages}}}"#),
        format!(r#"{{"api_secret_key":{{"{key}":"{key}"}},{messages}}}"#),
        format!(r#"{{"api_secret_key":"{key}","api_secret_key":"{key}",{messages}}}"#),
        format!(r#"{{"api_secret_key":"{key}",{messages}"#),
        format!(r#"{{"api_secret_key":"{key}" "{key}"}}"#),
        format!(r#"{{"api_secret_key":{key}}}"#),
        format!(r#"{{"api_secret_key":"{key}\u00"}}"#),
        format!(r#"["{key}"]"#),
        format!(r#""{key}""#),
        key.to_owned(),
    ]
}

/// Requests that no handler ever sees.
fn broken_heads(key: &str) -> Vec<String> {
    vec![
        format!("GET /v1/balance?key={key} HTTP/1.1\r\nAuthorization: Bearer {key}\r\nno header {key}\r\n\r\n"),
        format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\nContent-Length: {key}\r\n\r\n"),
        format!(
            "POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n"
        ),
        format!("{key} / HTTP/1.1\r\n\r\n"),
        format!("GET / {key}\r\n\r\n"),
    ]
}

fn send_raw(reseller: &Reseller, bytes: &str) -> Vec<u8> {
    let address = reseller.server.url("").trim_start_matches("http://").to_owned();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    connection.write_all(bytes.as_bytes()).unwrap();
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    let mut reply = Vec::new();
    // Some are answered, some are just closed.
    let _ = connection.read_to_end(&mut reply);
    reply
}
