//! `xiaoyi demo`: what it shows, word for word, and what it leaves alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::money::{amount, nanos};
use crate::support::{IssuedKey, Place, Server};

/// What the sample call costs: 8 hanzi and 3 words are 11 tokens, in the question and in the answer.
const TOKENS: i64 = 11;
const CHARGED: i64 = TOKENS * 10_000 + TOKENS * 30_000;
const TOP_UP: i64 = 10_000_000_000;
/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn once_in_an_empty_folder_and_once_more() {
    let place = Place::new();
    for (before, after) in [(TOP_UP, TOP_UP - CHARGED), (TOP_UP - CHARGED, TOP_UP - 2 * CHARGED)] {
        let (status, text, stderr) = place.spoken(&["demo", "--once"]);
        assert_eq!(status, 0, "{text}\n{stderr}");
        let expected = [
            "curl ".to_owned(),
            "/index.php/api/v1/chat/completions".to_owned(),
            "api_secret_key".to_owned(),
            "The answer\n  请介绍一下你自己: who are you?\n".to_owned(),
            format!("{TOKENS} prompt tokens + {TOKENS} completion tokens = {}\n", 2 * TOKENS),
            format!("charge: {} CNY\n", amount(CHARGED)),
            format!("prompt: 8 hanzi + 3 words x 1.3 = {TOKENS} tokens; {TOKENS} x 10.00 / 1,000,000 = 0.00011"),
            format!("completion: 8 hanzi + 3 words x 1.3 = {TOKENS} tokens; {TOKENS} x 30.00 / 1,000,000 = 0.00033"),
            format!("together {}\n", amount(CHARGED)),
            format!("{} CNY before, {} CNY after\n", amount(before), amount(after)),
        ];
        let mut rest = text.as_str();
        for each in expected {
            let place =
                rest.find(&each).unwrap_or_else(|| panic!("{each:?} is not there, or not in its place: {text}"));
            rest = &rest[place + each.len()..];
        }
    }
}

#[test]
fn once_as_json() {
    let shown = Place::new().command(&["demo", "--once"]).ok();
    let names: Vec<&str> = shown.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["call", "answer", "usage", "charge", "balance_before", "balance_after"]);
    assert_eq!(shown["answer"], "请介绍一下你自己: who are you?");
    assert_eq!(
        shown["usage"],
        json!({"prompt_tokens": TOKENS, "completion_tokens": TOKENS, "total_tokens": 2 * TOKENS})
    );
    assert_eq!(nanos(&shown["charge"]["amount"]), CHARGED);
    assert!(shown["charge"]["request_id"].is_string() && shown["charge"]["arithmetic"].is_string(), "{shown}");
    let balance =
        |nanos: i64| json!({"currency": "CNY", "posted": amount(nanos), "held": "0.00", "available": amount(nanos)});
    assert_eq!((&shown["balance_before"], &shown["balance_after"]), (&balance(TOP_UP), &balance(TOP_UP - CHARGED)));
}

#[test]
fn the_real_service_is_left_alone() {
    let place = Place::embedded(&[]);
    place.command(&["migrate"]).ok();
    place.command(&["tenant", "create", "acme"]).ok();
    let before = files(&place);
    assert!(before.contains_key("data/xiaoyi.db"), "{:?}", before.keys());

    let elsewhere = [
        ("DATABASE_URL", "sqlite://elsewhere.db"),
        ("OPENAI_API_KEY", "sk-real"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:9"),
    ];
    let shown = place.command_with(&["demo", "--once"], &elsewhere, "").ok();
    assert_eq!(shown["balance_after"]["posted"], amount(TOP_UP - CHARGED), "the echo channel answered: {shown}");
    let (of_demo, after): (BTreeMap<_, _>, BTreeMap<_, _>) =
        files(&place).into_iter().partition(|(name, _)| name.starts_with("data/demo/"));
    assert!(of_demo.contains_key("data/demo/xiaoyi.db"), "{:?}", of_demo.keys());
    assert!(before == after, "{:?} became {:?}", before.keys(), after.keys());
}

/// All files of a place, with what is in them.
fn files(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let data = place.data();
    let top = data.parent().expect("the folder of the place");
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(top).expect("it lies below").to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_with_one_valid_key() {
    let mut server = Server::start_in(Place::new(), &["demo"]);
    for name in ["api", "admin", "console"] {
        assert!(server.ready[name].as_str().is_some_and(|url| url.starts_with("http://")), "{}", server.ready);
    }
    assert!(server.ready["console"].as_str().is_some_and(|url| url.ends_with("/console")), "{}", server.ready);
    let first = key_of(&server);
    let reply = server.chat(&first, "gpt-4", "你好").await;
    assert_eq!(
        (reply.status, &reply.json["choices"][0]["message"]["content"]),
        (200, &json!("你好")),
        "{}",
        reply.text
    );
    server.terminate();
    let said_before = server.log().len();
    server.restart();

    let second = key_of(&server);
    assert_ne!(second.id, first.id);
    let reply = server.chat(&first, "gpt-4", "你好").await;
    assert_eq!((reply.status, &reply.json["code"]), (401, &json!(40101)), "{}", reply.text);
    assert!(reply.json["msg"].as_str().is_some_and(|message| message.contains("revoked")), "{}", reply.text);
    assert_eq!(server.chat(&second, "gpt-4", "你好").await.status, 200);

    // The call that it shows is one that can be made. It is said behind the ready line.
    let shown = || server.log()[said_before..].lines().find(|line| line.starts_with("  curl ")).map(str::to_owned);
    server.within(PATIENCE, "the call is shown", async || shown().is_some()).await;
    let output = Command::new("bash")
        .args(["-c", &shown().unwrap_or_default()])
        .env("no_proxy", "*")
        .output()
        .expect("bash and curl are there");
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(reply["usage"]["total_tokens"], 2 * TOKENS, "{reply}");
    server.terminate();
}

/// The key in the ready line, which holds it and nothing else.
fn key_of(server: &Server) -> IssuedKey {
    let key = &server.ready["key"];
    let names: Vec<&str> = key.as_object().expect("a key").keys().map(String::as_str).collect();
    assert_eq!(names, ["id", "secret"]);
    let text = |name: &str| key[name].as_str().expect("text").to_owned();
    IssuedKey { id: text("id"), secret: text("secret") }
}
