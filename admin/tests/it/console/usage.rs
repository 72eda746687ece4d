//! Usage in the console.

use shared::db::{Connection, DbError};
use shared::key::{Console as Sees, KeyPolicy};
use shared::rollups;

use crate::support::console::Console;
use crate::support::{HOSTILE, HOSTILE_AS_TEXT};

#[actix_web::test]
async fn usage_is_summed_by_day_model_and_end_user() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let all = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    let mut made = Vec::new();
    for (key, user) in [(&key, Some(HOSTILE)), (&key, None), (&all, Some("bob"))] {
        made.push(console.call(key, "hello", user).await.to_string());
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
    // Every row leads to its calls, and to no others.
    for (by, expected) in
        [("day", vec![[true, true]]), ("model", vec![[true, true]]), ("user", vec![[false, true], [true, false]])]
    {
        let groups = browser.get(&format!("/console/usage?by={by}")).await.is(200).rows();
        assert_eq!(groups.len(), expected.len(), "{groups:?}");
        for (path, expected) in groups.iter().zip(expected) {
            for path in [path.clone(), path.replace("/calls?", "/calls.csv?")] {
                let page = browser.get(&path).await.is(200).hides("could not be");
                assert_eq!([&made[0], &made[1]].map(|call| page.body.contains(call)), expected, "{path}");
                assert!(!page.body.contains(&made[2]), "{path}");
            }
        }
    }
    browser.get("/console/calls?user=bob&unnamed=1").await.is(200).says("A filter could not be understood");
    browser.get("/console/calls.csv?user=bob&unnamed=1").await.is(422);
    browser.languages = "zh";
    browser.get("/console/usage").await.is(200).says("合计").says("每日费用");

    let mut of_all = console.signed_in(&all).await;
    of_all.get("/console/usage?by=user").await.is(200).says("Together 3 3 3 0 0.00012 CNY").says("bob");
}

#[actix_web::test]
async fn days_that_make_no_period_are_said_and_shown_as_they_were_typed() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let (no_day, too_long) = ("Give a day, like 2026-01-31.", "At most 366 days can be summed.");
    let wrong = [
        ("from=yesterday", "from", r#"type="text" name="from" value="yesterday""#, no_day),
        ("from=2026-01-02&to=2026-01-01", "to", r#"type="date" name="to" value="2026-01-01""#, "must not be before"),
        ("from=2020-01-01&to=2022-01-01", "from", r#"type="date" name="from" value="2020-01-01""#, too_long),
        ("to=%3Cscript%3E", "to", r#"type="text" name="to" value="&#60;script&#62;""#, no_day),
        ("to=%2B262142-12-31", "to", r#"type="text" name="to" value="+262142-12-31""#, no_day),
    ];
    for (query, field, shown, words) in wrong {
        let page = browser.get(&format!("/console/usage?{query}")).await.is(200);
        let page = page.says("the last 30 days are shown").says("Nothing was").hides("<script>");
        page.shows(&format!("{shown} aria-invalid=\"true\" aria-describedby=\"{field}-error\"")).says(words);
    }
    let page = browser.get("/console/usage?from=2020-01-01&to=2020-12-31&by=nothing").await.is(200);
    page.shows(r#"value="2020-01-01">"#).hides("aria-invalid");
    browser.languages = "zh";
    browser.get("/console/usage?from=yesterday").await.is(200).says("请输入日期").says("以下显示最近 30 天");
}

#[actix_web::test]
async fn the_largest_end_users_are_shown_and_those_that_are_forgotten_are_said() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    console.call(&key, "hello", Some("bob")).await;
    let scene = &console.scene;
    scene.sum_up().await;
    scene.has_end_users(300, "user ").await;
    let mut browser = console.signed_in(&key).await;
    let page = browser.get("/console/usage?by=user").await.is(200);
    let page = page.says("The groups that cost the most are shown").says("Together 301 601 901 0 0.00034 CNY");
    assert_eq!(page.body.matches("user 0000000").count(), 199 + 3 * 2, "with those that the chart and its table name");
    assert!(page.body.contains("user 0000000199<") && !page.body.contains("user 0000000200<"));

    let later = scene.workbench.clock.now().plus_ms(40 * 86_400_000);
    let purge = move |connection: &mut Connection| rollups::purge(connection, 31, later);
    scene.write(purge).await.map_err(|error: DbError| error).unwrap();
    let page = browser.get("/console/usage?by=user").await.is(200).hides("user 0000000");
    page.says("End users are known from").says("what was charged before is not in the table");
    let page = browser.get("/console/calls?user=bob").await.is(200);
    page.says("1 calls, 1 answered; 0 + 0 tokens").says("(what this end user's calls cost is known from");
    browser.get("/console/calls").await.is(200).hides("is known from");
    browser.get("/console/usage?by=model").await.is(200).hides("End users are known").says("0.00034 CNY");
}
