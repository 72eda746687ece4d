//! The samples of `docs/clients.md`, in both languages, as printed: by the tools that they are for, with nothing set but the address and
//! the key.

use std::process::{Command, Output, Stdio};

use rstest::rstest;

use crate::support::sdk;
use crate::support::storefront::Storefront;

const ENGLISH: &str = include_str!("../../../../docs/clients.md");
const CHINESE: &str = include_str!("../../../../docs/clients.zh-CN.md");

/// The blocks of code, each with its language.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    let parts = document.split("```").skip(1).step_by(2);
    parts.map(|block| block.split_once('\n').expect("a language")).collect()
}

#[test]
fn both_languages_have_the_same_samples() {
    assert_eq!(blocks(ENGLISH), blocks(CHINESE));
    assert_eq!(blocks(ENGLISH).len(), 10);
}

#[rstest]
#[case::openai_for_python(1, &["Hello", "Count to five", "404 model_not_found"])]
#[case::once(2, &["Hello once\nHello once"])]
#[case::openai_for_node(3, &["Hello", "Count to five", "404 model_not_found"])]
#[case::langchain(4, &["Hello", "Count to five", "1536"])]
#[case::curl(5, &[r#"{"code":0,"msg":"","#, r#""content":"Hello""#])]
#[case::curl_streamed(6, &["data: {", "data: [DONE]"])]
#[case::records(7, &[r#""currency":"CNY""#, r#""object":"list""#])]
#[case::original(8, &[r#"{"code":0,"msg":"","#, "请介绍一下你自己"])]
#[case::original_balance(9, &[r#"{"code":0,"msg":"ok","object":"credit_summary""#])]
#[tokio::test(flavor = "multi_thread")]
async fn a_sample(#[case] place: usize, #[case] expected: &[&str]) {
    let shop = Storefront::open("100.00").await;
    let (language, source) = blocks(ENGLISH)[place];
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = match language {
        "sh" => {
            let mut command = Command::new("bash");
            command.args(["-e", "-o", "pipefail", "-c", source]).env_clear();
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command
        }
        _ => sdk::sample(language, source, folder.path()),
    };
    command.env("BASE", shop.server.url("")).env("KEY", &shop.key.secret);
    let run = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().expect("it starts"));
    let Output { status, stdout, stderr } = run.await.expect("it ends");
    let (printed, complaints) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\n{printed}\n{complaints}");
    for words in expected {
        assert!(printed.contains(words), "no {words:?} in\n{printed}\n{complaints}");
    }
    shop.close().await;
}
