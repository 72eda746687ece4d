//! Each error of the API, and the exception that it becomes in the SDKs, with all that an exception can say.

use serde_json::{Value, json};
use shared::clock::Timestamp;

use super::{chat, open, refused, with_client};
use crate::support::provider::{Act, reply, stream_head, text};
use crate::support::reseller::{Reseller, TENANT};
use crate::support::sdk::{LANGUAGES, Language, Script};

/// An error as the SDKs are to raise it.
#[derive(Debug, Clone, Copy)]
struct Raised {
    /// The name of the class; of OpenAI's for Python where the two differ.
    class: &'static str,
    status: u16,
    family: &'static str,
    code: &'static str,
    param: Option<&'static str>,
}

const fn invalid(status: u16, class: &'static str, code: &'static str) -> Raised {
    Raised { class, status, family: "invalid_request_error", code, param: None }
}

const fn bad_request(code: &'static str, param: &'static str) -> Raised {
    Raised { param: Some(param), ..invalid(400, "BadRequestError", code) }
}

const fn denied(code: &'static str) -> Raised {
    Raised { class: "PermissionDeniedError", status: 403, family: "permission_error", code, param: None }
}

const fn server_error(status: u16, family: &'static str, code: &'static str) -> Raised {
    Raised { class: "InternalServerError", status, family, code, param: None }
}

/// Checks what a driver says of an exception, and that the request id is the one in the access log.
async fn assert_raised(reseller: &Reseller, language: Language, outcome: &Value, expected: Raised) {
    let Raised { class, status, family, code, param } = expected;
    // For a status without a class of its own, Node's SDK raises what the class of all statuses is there.
    let class = if class == "APIStatusError" && language == Language::Node { "APIError" } else { class };
    let told = [&outcome["raised"], &outcome["status"], &outcome["type"], &outcome["code"], &outcome["param"]];
    assert_eq!(
        told,
        [&json!(class), &json!(status), &json!(family), &json!(code), &json!(param)],
        "{language:?}: {outcome}"
    );
    assert!(outcome["message"].as_str().is_some_and(|message| message.len() > 20), "{language:?}: {outcome}");
    let request_id = &outcome["request_id"];
    assert!(request_id.is_string(), "{language:?}: {outcome}");
    let lines = refused(reseller, code, 1).await;
    let line = lines.iter().find(|line| line["request_id"] == *request_id);
    assert_eq!(line.map(|line| &line["status"]), Some(&json!(status)), "{language:?}: {outcome} in {lines:?}");
}

/// Lets both SDKs make the call, once and not again, and checks what they raise.
async fn assert_raises(reseller: &Reseller, drivers: &mut Drivers, order: &Value, expected: Raised) {
    let mut order = order.clone();
    order["client"]["max_retries"] = json!(0);
    for (language, driver) in &mut drivers.0 {
        let outcome = driver.call(&order).await;
        assert_raised(reseller, *language, &outcome, expected).await;
    }
}

/// One for each SDK.
struct Drivers(Vec<(Language, Script)>);

impl Drivers {
    fn start(reseller: &Reseller) -> Self {
        let server = reseller.server.url("");
        Self(LANGUAGES.map(|language| (language, Script::driver(language, &server, &reseller.key))).into())
    }
}

fn with(mut order: Value, member: &str, value: Value) -> Value {
    order[member] = value;
    order
}

/// An order with more fields in its body.
fn asking(more: &Value) -> Value {
    with(chat("gpt-4"), "extra", more.clone())
}

fn image(prompt: &str) -> Value {
    json!({"call": "images.generate", "body": {"prompt": prompt}})
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_request() {
    let (provider, reseller) = open(&[]).await;
    let refusal = json!({"error": {"message": "that tool is no good", "type": "x", "param": "tools[0]", "code": "y"}});
    provider.acts("picky", vec![reply("400 Bad Request", &refusal.to_string())]);
    reseller.add_channel("picky", &provider.url(), &[("picky", "picky")], "100");
    reseller.wait_for_changes().await;
    let mut drivers = Drivers::start(&reseller);

    let nested = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let two_messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    let original = json!({"api_secret_key": reseller.key, "messages": two_messages});
    // An Authorization that is no Bearer counts as absent.
    let no_key = json!({"Authorization": "none"});
    let original = with(asking(&original), "headers", no_key.clone());
    let not_found = invalid(404, "NotFoundError", "not_found");
    for (order, expected) in [
        (asking(&json!({"x": nested})), invalid(400, "BadRequestError", "invalid_json")),
        (asking(&json!({"response_format": {}})), bad_request("missing_parameter", "response_format.type")),
        (asking(&json!({"n": 0})), bad_request("invalid_parameter", "n")),
        (
            asking(&json!({"messages": [{"role": "user", "content": 1}]})),
            bad_request("invalid_parameter", "messages[0].content"),
        ),
        (original, bad_request("invalid_messages", "messages")),
        (image(&"x".repeat(1_001)), bad_request("content_too_long", "prompt")),
        (chat("picky"), bad_request("upstream_rejected", "tools[0]")),
        (with(chat("gpt-4"), "headers", no_key), invalid(401, "AuthenticationError", "missing_api_key")),
        (
            with_client(chat("gpt-4"), &json!({"api_key": "sk-wrong"})),
            invalid(401, "AuthenticationError", "invalid_api_key"),
        ),
        (chat("gpt-none"), Raised { param: Some("model"), ..invalid(404, "NotFoundError", "model_not_found") }),
        (
            json!({"call": "models.retrieve", "arguments": ["gpt-none"]}),
            Raised { param: Some("model"), ..invalid(404, "NotFoundError", "model_not_found") },
        ),
        (json!({"call": "files.list"}), not_found),
        (
            json!({"call": "models.delete", "arguments": ["gpt-4"]}),
            invalid(405, "APIStatusError", "method_not_allowed"),
        ),
        (asking(&json!({"x": "x".repeat(10 * 1024 * 1024)})), invalid(413, "APIStatusError", "request_too_large")),
        (
            with(chat("gpt-4"), "headers", json!({"Content-Type": "text/plain"})),
            invalid(415, "APIStatusError", "unsupported_media_type"),
        ),
    ] {
        assert_raises(&reseller, &mut drivers, &order, expected).await;
    }
    let python = &mut drivers.0[0].1;
    for (model, client, expected) in [
        ("gpt-none", json!({}), Raised { param: Some("model"), ..invalid(404, "NotFoundError", "model_not_found") }),
        ("gpt-4", json!({"api_key": "sk-wrong"}), invalid(401, "AuthenticationError", "invalid_api_key")),
        ("picky", json!({}), bad_request("upstream_rejected", "tools[0]")),
    ] {
        let invoke = json!({"call": "langchain.invoke", "body": {"model": model, "messages": "?"}, "client": client});
        let mut outcome = python.call(&invoke).await;
        // What LangChain raises is the SDK's exception, or a child of it.
        assert!(outcome["is"].as_array().expect("a list").contains(&json!(expected.class)), "{outcome}");
        outcome["raised"] = json!(expected.class);
        assert_raised(&reseller, Language::Python, &outcome, expected).await;
    }
    reseller.assert_books(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_customer() {
    let (_provider, reseller) = open(&[]).await;
    let issue = |options: &[&str]| {
        let issued = reseller.command(&[&["key", "issue"], options].concat());
        json!({"api_key": issued["secret"]})
    };
    reseller.command(&["tenant", "create", "poor"]);
    reseller.command(&["topup", "--tenant", "poor", "--amount", "0.01", "--reference", "first"]);
    reseller.command(&["tenant", "create", "suspended"]);
    let (poor, suspended) = (issue(&["--tenant", "poor"]), issue(&["--tenant", "suspended"]));
    reseller.command(&["tenant", "suspend", "suspended"]);
    let elsewhere = issue(&["--tenant", TENANT, "--ip", "10.0.0.0/8"]);
    let without_gpt_4 = issue(&["--tenant", TENANT, "--models", "gpt-3.5"]);
    let slow = issue(&["--tenant", TENANT, "--tpm", "100"]);
    block_user(&reseller, "mallory").await;
    reseller.wait_for_changes().await;
    let mut drivers = Drivers::start(&reseller);

    let as_client = |client: &Value| with_client(chat("gpt-4"), client);
    let limited = Raised {
        class: "RateLimitError",
        status: 429,
        family: "rate_limit_error",
        code: "rate_limit_exceeded",
        param: None,
    };
    let quota = Raised { family: "insufficient_quota", ..invalid(402, "APIStatusError", "insufficient_quota") };
    for (order, expected) in [
        (as_client(&poor), quota),
        (as_client(&without_gpt_4), Raised { param: Some("model"), ..denied("model_not_allowed") }),
        (as_client(&elsewhere), denied("ip_not_allowed")),
        (as_client(&suspended), denied("tenant_suspended")),
        (asking(&json!({"user": "mallory"})), Raised { param: Some("user"), ..denied("user_blocked") }),
        (as_client(&slow), limited),
    ] {
        assert_raises(&reseller, &mut drivers, &order, expected).await;
    }
    reseller.assert_books(0).await;
}

async fn block_user(reseller: &Reseller, end_user: &'static str) {
    let url = reseller.server.place.database_url().parse().expect("a URL");
    let database = shared::db::Database::open(&url).expect("the database");
    let blocking = database.write(move |connection| {
        let tenant = shared::tenant::find(connection, TENANT)?.expect("the tenant").id;
        shared::blocked_users::block(connection, tenant, end_user, "ann@example.com", Timestamp(1_700_000_000_000))
    });
    blocking.await.expect("the user is blocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_service() {
    let (provider, reseller) = open(&[("XIAOYI_DEADLINE_FIRST_TEXT_S", "1"), ("XIAOYI_DEADLINE_TOTAL_S", "1")]).await;
    provider.acts("failing", vec![reply("500 Oh no", "{}")]);
    provider.acts("busy", vec![reply("429 Too Many Requests\r\nRetry-After: 7", "{}")]);
    let models = [("failing", "failing"), ("busy", "busy")];
    reseller.add_channel("bad", &provider.url(), &models, "100");
    reseller.wait_for_changes().await;
    let mut drivers = Drivers::start(&reseller);
    for (order, expected) in [
        (chat("failing"), server_error(502, "upstream_error", "upstream_error")),
        (chat("busy"), server_error(503, "overloaded_error", "no_channel")),
        // Known, but no channel has it.
        (chat("gpt-3.5"), server_error(503, "overloaded_error", "no_channel")),
        (chat("silent"), server_error(504, "upstream_error", "timeout")),
    ] {
        assert_raises(&reseller, &mut drivers, &order, expected).await;
    }
    reseller.assert_books(0).await;
}

/// What the SDKs and LangChain make of a provider that breaks off in the middle of a stream.
#[tokio::test(flavor = "multi_thread")]
async fn within_a_stream() {
    let (provider, reseller) = open(&[]).await;
    provider.acts("broken", vec![stream_head(), text("one two "), Act::Cut]);
    reseller.add_channel("broken", &provider.url(), &[("broken", "broken")], "100");
    reseller.wait_for_changes().await;
    let mut drivers = Drivers::start(&reseller);
    let mut order = chat("broken");
    order["body"]["stream"] = json!(true);
    for (language, driver) in &mut drivers.0 {
        let outcome = driver.call(&order).await;
        let told = [&outcome["raised"], &outcome["type"], &outcome["code"], &outcome["param"]];
        let expected = [&json!("APIError"), &json!("upstream_error"), &json!("upstream_error"), &Value::Null];
        assert_eq!(told, expected, "{language:?}: {outcome}");
        // The SDK for Python does not say the id here; its stream has the headers.
        assert_eq!(outcome["request_id"].is_string(), *language == Language::Node, "{outcome}");
        let message = outcome["message"].as_str().expect("a message");
        // 你好 world and one two: 3 x 10 and 2 x 30 for a million.
        assert!(message.contains("0.00009 CNY were charged"), "{language:?}: {message}");
    }
    let langchain = json!({"call": "langchain.stream", "body": {"model": "broken", "messages": "你好 world"}});
    let outcome = drivers.0[0].1.call(&langchain).await;
    assert_eq!((&outcome["raised"], &outcome["code"]), (&json!("APIError"), &json!("upstream_error")), "{outcome}");
    reseller.assert_books(3 * 90_000).await;
}
