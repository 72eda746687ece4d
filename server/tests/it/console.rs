//! The developers' console of the real program: a call from its playground with a real worker, what it shows of it, and how a session ends.

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

use crate::support::{IssuedKey, Reply, Server};

const LIMIT: Duration = Duration::from_secs(30);

/// A browser that is signed in.
struct Visitor<'a> {
    server: &'a Server,
    http: Client,
    cookie: String,
}

impl<'a> Visitor<'a> {
    /// Signs in with a key.
    async fn sign_in(server: &'a Server, key: &IssuedKey) -> Self {
        let http = Client::builder().no_proxy().redirect(Policy::none()).tls_certs_only(Vec::new()).timeout(LIMIT);
        let mut visitor = Self { server, http: http.build().unwrap(), cookie: String::new() };
        let reply = visitor.post("/console/sign-in", &[("secret_key", &key.secret)]).await;
        assert_eq!((reply.status, &reply.headers["location"]), (303, &"/console".parse().unwrap()), "{}", reply.text);
        let cookie = reply.headers["set-cookie"].to_str().unwrap();
        visitor.cookie = cookie.split(';').next().unwrap().to_owned();
        visitor
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let origin = self.server.url("");
        self.http.request(method, self.server.url(path)).header("cookie", &self.cookie).header("origin", origin)
    }

    async fn get(&self, path: &str) -> Reply {
        self.server.send(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.server.send(self.request(Method::POST, path).header(kind.0, kind.1).body(body)).await
    }

    /// What is hidden in the form of the page at `path`.
    async fn hidden(&self, path: &str) -> [(&'static str, String); 2] {
        let page = self.get(path).await;
        ["csrf", "once"].map(|name| (name, between(&page.text, &format!("name=\"{name}\" value=\""), "\"").to_owned()))
    }

    /// Sends what is hidden in a form together with what is typed.
    async fn send(&self, path: &str, hidden: &[(&'static str, String)], typed: &[(&str, &str)]) -> Reply {
        let hidden = hidden.iter().map(|(name, value)| (*name, value.as_str()));
        self.post(path, &hidden.chain(typed.iter().copied()).collect::<Vec<_>>()).await
    }

    /// Fills in the form of the page at `path`, and sends it there with what is hidden in it.
    async fn submit(&self, path: &str, typed: &[(&str, &str)]) -> Reply {
        self.send(path, &self.hidden(path).await, typed).await
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in: {text}")).1;
    rest.split(after).next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_the_playground_is_answered_charged_and_shown() {
    let server = Server::start();
    server.echo("gpt-4").await;
    let key = server.customer("acme");
    let visitor = Visitor::sign_in(&server, &key).await;
    let page = visitor.get("/console").await;
    assert!(
        page.text.contains("10.00&nbsp;") && page.text.contains(&server.url("/v1/chat/completions")),
        "{}",
        page.text
    );

    let text = "请介绍一下你自己: who are you? <b>";
    let typed = [("model", "gpt-4"), ("text", text), ("max_tokens", "64")];
    let reply = visitor.submit("/console/playground", &typed).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    // 8 hanzi and 4 words are 13 tokens, in the question and in the answer, at 10.00 and 30.00.
    let answer = between(&reply.text, "<pre class=\"answer\" dir=\"auto\">", "</pre>");
    assert_eq!(answer, "请介绍一下你自己: who are you? &#60;b&#62;");
    let arithmetic = "8 hanzi + 4 words x 1.3 = 13 tokens; 13 x 30.00 / 1,000,000 = 0.000390000";
    assert!(reply.text.contains(arithmetic), "{}", reply.text);
    let call = between(&reply.text, "href=\"/console/calls/", "\"").to_owned();

    // The same call, for the key's holder by the API.
    let ledger = server.get("/v1/ledger", &key).await.json;
    let entry = &ledger["data"][0];
    assert_eq!((&entry["request_id"], &entry["amount"]), (&json!(call), &json!("-0.00052")), "{entry}");
    let path = format!("/console/calls/{call}");
    server.within(LIMIT, "the call's details", async || visitor.get(&path).await.text.contains("answered")).await;
    let shown = visitor.get(&path).await;
    assert!(shown.text.contains(arithmetic) && shown.text.contains("0.000520000"), "{}", shown.text);
    let listed = visitor.get("/console/calls").await;
    assert!(listed.text.contains(&path), "{}", listed.text);
    let file = visitor.get("/console/calls.csv").await;
    assert!(file.text.contains(&call) && file.text.contains(",13,13,0,0.00052,"), "{}", file.text);
    server
        .within(LIMIT, "usage", async || {
            visitor.get("/console/usage").await.text.contains("0.00<span class=\"fine\">052")
        })
        .await;

    // A page's reply and its line in the log have one id, and the line holds no secret.
    let id = shown.headers["x-request-id"].to_str().unwrap();
    assert_eq!(shown.headers.get_all("x-request-id").iter().count(), 1);
    let log = server.log();
    assert!(log.lines().any(|line| line.contains(id) && line.contains(&path)), "{log}");
    assert!(!log.contains(&key.secret[17..60]) && !log.contains(visitor.cookie.split_once('=').unwrap().1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_reads_no_cookie_and_no_other_site_reads_the_console() {
    let server = Server::start();
    let key = server.customer("acme");
    let visitor = Visitor::sign_in(&server, &key).await;
    assert_eq!(visitor.get("/console").await.status, 200);
    for path in ["/v1/balance", "/v1/ledger", "/v1/models", "/api/v1/usage", "/dashboard/billing/subscription"] {
        let reply = visitor.get(path).await;
        assert_eq!((reply.status, &reply.json["error"]["code"]), (401, &json!("missing_api_key")), "{path}");
    }
    let asked = visitor.request(Method::OPTIONS, "/console").header("access-control-request-method", "POST");
    for (method, request) in [("OPTIONS", asked), ("GET", visitor.request(Method::GET, "/console"))] {
        let reply = server.send(request.header("origin", "https://evil.org")).await;
        assert!(
            !reply.headers.keys().any(|name| name.as_str().starts_with("access-control")),
            "{method}: {:?}",
            reply.headers
        );
    }
    assert_eq!(server.send(server.http.get(server.url("/consoles"))).await.json["code"], 40400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_key_within_a_second() {
    let server = Server::start();
    let (key, other) = (server.customer("acme"), server.customer("other"));
    let (visitor, elsewhere) = (Visitor::sign_in(&server, &key).await, Visitor::sign_in(&server, &other).await);
    server.command(&["key", "revoke", &key.id]).ok();
    let begun = Instant::now();
    let is_over = async || visitor.get("/console/keys").await.status == 303;
    server.within(LIMIT, "the end of the session", is_over).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?} after the command's end", begun.elapsed());
    server.command(&["tenant", "suspend", "other"]).ok();
    let begun = Instant::now();
    server.within(LIMIT, "the refusal", async || elsewhere.get("/console").await.status == 403).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?} after the command's end", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_and_what_was_sent_in_it_outlive_the_process() {
    let mut server = Server::start();
    server.echo("gpt-4").await;
    let key = server.customer("acme");
    let (path, typed) = ("/console/playground", [("model", "gpt-4"), ("text", "hello world")]);
    let visitor = Visitor::sign_in(&server, &key).await;
    let form = visitor.hidden(path).await;
    let reply = visitor.send(path, &form, &typed).await;
    assert!(reply.text.contains("It cost"), "{}", reply.text);
    let cookie = visitor.cookie;
    let balance = server.get("/v1/balance", &key).await.json;
    server.terminate();
    server.restart();
    let http = Client::builder().no_proxy().redirect(Policy::none()).tls_certs_only(Vec::new()).timeout(LIMIT);
    let visitor = Visitor { server: &server, http: http.build().unwrap(), cookie };
    assert_eq!(visitor.get("/console").await.status, 200, "sessions are kept in the database");
    let reply = visitor.send(path, &form, &typed).await;
    assert!(reply.text.contains("This form was sent before"), "{}", reply.text);
    assert_eq!(server.get("/v1/balance", &key).await.json, balance, "the form made no second call");
}
