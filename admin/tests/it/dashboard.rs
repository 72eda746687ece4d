//! The dashboard: what was done in a chosen time, how it stands now, and the part that renews itself.

use std::time::{Duration, Instant};

use actix_web::rt::time::timeout;
use rstest::rstest;
use shared::admission::Call as Admitted;
use shared::admission::request::{Body, Rules};
use shared::calls::Status;
use shared::catalogue::channel::ChannelKind;
use shared::clock::{Clock, Timestamp};
use shared::deployment::Deployment;
use shared::id::RequestId;
use shared::key::Console;
use shared::keyring::Caller;
use shared::limits::KeyLimits;
use shared::queue::{Endpoint, TryOutcome, Way};
use shared::refusal::Reason;
use shared::secret_key::KeyId;
use shared::staff::Role;

use crate::support::{Call, Paid, Reply, Scene, tried};

fn key() -> KeyId {
    "AAAAAAAAAAAA".parse().unwrap()
}

/// What stands under a figure's name.
#[track_caller]
fn figure(page: &Reply, name: &str) -> String {
    page.between(&format!("<dt>{name}</dt><dd"), "</dd>").split_once('>').unwrap().1.to_owned()
}

/// A service in which something happened at 10:00, and something else at 11:00 of the next day.
async fn busy() -> Scene {
    let clock = Clock::manual(Timestamp::from_rfc3339("2026-03-01T10:00:00+08:00").unwrap());
    let scene = Scene::at(clock.clone()).await;
    scene.channel("first", ChannelKind::Echo, &["gpt-4"]).await;
    let (alpha, beta) = (scene.tenant("Alpha", "10.00").await, scene.tenant("Beta", "10.00").await);
    scene.call(Call::of(alpha, key())).await;
    clock.advance(86_400_000 + 3_600_000);
    scene.call(Call::of(alpha, key())).await;
    scene.call(Call { ended_ms: 1_000, ..Call::of(beta, key()) }).await;
    let way = Way { queued_ms: Some(9_000), tries: vec![tried("first", TryOutcome::Failed, 50)] };
    let failed = Call { status: Reason::UpstreamError.into(), paid: Paid::Nothing, way, ..Call::of(beta, key()) };
    scene.call(failed).await;
    let way = Way { queued_ms: Some(1), tries: vec![tried("first", TryOutcome::ClientLeft, 50)] };
    scene.call(Call { status: Status::CLIENT_LEFT, paid: Paid::Nothing, way, ..Call::of(beta, key()) }).await;
    let now = clock.now();
    scene.deployment.calls.refused(beta, key(), "gpt-4", Reason::InsufficientQuota, now);
    scene.deployment.calls.flush().await;
    clock.advance(60_000);
    scene
}

#[rstest]
#[case::usual("", 4, "0.00<span class=\"fine\">048</span>")]
#[case::hour("range=1h", 4, "0.00<span class=\"fine\">048</span>")]
#[case::week("range=7d", 5, "0.00<span class=\"fine\">072</span>")]
#[case::month("range=30d", 5, "0.00<span class=\"fine\">072</span>")]
#[case::two_months("range=from-to&from=2026-01-01&to=2026-03-03", 5, "0.00<span class=\"fine\">072</span>")]
#[case::year("range=from-to&from=2025-03-03&to=2026-03-03", 5, "0.00<span class=\"fine\">072</span>")]
#[case::first_day("range=from-to&from=2026-03-01&to=2026-03-02", 1, "0.00<span class=\"fine\">024</span>")]
#[case::since("from=2026-03-02", 4, "0.00<span class=\"fine\">048</span>")]
#[actix_web::test]
async fn counts_what_was_done_in_a_range(#[case] range: &str, #[case] calls: usize, #[case] revenue: &str) {
    let scene = busy().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get(&format!("/dashboard?{range}")).await.is(200);
    assert!(figure(&page, "Requests").starts_with(&format!("{calls} ")), "{}", figure(&page, "Requests"));
    assert!(figure(&page, "Revenue").contains(revenue), "{}", figure(&page, "Revenue"));
    let is_second_day = calls >= 4;
    assert_eq!(figure(&page, "Failed here or at a provider"), if is_second_day { "1" } else { "0" });
    assert_eq!(figure(&page, "Client left, or rejected"), if is_second_day { "1" } else { "0" });
    assert_eq!(figure(&page, "Refused at the door"), if is_second_day { "1" } else { "0" });
    assert_eq!(figure(&page, "Active tenants"), if is_second_day { "2" } else { "1" });
    assert_eq!(page.body.matches("<svg").count(), 9);
    assert_eq!(page.body.matches("<figcaption>").count(), page.body.matches("<summary>").count(), "each has its table");
    // Beside it a browser loads some 67,000 bytes.
    assert!(page.body.len() < 80_000, "{} bytes", page.body.len());
}

#[actix_web::test]
async fn shows_how_it_stands() {
    let scene = busy().await;
    // By a clock that was moved it is known only after a moment again that keys are known.
    while !scene.deployment.health.readiness().await.is_ready() {
        tokio::task::yield_now().await;
    }
    let mut browser = scene.signed_in(Role::Support).await;
    let page = browser.get("/dashboard").await.is(200).hides("violation");
    assert_eq!((figure(&page, "Service").as_str(), figure(&page, "Ledger").as_str()), ("ready", "adds up"));
    assert_eq!((figure(&page, "Waiting calls").as_str(), figure(&page, "Running calls").as_str()), ("0", "0"));
    let channel = page.between("href=\"/channels/first\"", "</tr>");
    for words in ["enabled", "fails at times", "failed,", "75.0\u{a0}%"] {
        assert!(channel.contains(words), "{words} in {channel}");
    }
    browser.languages = "zh";
    let page = browser.get("/dashboard").await.is(200);
    assert_eq!((figure(&page, "服务").as_str(), figure(&page, "账本").as_str()), ("正常", "一致"));
    page.shows("每小时").shows("停止自动刷新").shows("所选时间内的渠道").shows("偶有失败");
}

/// The queue and the channels are those of the chosen time too, in numbers, as pictures and as tables.
#[rstest]
#[case::usual("", "2\u{202f}253\u{a0}ms, 9\u{202f}000\u{a0}ms", "0", Some("4</td><td class=\"num\">1</td>"))]
#[case::hour("range=1h", "2\u{202f}253\u{a0}ms, 9\u{202f}000\u{a0}ms", "0.002", Some("4</td><td class=\"num\">1</td>"))]
#[case::week("range=7d", "1\u{202f}804\u{a0}ms, 9\u{202f}000\u{a0}ms", "0", Some("5</td><td class=\"num\">1</td>"))]
#[case::first_day(
    "range=from-to&from=2026-03-01&to=2026-03-02",
    "7\u{a0}ms, 7\u{a0}ms",
    "0",
    Some("1</td><td class=\"num\">0</td>")
)]
#[case::before("range=from-to&from=2026-02-01&to=2026-02-02", "–, –", "0", None)]
#[actix_web::test]
async fn queue_and_channels_are_those_of_the_range(
    #[case] range: &str,
    #[case] waits: &str,
    #[case] depth: &str,
    #[case] tries: Option<&str>,
) {
    let scene = busy().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    for path in ["/dashboard", "/dashboard/live"] {
        let page = browser.get(&format!("{path}?{range}")).await.is(200);
        assert_eq!(figure(&page, "Wait in the queue: mean, longest"), waits);
        assert_eq!(figure(&page, "Calls waiting, mean"), depth);
        let channel = page.between("href=\"/channels/first\"", "</tr>");
        assert!(channel.contains(tries.unwrap_or("0</td><td class=\"num\">0</td>")), "{channel}");
        let failures = page.between("<figcaption>Failed tries by channel", "</figure>");
        let name = if tries.is_some() { "first" } else { "No channel was tried" };
        assert!(failures.contains(&format!("<th scope=\"col\" class=\"num\">{name}</th>")), "{failures}");
        let bars = usize::from(tries.is_some_and(|tries| tries.contains(">1<")));
        assert_eq!(failures.matches("<rect class=\"bar").count(), bars, "{failures}");
        let wait = page.between("<figcaption>Wait in the queue (ms)", "</figure>");
        assert_eq!(wait.contains("<circle") || wait.contains("<polyline"), tries.is_some(), "{wait}");
        page.shows("<figcaption>Calls waiting in the queue, mean per");
    }
}

/// A call for which there is no worker.
async fn wait_for_a_turn(scene: &Scene) -> Admitted {
    scene.channel("first", ChannelKind::Echo, &["gpt-4"]).await;
    let Deployment { catalogue, database, admission, .. } = &scene.deployment;
    catalogue.reload(database).await.unwrap();
    let caller = Caller {
        key: key(),
        tenant: scene.tenant("Alpha", "10.00").await,
        models: None,
        console: Console::default(),
        limits: KeyLimits::default(),
        networks: None,
        blocked_users: None,
    };
    let body = br#"{"messages":[{"role":"user","content":"hello"}],"max_tokens":10}"#;
    let limits = admission.model(&caller, "gpt-4").unwrap();
    let wanted = Body::parse(body).unwrap().call(Endpoint::Chat, Rules::OpenAi, "gpt-4".to_owned(), &limits).unwrap();
    admission.admit(&caller, RequestId::new(), wanted, None).await.unwrap()
}

#[actix_web::test]
async fn the_age_of_who_waits_is_shown() {
    let clock = Clock::manual(Timestamp::from_rfc3339("2026-03-01T10:00:00+08:00").unwrap());
    let scene = Scene::at(clock.clone()).await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get("/dashboard").await.is(200).hides("oldest");
    assert_eq!(figure(&page, "Waiting calls"), "0");
    let call = wait_for_a_turn(&scene).await;
    clock.advance(1_500);
    for (path, languages, name, age) in [
        ("/dashboard", "en", "Waiting calls", "oldest 1\u{202f}500\u{a0}ms"),
        ("/dashboard/live", "en", "Waiting calls", "oldest 1\u{202f}500\u{a0}ms"),
        ("/dashboard", "zh", "排队中的调用", "最久 1\u{202f}500\u{a0}ms"),
    ] {
        browser.languages = languages;
        let page = browser.get(path).await.is(200);
        assert_eq!(figure(&page, name), format!("1 <small class=\"quiet\">{age}</small>"));
    }
    drop(call);
    browser.languages = "en";
    while figure(&browser.get("/dashboard/live").await.is(200), "Waiting calls") != "0" {
        tokio::task::yield_now().await;
    }
}

/// By the clock of the queue itself, which on Redis is not ours.
#[actix_web::test]
async fn the_age_of_who_waits_grows() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let begun = Instant::now();
    let call = wait_for_a_turn(&scene).await;
    let mut ages = Vec::new();
    let growing = async {
        while ages.last().is_none_or(|age| *age < 100) {
            let figure = figure(&browser.get("/dashboard/live").await.is(200), "Waiting calls");
            let age = figure.strip_prefix("1 <small class=\"quiet\">oldest ").unwrap().split('\u{a0}').next().unwrap();
            ages.push(age.replace('\u{202f}', "").parse::<u128>().unwrap());
        }
    };
    timeout(Duration::from_secs(30), growing).await.expect("the age stands still");
    assert!(ages.is_sorted() && *ages.last().unwrap() <= begun.elapsed().as_millis() + 1, "{ages:?}");
    drop(call);
}

#[actix_web::test]
async fn renews_itself_until_somebody_stops_it() {
    let scene = busy().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get("/dashboard?range=7d").await.is(200);
    let path = page.between("hx-get=\"", "\"");
    assert_eq!(path, "/dashboard/live?range=7d");
    let page = page.shows("hx-trigger=\"every 5s, visibilitychange from:document\"").shows("/assets/htmx-");
    let part = browser.get(&path).await.is(200).hides("<html").hides("<script").hides("hx-");
    assert_eq!(figure(&part, "Requests"), figure(&page, "Requests"));
    let inside = page.between("hx-sync=\"this:drop\">", "</div>\n<div class=\"behind-note\"");
    assert!(inside.contains(part.body.split("<p class=\"quiet\">").next().unwrap().split("</h2>").nth(1).unwrap()));

    let still = browser.get("/dashboard?range=7d&live=off").await.is(200).hides("hx-get").hides("hx-trigger");
    assert_eq!(figure(&still, "Requests"), figure(&page, "Requests"));
    still
        .shows("Refresh every 5 s")
        .shows("href=\"/dashboard?range=7d\"")
        .shows("href=\"/dashboard?live=off&#38;range=1h\"");
}

/// A page that renews itself is no sign of a person: the session ends after 15 minutes all the same.
#[actix_web::test]
async fn renewing_keeps_no_session_alive() {
    let clock = Clock::manual(Timestamp::from_rfc3339("2026-03-01T10:00:00+08:00").unwrap());
    let scene = Scene::at(clock.clone()).await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    browser.is_htmx = true;
    for _ in 0..2 {
        clock.advance(7 * 60_000);
        browser.get("/dashboard/live").await.is(200);
    }
    clock.advance(60_000);
    browser.get("/dashboard/live").await.is(401);

    let mut browser = scene.signed_in(Role::Support).await;
    for _ in 0..3 {
        clock.advance(10 * 60_000);
        browser.get("/dashboard").await.is(200);
        scene.until_seen("support@example.com").await;
    }
}

#[rstest]
#[case("range=from-to&from=yesterday", "Give a day (2026-01-31)", "请输入日期")]
#[case("from=2026-03-02&to=2026-03-01", "must lie before the end", "必须早于结束时间")]
#[case("from=2020-01-01&to=2026-03-01", "At most 366 days", "最多显示 366 天")]
#[actix_web::test]
async fn a_range_that_is_none_says_so(#[case] range: &str, #[case] english: &str, #[case] chinese: &str) {
    let scene = busy().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get(&format!("/dashboard?{range}")).await.is(200).shows(english).shows("range-error");
    assert!(figure(&page, "Requests").starts_with("4 "), "the usual range is shown");
    browser.languages = "zh";
    browser.get(&format!("/dashboard?{range}")).await.is(200).shows(chinese);
}

#[actix_web::test]
async fn a_new_service_says_what_to_do() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Owner).await;
    let page = browser.get("/dashboard").await.is(200).shows("/channels/new").shows("xiaoyi channel add");
    assert!(figure(&page, "Requests").starts_with("0 "));
    browser.languages = "zh";
    browser.get("/dashboard").await.is(200).shows("尚无渠道");
    scene.browser().get("/dashboard?range=1h").await.leads_to("/sign-in?next=%2Fdashboard%3Frange%3D1h");
}
