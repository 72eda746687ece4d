//! The playground: a real call, its answer, and what it cost. And the samples.

use std::num::NonZeroU32;
use std::time::Instant;

use futures_util::future::join;
use shared::id::RequestId;
use shared::key::{Console as Sees, KeyPolicy};
use shared::limits::KeyLimits;

use crate::support::console::{Console, FAIL};
use crate::support::{HOSTILE, HOSTILE_AS_TEXT, Reply};

const PATH: &str = "/console/playground";

#[actix_web::test]
async fn a_call_is_answered_and_its_cost_shown() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let page = browser.get(PATH).await.is(200);
    let typed = [("model", "gpt-4"), ("text", "hello world"), ("max_tokens", "16")];
    let reply = browser.submit(&page, PATH, &typed).await.is(200);
    reply
        .shows("<pre class=\"answer\" dir=\"auto\">hello world</pre>")
        .shows("<option value=\"gpt-4\" selected>")
        .says("It cost 0.00008 CNY")
        .says("0 hanzi + 2 words x 1.3 = 2 tokens; 2 x 10.00 / 1,000,000 = 0.000020000")
        .says("together 0.000080000");
    let balance = console.scene.balance(tenant).await;
    assert_eq!((balance.posted, balance.held.nanos()), ("9.99992".parse().unwrap(), 0));

    // The same form again is no second call.
    browser.submit(&page, PATH, &typed).await.is(200).says("This form was sent before");
    assert_eq!(console.scene.balance(tenant).await.posted, balance.posted);

    browser.languages = "zh";
    let page = browser.get(PATH).await.is(200).says("试用").says("真实调用");
    let reply = browser.submit(&page, PATH, &[("model", "gpt-4"), ("text", HOSTILE)]).await.is(200);
    let reply = reply.says("费用 0.00").hides(HOSTILE);
    assert_eq!(reply.body.matches(HOSTILE_AS_TEXT).count(), 2, "in the answer and in the form: {}", reply.body);
}

#[actix_web::test]
async fn two_clicks_at_the_same_moment_are_one_call() {
    let mut console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let typed = [("model", "gpt-4"), ("text", "hello world")];
    // In the same process, and in two.
    let twins = [browser.clone(), browser.at(console.another())];
    for (mut twin, posted) in twins.into_iter().zip(["9.99992", "9.99984"]) {
        let page = browser.get(PATH).await.is(200);
        let (one, two) = join(browser.submit(&page, PATH, &typed), twin.submit(&page, PATH, &typed)).await;
        let answered = [one.is(200), two.is(200)].map(|reply| reply.body.contains("class=\"answer\""));
        assert!(answered[0] != answered[1], "one is answered");
        assert_eq!(console.scene.balance(tenant).await.posted, posted.parse().unwrap());
    }
}

/// The hidden fields of the playground's form with another id.
fn hidden(page: &Reply, once: &str) -> Vec<(String, String)> {
    let fields = page.hidden(PATH).into_iter();
    fields.map(|(name, value)| if name == "once" { (name, once.to_owned()) } else { (name, value) }).collect()
}

#[actix_web::test]
async fn a_form_is_remembered_by_every_process_and_after_a_restart() {
    let mut console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let page = browser.get(PATH).await.is(200);
    let typed = [("model", "gpt-4"), ("text", "hello world")];
    let answered = browser.submit(&page, PATH, &typed).await.is(200).says("It cost 0.00008 CNY");
    let call = answered.body.split("/console/calls/").nth(1).unwrap()[..36].to_owned();
    let mut after = browser.at(console.another());
    let reply = after.submit(&page, PATH, &typed).await.is(200).says("This form was sent before");
    reply.shows(&format!("href=\"/console/calls/{call}\"")).hides("class=\"answer\"");
    assert_eq!(console.scene.balance(tenant).await.posted, "9.99992".parse().unwrap());
}

#[actix_web::test]
async fn a_form_without_an_id_of_its_own_makes_no_call() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let (key, other) =
        (console.issue(tenant, KeyPolicy::default()).await, console.issue(tenant, KeyPolicy::default()).await);
    let typed = [("model", "gpt-4"), ("text", "hello world")];
    let mut browser = console.signed_in(&other).await;
    let page = browser.get(PATH).await.is(200);
    let sent = page.hidden(PATH).into_iter().find(|(name, _)| name == "once").unwrap().1;
    browser.submit(&page, PATH, &typed).await.is(200).says("It cost");

    let mut browser = console.signed_in(&key).await;
    let page = browser.get(PATH).await.is(200);
    let now = console.scene.workbench.clock.now();
    let old = RequestId::floor(now.plus_ms(-24 * 3_600_000 - 1)).to_string();
    for once in ["", "x", HOSTILE, "00000000-0000-0000-0000-000000000000", &old, &sent] {
        let reply = browser.submit_to(PATH, hidden(&page, once), &typed).await.is(422);
        reply.says("This form is out of date").says("Nothing was changed").hides(HOSTILE);
    }
    let without = page.hidden(PATH).into_iter().filter(|(name, _)| name != "once").collect();
    browser.submit_to(PATH, without, &typed).await.is(422).says("This form is out of date");
    browser.languages = "zh";
    browser.submit_to(PATH, hidden(&page, ""), &typed).await.is(422).says("该表单已失效");
    assert_eq!(console.scene.balance(tenant).await.posted, "9.99992".parse().unwrap(), "only the first call was made");
    browser.submit(&page, PATH, &typed).await.is(200).says("费用");
}

#[actix_web::test]
async fn no_key_sends_more_forms_than_a_person() {
    let console = Console::new().await;
    let poor = console.scene.customer("poor").await;
    let key = console.issue(poor, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let page = browser.get(PATH).await.is(200);
    let typed = [("model", "gpt-4"), ("text", "hello world")];
    let (begun, mut sent) = (Instant::now(), 0);
    let reply = loop {
        let form = hidden(&page, &RequestId::new().to_string());
        let reply = browser.submit_to(PATH, form.clone(), &typed).await;
        if reply.status == 429 {
            break reply.says("Too many attempts");
        }
        reply.is(200).says("40200 insufficient_quota");
        browser.submit_to(PATH, form, &typed).await.is(200).says("This form was sent before");
        sent += 1;
        // 120, and one more for every five seconds that all this has taken.
        assert!(sent <= 121 + begun.elapsed().as_secs() / 5, "{sent}");
    };
    assert!(sent >= 120, "{sent}");
    assert!(reply.header("retry-after").is_some());
}

#[actix_web::test]
async fn what_is_refused_is_said_and_costs_nothing() {
    let console = Console::new().await;
    let (tenant, poor) = (console.tenant("acme").await, console.scene.customer("poor").await);
    let limits = KeyLimits { rpm: NonZeroU32::new(3), ..KeyLimits::default() };
    let policy = KeyPolicy { models: Some(vec!["gpt-3.5".to_owned()]), limits, ..KeyPolicy::default() };
    let (key, broke) = (console.issue(tenant, policy).await, console.issue(poor, KeyPolicy::default()).await);
    let mut browser = console.signed_in(&key).await;
    let page = browser.get(PATH).await.is(200).hides("value=\"gpt-4\"");
    let long = "长".repeat(5001);
    for (model, text, max_tokens, code) in [
        ("gpt-4", "hi", "16", "40300 model_not_allowed"),
        ("gpt-3.5", " ", "16", "40002 invalid_parameter"),
        ("gpt-3.5", &long, "16", "40002 invalid_parameter"),
        ("gpt-3.5", "hi", "many", "40002 invalid_parameter"),
        ("gpt-3.5", "hi", "0", "40002 invalid_parameter"),
        (HOSTILE, "hi", "16", "40300 model_not_allowed"),
        // None of these made a call, so the form is as good as new.
        ("gpt-3.5", FAIL, "16", "50200 upstream_error"),
    ] {
        let typed = [("model", model), ("text", text), ("max_tokens", max_tokens)];
        let reply = browser.submit(&page, PATH, &typed).await.is(200);
        reply.says("There is no answer.").says(code).hides(HOSTILE);
    }
    for _ in 0..2 {
        let page = browser.get(PATH).await.is(200);
        browser.submit(&page, PATH, &[("text", "hi"), ("model", "gpt-3.5")]).await.is(200).says("It cost");
    }
    let page = browser.get(PATH).await.is(200);
    let reply = browser.submit(&page, PATH, &[("text", "hi"), ("model", "gpt-3.5")]).await.is(200);
    reply.says("42900 rate_limit_exceeded");
    assert_eq!(console.scene.balance(tenant).await.posted, "9.99992".parse().unwrap());

    let mut browser = console.signed_in(&broke).await;
    let page = browser.get(PATH).await.is(200);
    let reply = browser.submit(&page, PATH, &[("text", "hi"), ("model", "gpt-3.5")]).await.is(200);
    reply.says("40200 insufficient_quota");
}

#[actix_web::test]
async fn samples_name_a_model_that_the_key_may_use() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let models = Some(vec!["gpt-4".to_owned()]);
    let limited = console.issue(tenant, KeyPolicy { models, ..KeyPolicy::default() }).await;
    let all = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    for (key, model) in [(&limited, "gpt-4"), (&all, "gpt-3.5")] {
        let page = console.signed_in(key).await.get("/console/samples").await.is(200);
        assert!(page.body.matches("<mark>SECRET_KEY</mark>").count() >= 9);
        let embeds = page.body.contains("/v1/embeddings") && page.body.contains("text-embedding-3-small");
        assert_eq!(embeds, model != "gpt-4", "only where the key may use such a model");
        page.says(&format!("http://{}/v1/chat/completions", console.address))
            .says(&format!("http://{}/index.php/api/v1/chat/completions", console.address))
            .says("api_secret_key")
            .says("from openai import OpenAI")
            .says("import OpenAI from")
            .says("stream_context_create")
            .says("await fetch")
            .shows(&format!("model: \"{model}\""));
    }
}

#[actix_web::test]
async fn samples_name_only_what_is_served() {
    // Of the models that it knows, `gpt-3.5` is the usual one.
    let console = Console::serving(&["dall-e-3", "text-embedding-3-large", "zeta-chat"]).await;
    let tenant = console.tenant("acme").await;
    let all = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&all).await;
    for path in ["/console", "/console/samples"] {
        let page = browser.get(path).await.is(200);
        assert!(page.body.contains("zeta-chat") && !page.body.contains("gpt-3.5"), "{path}: {}", page.body);
        page.hides("No channel serves");
    }
    browser.get("/console/samples").await.says("text-embedding-3-large");
    let page = browser.get(PATH).await.is(200).shows("<option value=\"zeta-chat\" selected>");
    page.hides("No channel serves");

    let models = Some(vec!["gpt-3.5".to_owned(), "text-embedding-3-small".to_owned(), "dall-e-3".to_owned()]);
    let limited = console.issue(tenant, KeyPolicy { models, ..KeyPolicy::default() }).await;
    let mut browser = console.signed_in(&limited).await;
    for (languages, words) in [
        ("en", "No channel serves a model for chats that this key may use"),
        ("zh", "目前没有渠道提供本密钥可用的对话模型"),
    ] {
        browser.languages = languages;
        for path in ["/console", "/console/samples", PATH] {
            let page = browser.get(path).await.is(200).says(words);
            assert!(!page.body.contains(" selected>"), "{path}: {}", page.body);
            assert!(!page.body.contains("/chat/completions"), "{path} has a call that is refused: {}", page.body);
        }
    }
    browser.get("/console/samples").await.says("/v1/balance").hides("/v1/embeddings");
}
