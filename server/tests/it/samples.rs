//! The original document's own samples, as printed, by the tools that they are written for: nothing in them is replaced but the base URL
//! and the key. A tool that is missing is a failure: `scripts/test.sh` installs all of them.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::money::{nanos, recompute};
use crate::support::sdk;
use crate::support::storefront::{COMPLETION_PRICE, PROMPT_PRICE, Storefront};

const CHAT: &str = include_str!("../data/original/chat.sh");
const NOTICE: &str = include_str!("../data/original/notice.sh");
const COMPLETIONS_SECTION: &str = include_str!("../data/original/completions-section.sh");
const IMAGE: &str = include_str!("../data/original/image.sh");
const PHP: &str = include_str!("../data/original/chat.php");
const PYTHON: &str = include_str!("../data/original/chat.py");

/// The base URL of the document.
const BASE_URL: &str = "http://flag.smarttrot.com/index.php/";
/// When the document's sample replies were made.
const LONG_AGO: i64 = 1_680_167_072;
/// What the PHP sample needs around it: the class that it calls, and something to see.
const PHP_BEFORE: &str = "<?php
class Tool {
    public static function _request($method, $url, $arr) {
        $http = ['method' => strtoupper($method), 'header' => 'Content-Type: application/json', 'content' => json_encode($arr),
                 'ignore_errors' => true, 'timeout' => 120];
        return file_get_contents($url, false, stream_context_create(['http' => $http]));
    }
}
";
const PHP_BEHIND: &str = "\necho json_encode($data);\n";
/// The Python sample prints a Python dict; this turns one into JSON.
const DICT_TO_JSON: &str = "import ast, json, sys; print(json.dumps(ast.literal_eval(sys.stdin.read())))";

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_curl() {
    require("curl", &["--version"], "curl");
    require("iconv", &["--version"], "libc-bin");
    let shop = Storefront::open("10.00").await;
    // 8 + 44 + 12 + (344 hanzi + 5 words x 1.3 = 350) + 10, counted by hand.
    for base in ["", "/api", "/index.php/api"] {
        let expected =
            Expected { answer: "周末这里的天气怎么样？", prompt: 424, completion: 10, user: Value::Null };
        expected.of(&shop, async || shell(&shop, CHAT, base)).await;
    }
    let expected = Expected { answer: "请介绍一下你自己", prompt: 8, completion: 8, user: Value::Null };
    expected.of(&shop, async || shell(&shop, COMPLETIONS_SECTION, "/api")).await;
    expected.of(&shop, async || shell(&shop, NOTICE, "")).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_mistakes_that_the_document_warns_of() {
    require("curl", &["--version"], "curl");
    require("iconv", &["--version"], "libc-bin");
    let shop = Storefront::open("10.00").await;
    let (posted, _) = shop.balance().await;
    let without_header = NOTICE.replacen("-H \"Content-Type: application/json\" ", "", 1);
    let no_array = NOTICE.replacen(
        "[{\"role\":\"user\",\"content\":\"请介绍一下你自己\"}]",
        "{\"role\":\"user\",\"content\":\"请介绍一下你自己\"}",
        1,
    );
    assert!(without_header != NOTICE && no_array != NOTICE);

    let reply = json_of(&shell(&shop, &without_header, ""));
    assert_eq!(reply["code"], 41500, "{reply}");
    assert!(reply["msg"].as_str().is_some_and(|message| message.contains("Content-Type: application/json")), "{reply}");
    let reply = json_of(&shell(&shop, &no_array, ""));
    assert_eq!((&reply["code"], &reply["error"]["param"]), (&json!(40002), &json!("messages")), "{reply}");
    assert!(reply["msg"].as_str().is_some_and(|message| message.contains("array")), "{reply}");
    assert_eq!(shop.settled().await, posted);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_of_curl() {
    require("curl", &["--version"], "curl");
    require("iconv", &["--version"], "libc-bin");
    let shop = Storefront::open("10.00").await;
    let (posted, _) = shop.balance().await;

    // As printed it has a comma too many, before the brace in line 4.
    let reply = json_of(&shell(&shop, IMAGE, "/api"));
    assert_eq!((&reply["code"], &reply["error"]["code"]), (&json!(40000), &json!("invalid_json")), "{reply}");
    let message = reply["msg"].as_str().expect("a message");
    assert!(message.contains("line 4 column 1") && message.contains("comma"), "{message}");
    assert_eq!(shop.settled().await, posted);

    let mended = IMAGE.replacen("otter\",\n", "otter\"\n", 1);
    let reply = json_of(&shell(&shop, &mended, "/api"));
    let names: Vec<&str> = reply.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["code", "msg", "created", "data"]);
    assert_eq!((&reply["code"], &reply["msg"]), (&json!(0), &json!("")));
    assert!(reply["created"].as_i64().is_some_and(|created| created > LONG_AGO));
    let images = reply["data"].as_array().expect("a list");
    assert_eq!(images.len(), 1);
    assert!(images[0]["url"].as_str().is_some_and(|url| !url.is_empty()), "{reply}");

    assert_eq!(shop.settled().await, posted - 300_000_000, "one image at the default price of 0.30");
    let entry = &shop.ledger().await[0];
    assert_eq!((recompute(entry), &entry["charge"]["images"]["size"]), (300_000_000, &json!("1024x1024")));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_php() {
    require("php", &["--version"], "php-cli");
    let shop = Storefront::open("10.00").await;
    // "1" and "100" are two words, the signs are none: floor(2.6).
    let expected = Expected { answer: "1+100=", prompt: 2, completion: 2, user: json!("张三") };
    let reply = async || {
        let sample = replaced(
            PHP,
            BASE_URL,
            &format!("{}/index.php/", shop.server.url("")),
            "dd61320fddde6c6568be8a0b0004a53a",
            &shop.key.secret,
        );
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sample.php");
        std::fs::write(&path, [PHP_BEFORE, &sample, PHP_BEHIND].concat()).expect("a file is written");
        printed(Command::new("php").arg(&path))
    };
    expected.of(&shop, reply).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_python() {
    let python = sdk::python_with_requests();
    let shop = Storefront::open("10.00").await;
    let expected = Expected { answer: "1+100=", prompt: 2, completion: 2, user: json!("张三") };
    let reply = async || {
        let sample = replaced(
            PYTHON,
            BASE_URL,
            &format!("{}/index.php/", shop.server.url("")),
            "dd61320f306e6c6568be8a0b0004a53d",
            &shop.key.secret,
        );
        let folder = tempfile::tempdir().expect("a folder");
        let (path, dict) = (folder.path().join("sample.py"), folder.path().join("dict"));
        std::fs::write(&path, sample).expect("a file is written");
        std::fs::write(&dict, printed(Command::new(&python).arg(&path))).expect("a file is written");
        printed(
            Command::new(&python).args(["-c", DICT_TO_JSON]).stdin(std::fs::File::open(&dict).expect("it was written")),
        )
    };
    expected.of(&shop, reply).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_as_the_table_describes_them() {
    let shop = Storefront::open("10.00").await;
    let (posted, _) = shop.balance().await;
    let body = json!({
        "model": "text-davinci-003", "prompt": "This is a test", "suffix": null, "max_tokens": 16, "temperature": 1, "top_p": 1, "n": 1,
        "stream": false, "logprobs": null, "echo": false, "stop": null, "presence_penalty": 0, "frequency_penalty": 0, "best_of": 1,
        "logit_bias": {"50256": -100}, "user": "张三",
    });
    let reply = shop.post_original("/index.php/api/v1/completions", body).await;
    assert_eq!(reply.usage(), (5, 5), "four words are 5.2 tokens");
    let names: Vec<&str> = reply.json.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["code", "msg", "id", "object", "created", "model", "choices", "usage"]);
    assert!(reply.json["id"].as_str().is_some_and(|id| !id.is_empty()));
    assert!(reply.json["created"].as_i64().is_some_and(|created| created > LONG_AGO));
    assert_eq!((&reply.json["object"], &reply.json["model"]), (&json!("text_completion"), &json!("text-davinci-003")));
    assert_eq!(
        reply.json["choices"],
        json!([{"text": "This is a test", "index": 0, "logprobs": null, "finish_reason": "stop"}])
    );

    assert_eq!(shop.settled().await, posted - 5 * PROMPT_PRICE - 5 * COMPLETION_PRICE);
    let entry = shop.entry_of(&reply.request_id()).await;
    assert_eq!((recompute(&entry), &entry["charge"]["user"]), (200_000, &json!("张三")));
    shop.close().await;
}

/// What a sample chat must give.
struct Expected {
    answer: &'static str,
    prompt: i64,
    completion: i64,
    user: Value,
}

impl Expected {
    /// Makes the call, and checks the reply as the document prints one, and what became of the balance.
    async fn of(&self, shop: &Storefront, sample: impl AsyncFn() -> String) {
        let (posted, _) = shop.balance().await;
        let reply = json_of(&sample().await);
        let Self { answer, prompt, completion, user } = self;
        assert_eq!((&reply["code"], &reply["msg"]), (&json!(0), &json!("")), "{reply}");
        assert!(reply["id"].as_str().is_some_and(|id| !id.is_empty()), "{reply}");
        assert!(reply["created"].as_i64().is_some_and(|created| created > LONG_AGO), "{reply}");
        assert_eq!(
            reply["usage"],
            json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
        );
        let choices = reply["choices"].as_array().expect("a list");
        assert_eq!(choices.len(), 1);
        let choice = &choices[0];
        assert_eq!((&choice["finish_reason"], &choice["index"]), (&json!("stop"), &json!(0)));
        assert_eq!((&choice["message"]["role"], &choice["message"]["content"]), (&json!("assistant"), &json!(answer)));

        let charged = prompt * PROMPT_PRICE + completion * COMPLETION_PRICE;
        assert_eq!(shop.settled().await, posted - charged);
        let entry = &shop.ledger().await[0];
        assert_eq!((recompute(entry), nanos(&entry["balance"])), (charged, posted - charged));
        let charge = &entry["charge"];
        assert_eq!((&charge["model"], &charge["user"], &charge["key"]), (&json!("gpt-3.5"), user, &json!(shop.key.id)));
    }
}

/// Runs a sample of curl against `base`, such as `/api`, with the shop's key.
fn shell(shop: &Storefront, sample: &str, base: &str) -> String {
    let url = shop.server.url(base);
    let script = if sample.contains(BASE_URL) {
        replaced(sample, BASE_URL, &format!("{url}/index.php/"), "\"xxxx\"", &format!("\"{}\"", shop.key.secret))
    } else {
        replaced(sample, "xxxxx/v1/", &format!("{url}/v1/"), "\"xxxxxxxx\"", &format!("\"{}\"", shop.key.secret))
    };
    printed(Command::new("bash").args(["-c", &script]))
}

/// The sample with another base URL and another key, each of which it holds once.
fn replaced(sample: &str, base: &str, url: &str, sample_key: &str, key: &str) -> String {
    assert_eq!((sample.matches(base).count(), sample.matches(sample_key).count()), (1, 1), "{sample}");
    sample.replacen(base, url, 1).replacen(sample_key, key, 1)
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// What a program prints, once it has succeeded.
fn printed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        output(command).unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let (stdout, stderr) = (String::from_utf8(stdout).expect("UTF-8"), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout
}

fn output(command: &mut Command) -> std::io::Result<Output> {
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("PYTHONIOENCODING", "utf-8").stderr(Stdio::piped()).output()
}

#[track_caller]
fn require(program: &str, arguments: &[&str], package: &str) {
    let works = output(Command::new(program).args(arguments)).is_ok_and(|output| output.status.success());
    assert!(
        works,
        "this test needs {program}: install the Debian package {package}, or run scripts/test.sh, which does it"
    );
}
