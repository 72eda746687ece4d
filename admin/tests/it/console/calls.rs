//! What a session sees of calls: its key's, or all of its tenant's; never another's.

use shared::key::{Console as Sees, KeyPolicy};

use crate::support::console::{Console, FAIL, Issued};
use crate::support::{HOSTILE, HOSTILE_AS_TEXT};

/// Two keys of one tenant, the second of which sees all; and one of another tenant.
async fn keys(console: &Console) -> [Issued; 3] {
    let (acme, other) = (console.tenant("acme").await, console.tenant("other").await);
    let sees = |console| KeyPolicy { console, ..KeyPolicy::default() };
    [
        console.issue(acme, sees(Sees::Key)).await,
        console.issue(acme, sees(Sees::Tenant)).await,
        console.issue(other, sees(Sees::Tenant)).await,
    ]
}

#[actix_web::test]
async fn a_call_opens_into_its_arithmetic() {
    let console = Console::new().await;
    let [key, ..] = keys(&console).await;
    let call = console.call(&key, "请介绍一下你自己吧谢谢你 one two three four five", Some(HOSTILE)).await;
    let failed = console.call(&key, FAIL, None).await;
    let mut browser = console.signed_in(&key).await;
    // 12 hanzi and 5 words, in the question and in the answer, at 10.00 and 30.00.
    let path = format!("/console/calls/{call}");
    let page = browser.get(&path).await.is(200).shows(HOSTILE_AS_TEXT).hides(HOSTILE);
    page.says("12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 10.00 / 1,000,000 = 0.000180000")
        .says("12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 30.00 / 1,000,000 = 0.000540000")
        .says("together 0.000720000")
        .says("Charged 0.00072 CNY")
        .says("Balance afterwards 9.99928 CNY")
        .says("answered");
    let page = browser.get(&format!("/console/calls/{failed}")).await.is(200);
    page.says("Charged nothing").says("50200").hides("echo");
    browser.get("/console").await.is(200).says("Available 9.99928 CNY").says("18 + 18 0.00072 CNY").shows(&path);

    browser.languages = "zh";
    browser.get(&path).await.is(200).says("扣费计算过程").says("= 0.000180000");
    browser.get("/console/calls").await.is(200).says("调用记录").says("已完成");
}

#[actix_web::test]
async fn each_sees_its_own() {
    let console = Console::new().await;
    let [one, all, other] = keys(&console).await;
    let mut calls = Vec::new();
    for key in [&one, &all, &other] {
        calls.push(console.call(key, "hello", Some(key.id.as_str())).await.to_string());
    }
    for (key, seen) in [(&one, &calls[..1]), (&all, &calls[..2]), (&other, &calls[2..])] {
        let mut browser = console.signed_in(key).await;
        for path in ["/console", "/console/calls", "/console/calls.csv"] {
            let page = browser.get(path).await.is(200);
            for call in &calls {
                assert_eq!(page.body.contains(call), seen.contains(call), "{path} {call}\n{}", page.body);
            }
        }
        for call in &calls {
            let status = if seen.contains(call) { 200 } else { 404 };
            browser.get(&format!("/console/calls/{call}")).await.is(status);
        }
    }
}

#[actix_web::test]
async fn calls_are_filtered_and_what_cannot_be_read_is_said() {
    let console = Console::new().await;
    let [key, ..] = keys(&console).await;
    let of_ann = console.call(&key, "hello", Some("ann & bob")).await.to_string();
    let failed = console.call(&key, FAIL, None).await.to_string();
    let mut browser = console.signed_in(&key).await;
    for (query, expected) in [
        ("", [true, true]),
        ("user=ann+%26+bob", [true, false]),
        ("user=ann", [false, false]),
        ("model=gpt-3.5", [true, true]),
        ("model=gpt-4", [false, false]),
        ("status=answered", [true, false]),
        ("status=failed", [false, true]),
        ("from=2020-01-01&to=2020-12-31", [false, false]),
        ("from=2020-01-01", [true, true]),
    ] {
        for path in ["/console/calls", "/console/calls.csv"] {
            let page = browser.get(&format!("{path}?{query}")).await.is(200);
            let seen = [page.body.contains(&of_ann), page.body.contains(&failed)];
            assert_eq!(seen, expected, "{path}?{query}\n{}", page.body);
        }
    }
    for query in ["from=yesterday", "to=2026-02-30", "status=x", "from=%3Cscript%3E"] {
        // A file would pass for what was asked for.
        browser.get(&format!("/console/calls.csv?{query}")).await.is(422);
        let page = browser.get(&format!("/console/calls?{query}")).await.is(200);
        page.says("A filter could not be understood").hides("<script>");
    }
    browser.get("/console/calls.csv?model=a&model=b").await.is(422).says("A filter could not be read");
    // A field for days would show nothing of it.
    let page = browser.get("/console/calls?from=yesterday&to=2026-01-31").await.is(200);
    page.shows(r#"type="text" name="from" value="yesterday""#).shows(r#"type="date" name="to" value="2026-01-31""#);
    let page = browser.get("/console/calls?user=ann+%26+bob").await.is(200);
    page.shows("/console/calls.csv?user=ann+%26+bob").says("1 calls, 1 answered; 1 + 1 tokens; together 0.00004 CNY");
}

#[actix_web::test]
async fn the_file_holds_no_formula() {
    let console = Console::new().await;
    let [key, ..] = keys(&console).await;
    let mut browser = console.signed_in(&key).await;
    let empty = browser.get("/console/calls.csv").await.is(200);
    assert_eq!(empty.body.lines().count(), 1, "{}", empty.body);
    console.call(&key, "hello", Some("=1+1")).await;
    let file = browser.get("/console/calls.csv").await.is(200);
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"calls.csv\""));
    let lines: Vec<&str> = file.body.lines().collect();
    assert_eq!(lines.len(), 2, "{}", file.body);
    assert!(lines[0].starts_with("time,request_id,key,endpoint,model,user,status"), "{}", lines[0]);
    assert!(lines[1].contains(",chat,gpt-3.5,'=1+1,answered,0,1,1,0,0.00004,"), "{}", lines[1]);
}

#[actix_web::test]
async fn a_file_ends_with_the_session() {
    let console = Console::new().await;
    let [key, ..] = keys(&console).await;
    console.call(&key, "hello", None).await;
    // More than the system takes before somebody reads.
    console.scene.has_calls(50_000).await;
    let browser = console.signed_in(&key).await;
    let whole = browser.download("/console/calls.csv").await.rest().await;
    assert!(whole.is_whole && whole.bytes > 25_000_000, "{whole:?}");
    let begun = browser.download("/console/calls.csv").await;
    console.revoke(key.id).await;
    let part = begun.rest().await;
    assert!(!part.is_whole && part.bytes < whole.bytes, "{part:?}");
}
