//! Sums of what all tenants were charged, and of what was not let in: on the page, and as a file.

use rstest::rstest;
use shared::db::{Connection, DbError};
use shared::key::KeyPolicy;
use shared::money::Amount;
use shared::refusal::Reason;
use shared::rollups;
use shared::staff::Role;

use crate::support::{Call, HOSTILE, HOSTILE_AS_TEXT, Scene, csv};
use crate::usage::{KEY, OTHER, Traffic, key, totals};

const DAY_MS: i64 = 86_400_000;

#[rstest]
#[case("day", &["2026-03-01", "2026-03-02", "2026-03-03"], "2026-03-02", "from=2026-03-02&to=2026-03-03")]
#[case("model", &["dall-e-3", "gpt-3.5", "gpt-4"], "gpt-4", "from=2026-02-01&model=gpt-4")]
#[case("key", &[KEY, OTHER], KEY, "from=2026-02-01&key=AAAAAAAAAAAA")]
#[case("user", &["", "u-1"], "u-1", "from=2026-02-01&user=u-1")]
#[case("user", &["", "u-1"], "", "from=2026-02-01&unnamed=1")]
#[case("tenant", &["1001", "1002"], "1001", "from=2026-02-01&tenant=1001")]
#[actix_web::test]
async fn sums_by_groups(#[case] by: &str, #[case] groups: &[&str], #[case] group: &str, #[case] leads_to: &str) {
    let traffic = Traffic::new().await;
    let mut browser = traffic.scene.signed_in(Role::Billing).await;
    let page = browser
        .get(&format!("/usage?by={by}"))
        .await
        .is(200)
        .shows(&format!("/usage?{}\"", leads_to.replace('&', "&#38;")))
        .hides("There are more groups");
    assert_eq!(page.body.contains("<svg"), by == "day", "days are drawn");
    assert!(totals(&page).contains(">5<"), "five calls were charged: {}", totals(&page));
    let file = csv(&browser.get(&format!("/usage.csv?by={by}")).await.is(200).body);
    let found: Vec<&str> = file.iter().skip(1).map(|row| row[0].as_str()).collect();
    assert_eq!(found, groups);
    page.shows(&format!("Rows: {}. ", groups.len()));
    let sum = |column: usize| file.iter().skip(1).map(|row| row[column].parse::<i64>().unwrap()).sum::<i64>();
    assert_eq!((sum(2), sum(3), sum(4), sum(5)), (5, 18 + 18 + 100 + 3, 2 + 2 + 50 + 1, 2));
    let charged: i64 = file.iter().skip(1).map(|row| row[6].parse::<Amount>().unwrap().nanos()).sum();
    // 2 x (18 x 10 + 2 x 30), 100 x 10 + 50 x 30, 3 x 10 + 1 x 30, in millionths; and two images.
    assert_eq!(Amount::from_nanos(charged).to_string(), "0.60304");

    // A group's own calls come to the same.
    let calls = browser.get(&format!("/usage?{leads_to}")).await.is(200);
    let row = file.iter().find(|row| row[0] == group).unwrap();
    assert!(
        totals(&calls).replace("<span class=\"fine\">", "").contains(row[6].as_str()),
        "{row:?} {}",
        totals(&calls)
    );
}

#[actix_web::test]
async fn sums_have_a_period_and_obey_filters() {
    let traffic = Traffic::new().await;
    let mut browser = traffic.scene.signed_in(Role::Billing).await;
    let file = csv(&browser.get("/usage.csv?by=day&tenant=Beta").await.is(200).body);
    assert_eq!(file[1..], [["2026-03-03", "", "1", "0", "0", "2", "0.60", "CNY"].map(str::to_owned).to_vec()]);
    let file = csv(&browser.get("/usage.csv?by=tenant&to=2026-03-02").await.is(200).body);
    assert_eq!(file[1..], [["1001", "Alpha", "2", "36", "4", "0", "0.00048", "CNY"].map(str::to_owned).to_vec()]);
    let file = csv(&browser.get("/usage.csv?by=model&unnamed=1&to=2026-03-02").await.is(200).body);
    assert_eq!((file.len(), file[1][2].as_str()), (2, "1"), "one of the two of that day named its end user");
    browser
        .get("/usage?by=model&from=2026-02-01&to=2026-02-02")
        .await
        .is(200)
        .shows("Nothing was charged in this time");
}

#[actix_web::test]
async fn what_sums_cannot_tell_is_said_and_not_left_out() {
    let traffic = Traffic::new().await;
    let mut browser = traffic.scene.signed_in(Role::Billing).await;
    let (days, users) = ("at most 366 days", "over at most 31 days: choose a tenant");
    for (query, field, english, chinese) in [
        ("by=day&status=failed", "status", "Sums know no status", "汇总不区分状态"),
        ("by=day&from=2025-01-01", "from", days, "最长 366 天"),
        ("by=model&from=2025-01-01&to=2026-01-03", "from", days, "最长 366 天"),
        ("by=refusal&from=2020-01-01", "from", days, "最长 366 天"),
        ("by=user&from=2026-01-01", "from", users, "最长 31 天"),
        ("by=user&from=2025-01-01&tenant=Alpha", "from", days, "最长 366 天"),
    ] {
        browser.languages = "en";
        let page = browser.get(&format!("/usage?{query}")).await.is(200).says(english);
        page.shows(&format!("aria-describedby=\"{field}-error\""));
        browser.get(&format!("/usage.csv?{query}")).await.is(422).says(english);
        browser.languages = "zh";
        browser.get(&format!("/usage?{query}")).await.is(200).says(chinese);
        browser.get(&format!("/usage.csv?{query}")).await.is(422).says(chinese);
    }
    browser.languages = "en";
    // The usual period is shown then, and is where the links lead.
    let page = browser.get("/usage?by=model&from=2025-01-01").await.is(200);
    page.shows("/usage?from=2026-02-01&#38;model=gpt-4\"");
    for query in ["by=day&from=2025-03-03", "by=user&from=2026-02-01", "by=user&from=2025-03-03&tenant=Alpha"] {
        browser.get(&format!("/usage?{query}")).await.is(200).hides("at most");
        browser.get(&format!("/usage.csv?{query}")).await.is(200);
    }
    // A key has one tenant.
    let issued = traffic.scene.issues(traffic.scene.customer("Gamma").await, KeyPolicy::default()).await;
    browser.get(&format!("/usage?by=user&from=2025-03-03&key={issued}")).await.is(200).hides("at most");
}

/// A scene with one charge, and so many end users.
async fn with_end_users(count: i64, name: &str) -> Scene {
    let scene = Scene::new().await;
    let tenant = scene.tenant("Alpha", "10.00").await;
    scene.call(Call::of(tenant, key(KEY))).await;
    scene.sum_up().await;
    scene.has_end_users(count, name).await;
    scene
}

#[actix_web::test]
async fn a_page_has_the_largest_groups_and_the_file_has_all() {
    let scene = with_end_users(10_049, "user ").await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get("/usage?by=user").await.is(200);
    let page = page.says("There are more groups: the 200 that cost the most are shown, and the sum is of all.");
    assert_eq!(page.links("/usage?from=").len(), 200);
    assert!(page.body.len() < 150_000, "{}", page.body.len());
    assert!(totals(&page).contains(">10\u{202f}050<"), "{}", totals(&page));
    // The one that cost the most has no name; among equals the names decide.
    let (first, last) = (page.body.find("(none given)").unwrap(), page.body.find("user 0000000001<").unwrap());
    assert!(first < last && page.body.contains("user 0000000199<") && !page.body.contains("user 0000000200<"));
    browser.languages = "zh";
    browser.get("/usage?by=user").await.is(200).says("还有更多分组").says("CSV 文件包含所有分组");

    // In two pieces.
    let file = csv(&browser.get("/usage.csv?by=user").await.is(200).body);
    assert_eq!(file.len(), 10_051);
    let row = ["", "", "1", "18", "2", "0", "0.00024", "CNY"].map(str::to_owned);
    assert_eq!((&file[0][0], &file[1]), (&"group".to_owned(), &row.to_vec()));
    for (number, row) in file.iter().skip(2).enumerate() {
        let expected =
            [format!("user {:010}", number + 1).as_str(), "", "1", "2", "3", "0", "0.000001", "CNY"].map(str::to_owned);
        assert_eq!(row, &expected);
    }
}

#[actix_web::test]
async fn a_file_ends_with_the_session() {
    // More than the system takes before somebody reads.
    let scene = with_end_users(60_000, &"u".repeat(500)).await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let whole = browser.download("/usage.csv?by=user").await.rest().await;
    assert!(whole.is_whole && whole.bytes > 30_000_000, "{whole:?}");
    for path in ["/usage.csv?by=user", "/usage.csv", "/ledger.csv", "/top-ups.csv", "/audit.csv"] {
        assert!(browser.download(path).await.rest().await.is_whole, "{path}");
    }
    let begun = browser.download("/usage.csv?by=user").await;
    let page = browser.get("/settings").await.is(200);
    browser.submit(&page, "/sign-out", &[]).await.leads_to("/sign-in");
    let part = begun.rest().await;
    assert!(!part.is_whole && part.bytes < whole.bytes, "{part:?}");
}

#[actix_web::test]
async fn end_users_that_are_forgotten_are_said() {
    let scene = with_end_users(3, "user ").await;
    let zone = scene.workbench.settings.timezone;
    let later = scene.workbench.clock.now().plus_ms(40 * DAY_MS);
    let purge = move |connection: &mut Connection| rollups::purge(connection, 31, later);
    scene.write(purge).await.map_err(|error: DbError| error).unwrap();
    let known = later.plus_ms(-31 * DAY_MS);
    let known = chrono::DateTime::from_timestamp_millis(known.0).unwrap().with_timezone(&zone).date_naive();
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get("/usage?by=user").await.is(200);
    page.says("End users are known from then on").says("Nothing was charged in this time");
    browser.get("/usage?by=day&user=u").await.is(200).says("End users are known from then on");
    browser.get("/usage?by=model").await.is(200).hides("End users are known").says("0.000243 CNY");
    let english = format!("End users are known from {known} on");
    browser.get("/usage.csv?by=user").await.is(422).says(&english);
    browser.get("/usage.csv?by=day&user=u").await.is(422).says(&english);
    assert_eq!(csv(&browser.get("/usage.csv?by=model").await.is(200).body).len(), 2);
    // The list of calls has its sum, which is short of those.
    browser.get("/usage?unnamed=1").await.is(200).says("What this end user's calls cost is known from");
    browser.languages = "zh";
    browser.get("/usage?by=user").await.is(200).says("终端用户的汇总自该时间起保留");
    browser.get("/usage.csv?by=user").await.is(422).says(&format!("终端用户的汇总自 {known} 起保留"));
    browser.get("/usage?unnamed=1").await.is(200).says("该终端用户的费用自");
}

#[actix_web::test]
async fn refusals_are_counted() {
    let scene = Scene::new().await;
    let (alpha, beta) = (scene.tenant("Alpha", "1.00").await, scene.tenant("Beta", "0").await);
    let (calls, now) = (&scene.deployment.calls, scene.workbench.clock.now());
    for _ in 0..3 {
        calls.refused(beta, key(OTHER), "gpt-4", Reason::InsufficientQuota, now);
    }
    calls.refused(alpha, key(KEY), "", Reason::InvalidParameter, now);
    calls.flush().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get("/usage?by=refusal").await.is(200).shows("balance too low").shows("40002");
    assert!(totals(&page).contains(">4<"));
    page.shows("Rows: 2. ");
    let file = csv(&browser.get("/usage.csv?by=refusal&tenant=Beta").await.is(200).body);
    assert_eq!(file, [["code", "model", "count"], ["40200", "gpt-4", "3"]].map(|row| row.map(str::to_owned).to_vec()));
    browser
        .get(&format!("/usage?by=refusal&key={KEY}"))
        .await
        .is(200)
        .hides("balance too low")
        .shows("parameter wrong");
    let file = csv(&browser.get("/usage.csv?by=refusal&model=gpt-4").await.is(200).body);
    assert_eq!((file.len(), file[1][2].as_str()), (2, "3"), "the model counts");
    assert_eq!(csv(&browser.get("/usage.csv?by=refusal&model=a%00").await.is(200).body).len(), 1);
    // What refusals do not know is said, and no file passes for it.
    for (filter, words) in
        [("user=u-1", "no end user is known"), ("unnamed=1", "no end user is known"), ("status=failed", "no status")]
    {
        browser.get(&format!("/usage?by=refusal&{filter}")).await.is(200).says(words);
        browser.get(&format!("/usage.csv?by=refusal&{filter}")).await.is(422).says(words);
    }
    browser.languages = "zh";
    browser.get("/usage?by=refusal&from=2020-01-01&to=2020-01-02").await.is(200).shows("没有被拒的请求");
}

#[actix_web::test]
async fn a_reason_leads_to_whose_requests_were_refused() {
    let scene = Scene::new().await;
    let (alpha, beta) = (scene.tenant("Alpha", "1.00").await, scene.tenant(HOSTILE, "0").await);
    let (of_alpha, of_beta) =
        (scene.issues(alpha, KeyPolicy::default()).await, scene.issues(beta, KeyPolicy::default()).await);
    let (calls, now) = (&scene.deployment.calls, scene.workbench.clock.now());
    for (tenant, key, model, reason, count) in [
        (beta, of_beta, "gpt-4", Reason::InsufficientQuota, 3),
        (alpha, of_alpha, "gpt-4", Reason::InsufficientQuota, 2),
        (alpha, of_alpha, "gpt-3.5", Reason::InsufficientQuota, 1),
        (alpha, of_alpha, "", Reason::InvalidParameter, 1),
    ] {
        for _ in 0..count {
            calls.refused(tenant, key, model, reason, now);
        }
    }
    calls.flush().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let reasons = browser.get("/usage?by=refusal").await.is(200).rows();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    let keys = browser.get(&reasons[0]).await.is(200).says("Refused: 40200 balance too low").says("Together 5");
    let keys = keys.shows(HOSTILE_AS_TEXT).hides("gpt-3.5</bdi>").hides("aria-invalid");
    assert_eq!(keys.rows(), [of_beta, of_alpha].map(|key| format!("/keys/{key}")));
    for path in keys.rows() {
        browser.get(&path).await.is(200);
    }
    // Without a model it is all of that reason.
    let unnamed = reasons.iter().find(|path| path.contains("status=40002")).unwrap();
    let keys = browser.get(unnamed).await.is(200).says("Together 1");
    assert_eq!(keys.rows(), [format!("/keys/{of_alpha}")]);
    let address = keys.between("href=\"/usage.csv", "\"");
    let file = csv(&browser.get(&format!("/usage.csv{address}")).await.is(200).body);
    assert_eq!(file[0], ["code", "tenant_id", "tenant", "key_id", "model", "count"].map(str::to_owned));
    assert_eq!(
        file[1..],
        [["40002", &alpha.to_string(), "Alpha", of_alpha.as_str(), "", "1"].map(str::to_owned).to_vec()]
    );
    let all = csv(&browser.get("/usage.csv?by=refusal&status=40200").await.is(200).body);
    assert_eq!(all.iter().skip(1).map(|row| row[5].as_str()).collect::<Vec<_>>(), ["3", "2", "1"]);
    browser.get("/usage?by=refusal&status=40300").await.is(200).says("No request was refused for this reason");

    // A tenant's page leads to its own.
    let refused = browser.get(&format!("/tenants/{alpha}")).await.is(200).rows();
    let refused: Vec<&String> = refused.iter().filter(|path| path.contains("by=refusal")).collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    let keys = browser.get(refused[0]).await.is(200).says("Together 2").hides("aria-invalid");
    assert_eq!(keys.rows(), [format!("/keys/{of_alpha}")]);
    browser.languages = "zh";
    browser.get(refused[0]).await.is(200).says("被拒： 40200");
}
