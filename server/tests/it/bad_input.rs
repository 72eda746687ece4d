//! Requests that are wrong in every way: each is refused in the words and codes of the contract, or its connection is closed where HTTP
//! itself is broken. None is a fault of ours (5xx), none is charged or held for, and the server goes on.

mod bodies;
mod fields;
mod heads;
mod queries;
mod wire;

use serde_json::{Value, json};

use crate::support::money::nanos;
use crate::support::raw::{Connection, Reply, Request, ask};
use crate::support::tenancy::Tenancy;

const PREFIXES: [&str; 3] = ["/v1", "/api/v1", "/index.php/api/v1"];
const GOOD_BODY: &str = r#"{"messages":[{"role":"user","content":"你好"}]}"#;
/// Two hanzi, as prompt and as answer, at the default prices, in 1e-9.
const GOOD_COST: i64 = 2 * (10_000 + 30_000);

/// 1000.00, in 1e-9.
const TOPPED_UP: i64 = 1_000_000_000_000;

/// What a request is refused with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused<'a> {
    code: u32,
    param: Option<&'a str>,
}

/// A refusal without a field.
const fn refused(code: u32) -> Refused<'static> {
    Refused { code, param: None }
}

/// A refusal of a field.
const fn refused_field(code: u32, param: &str) -> Refused<'_> {
    Refused { code, param: Some(param) }
}

/// A server to be maltreated. It counts the good calls that it has answered in between.
struct Victim {
    tenancy: Tenancy,
    asked: usize,
    answered: i64,
}

impl Victim {
    async fn start() -> Self {
        Self { tenancy: Tenancy::open("echo:", "1000.00", 1).await, asked: 0, answered: 0 }
    }

    fn base(&self) -> String {
        self.tenancy.base()
    }

    fn key(&self) -> &str {
        &self.tenancy.keys[0]
    }

    /// The path under one of the three prefixes, each in its turn.
    fn under_a_prefix(&self, path: &str) -> String {
        format!("{}{path}", PREFIXES[self.asked % PREFIXES.len()])
    }

    /// Asks for what must be refused so.
    fn refuses(&mut self, what: &str, request: &Request, expected: Refused<'_>) -> Reply {
        self.asked += 1;
        let reply = ask(&self.base(), request).unwrap_or_else(|| panic!("{what}: closed instead of {expected:?}"));
        self.check(what, &reply, expected);
        reply
    }

    fn check(&self, what: &str, reply: &Reply, expected: Refused<'_>) {
        let object = reply.json();
        let text = object.to_string();
        let Refused { code, param } = expected;
        assert_eq!((&object["code"], &object["error"]["param"]), (&json!(code), &json!(param)), "{what}: {text}");
        assert_eq!(u32::from(reply.status), code / 100, "{what}: {text}");
        let (kind, name) = names(code, param);
        assert_eq!(
            (&object["error"]["type"], &object["error"]["code"]),
            (&json!(kind), &json!(name)),
            "{what}: {text}"
        );
        assert_eq!(object["msg"], object["error"]["message"], "{what}: {text}");
        assert!(object["msg"].as_str().is_some_and(|message| message.len() > 10), "{what}: {text}");
        assert_eq!(keys(&object), ["code", "msg", "error"], "{what}");
        assert_eq!(keys(&object["error"]), ["message", "type", "param", "code"], "{what}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
        let id = reply.header("x-request-id").unwrap_or_default();
        assert!(id.len() == 36 && id.split('-').count() == 5, "{what}: x-request-id {id:?}");
        assert!(!text.contains(&self.key()[17..]), "{what}: the key is repeated: {text}");
        assert!(text.len() < 2_000, "{what}: {text}");
    }

    /// The server goes on, and what was wrong has cost nothing.
    async fn goes_on(&mut self) {
        for prefix in PREFIXES {
            let request = Request::post(&format!("{prefix}/chat/completions"), GOOD_BODY).key(self.key());
            self.answers("a good call", &request, GOOD_COST);
        }
        // Nothing is charged or held, not even for a moment longer than a call.
        self.tenancy.until_held(0).await;
        let charged = TOPPED_UP - nanos(&self.tenancy.balance().await["posted"]);
        assert_eq!(charged, self.answered, "only the good calls are charged");
    }

    /// A good call in between, which costs this.
    fn answers(&mut self, what: &str, request: &Request, cost: i64) -> Value {
        let reply = ask(&self.base(), request).unwrap_or_else(|| panic!("{what}: closed"));
        let object = reply.json();
        assert_eq!((reply.status, &object["code"]), (200, &json!(0)), "{what}: {object}");
        assert!(reply.header("x-request-id").is_some(), "{what}");
        self.answered += cost;
        object
    }

    /// A good call on this connection.
    fn answered_on(&mut self, connection: &mut Connection) {
        let reply = connection.reply().expect("a good call is answered");
        assert_eq!(reply.status, 200, "{}", reply.json());
        self.answered += GOOD_COST;
    }

    /// What a call costs, once nothing runs, of which nobody knows whether it ran. From here on it counts as a good call.
    async fn charge_of_a_call_that_may_have_run(&mut self) -> i64 {
        self.tenancy.until_held(0).await;
        let charged = TOPPED_UP - nanos(&self.tenancy.balance().await["posted"]) - self.answered;
        self.answered += charged;
        charged
    }

    /// The end of a test: everything is in the books, and nothing else.
    async fn ends_unharmed(mut self) {
        self.goes_on().await;
        let books = self.tenancy.clean_books().await;
        assert_eq!(books.charged(), self.answered);
        let log = self.tenancy.server.log();
        assert!(!log.contains("\"level\":\"ERROR\""), "what strangers send is no error of ours");
        assert!(!log.contains(&self.key()[17..]), "the key is in the log");
    }
}

/// `error.type` and `error.code` of the contract's table.
fn names(code: u32, param: Option<&str>) -> (&'static str, &'static str) {
    let invalid = |name| ("invalid_request_error", name);
    match code {
        40000 => invalid("invalid_json"),
        40001 => invalid("missing_parameter"),
        40002 => invalid("invalid_parameter"),
        40003 => invalid("invalid_messages"),
        40004 => invalid("content_too_long"),
        40100 => invalid("missing_api_key"),
        40101 => invalid("invalid_api_key"),
        40400 if param == Some("model") => invalid("model_not_found"),
        40400 => invalid("not_found"),
        40500 => invalid("method_not_allowed"),
        41300 => invalid("request_too_large"),
        41500 => invalid("unsupported_media_type"),
        _ => panic!("a test expects the code {code}"),
    }
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default()
}
