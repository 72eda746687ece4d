//! The samples of the console, as its pages print them: by the tools that they are for, with nothing set but the key where it is marked.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::sdk;
use crate::support::storefront::Storefront;
use crate::support::visitor::Visitor;

/// Where the key stands in a sample.
const MARK: &str = "<mark>SECRET_KEY</mark>";
/// What all samples ask, and the echo channel answers.
const QUESTION: &str = "请介绍一下你自己";
/// The words that must be printed by each of them, in their order on the page.
const EXPECTED: [(&str, &[&str]); 9] = [
    ("sh", &[r#"{"code":0,"msg":"","#, r#""object":"chat.completion""#, QUESTION]),
    ("sh", &[r#"{"code":0,"msg":"","#, r#""object":"chat.completion""#, QUESTION]),
    ("requests", &["请介绍一下你自己\n"]),
    ("python", &["请介绍一下你自己\n"]),
    ("php", &["请介绍一下你自己\n"]),
    ("js", &["请介绍一下你自己\n"]),
    ("js", &["请介绍一下你自己\n"]),
    ("sh", &[r#""index":1"#, r#""embedding":["#, r#""model":"text-embedding-3-small""#]),
    ("sh", &[r#""posted":"99.9"#, r#""object":"list""#, r#""type":"capture""#, r#""id":"gpt-4""#]),
];

#[tokio::test(flavor = "multi_thread")]
async fn they_run_as_they_are() {
    let shop = Storefront::open("100.00").await;
    let mut developer = Visitor::new(&shop.server.url(""));
    developer.post("/console/sign-in", &[("secret_key", &shop.key.secret)]).await;
    let samples = developer.get("/console/samples").await.body;
    assert!(samples.contains("import OpenAI from"), "nobody is signed in: {samples}");
    let samples = blocks(&samples, &shop.key.secret);
    assert_eq!(samples.len(), EXPECTED.len(), "{samples:?}");
    for (source, (language, words)) in samples.iter().zip(EXPECTED) {
        prints(language, source, words).await;
    }
    let overview = blocks(&developer.get("/console").await.body, &shop.key.secret);
    assert_eq!(overview, samples[..1], "a call that works");
    let chats = EXPECTED.iter().filter(|(_, words)| words.concat().contains(QUESTION)).count();
    let charged = shop.ledger().await.into_iter().filter(|entry| entry["type"] == "capture").count();
    assert_eq!(charged, chats + 1, "each has made its call, and one was for embeddings");
    shop.close().await;
}

/// The blocks of code of a page, as a person copies them, with the key in its place.
fn blocks(html: &str, secret: &str) -> Vec<String> {
    let blocks = html.split("<pre tabindex=\"0\"><code>").skip(1);
    let blocks = blocks.map(|rest| rest.split("</code></pre>").next().expect("its end"));
    blocks
        .map(|block| {
            let block = block.replace(MARK, secret);
            assert!(!block.contains('<') && block.contains(secret), "something else is marked: {block}");
            let signs =
                [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")];
            signs.iter().fold(block, |text, (written, sign)| text.replace(written, sign))
        })
        .collect()
}

/// Runs a sample with an environment of almost nothing, and looks for these words in what it prints.
async fn prints(language: &str, source: &str, words: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = program(language, source, folder.path());
    let run = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().expect("it starts"));
    let Output { status, stdout, stderr } = run.await.expect("it ends");
    let (printed, complaints) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{source}\n{status}\n{printed}\n{complaints}");
    for words in words {
        assert!(printed.contains(words), "no {words:?} of\n{source}\nin\n{printed}\n{complaints}");
    }
}

fn program(language: &str, source: &str, folder: &Path) -> Command {
    let mut command = match language {
        "sh" => {
            let mut command = Command::new("bash");
            command.args(["-e", "-o", "pipefail", "-c", source]);
            command
        }
        "requests" | "php" => {
            let program = if language == "php" { "php".into() } else { sdk::python_with_requests() };
            let path = folder.join("sample");
            std::fs::write(&path, source).expect("a file is written");
            let mut command = Command::new(program);
            command.arg(path);
            command
        }
        _ => return sdk::sample(language, source, folder),
    };
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("PYTHONIOENCODING", "utf-8");
    command
}
