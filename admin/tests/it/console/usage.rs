//! Usage in the console.

use shared::key::{Console as Sees, KeyPolicy};

use crate::support::console::Console;
use crate::support::{HOSTILE, HOSTILE_AS_TEXT};

#[actix_web::test]
async fn usage_is_summed_by_day_model_and_end_user() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let all = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    for (key, user) in [(&key, Some(HOSTILE)), (&key, None), (&all, Some("bob"))] {
        console.call(key, "hello", user).await;
    }
    let mut browser = console.signed_in(&key).await;
    // One token in and one out: 0.00004 a call.
    for by in ["day", "model", "user"] {
        let page = browser.get(&format!("/console/usage?by={by}")).await.is(200);
        page.says("Together 2 2 2 0 0.00008 CNY").says("Cost a day (CNY)").shows("<svg").hides(HOSTILE).hides("bob");
    }
    let page = browser.get("/console/usage?by=user").await.is(200).shows(HOSTILE_AS_TEXT);
    page.says("none was given 1 1 1 0 0.00004 CNY");
    browser.get("/console/usage?by=model").await.is(200).says("gpt-3.5 2 2 2 0 0.00008 CNY");
    browser.languages = "zh";
    browser.get("/console/usage").await.is(200).says("合计").says("每日费用");

    let mut of_all = console.signed_in(&all).await;
    of_all.get("/console/usage?by=user").await.is(200).says("Together 3 3 3 0 0.00012 CNY").says("bob");
}

#[actix_web::test]
async fn days_that_make_no_period_are_said() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let wrong = [
        "from=yesterday",
        "from=2026-01-02&to=2026-01-01",
        "from=2020-01-01&to=2022-01-01",
        "to=%3Cscript%3E",
        "to=%2B262142-12-31",
    ];
    for query in wrong {
        let page = browser.get(&format!("/console/usage?{query}")).await.is(200);
        page.says("the last 30 days are shown").says("Nothing was").hides("<script>");
    }
    browser.get("/console/usage?from=2020-01-01&to=2020-12-31&by=nothing").await.is(200);
}
