//! Calls of all tenants: filters, totals, pages, and the same as a file.

use rstest::rstest;
use shared::calls::Status;
use shared::clock::{Clock, Timestamp};
use shared::id::{RequestId, TenantId};
use shared::money::Amount;
use shared::queue::{TryOutcome, Way};
use shared::refusal::Reason;
use shared::secret_key::KeyId;
use shared::staff::Role;

use crate::support::{Browser, Call, HOSTILE, HOSTILE_AS_TEXT, Paid, Reply, Scene, csv, tally, tried};

pub(crate) const KEY: &str = "AAAAAAAAAAAA";
pub(crate) const OTHER: &str = "BBBBBBBBBBBB";

pub(crate) fn key(text: &str) -> KeyId {
    text.parse().unwrap()
}

pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(pairs).unwrap()
}

/// The calls of a page, in their order.
pub(crate) fn calls(page: &Reply) -> Vec<String> {
    page.links("/calls/")
}

/// What stands in the sum line.
pub(crate) fn totals(page: &Reply) -> String {
    page.between("<tfoot>", "</tfoot>")
}

/// The calls of two tenants over three days, oldest first.
pub(crate) struct Traffic {
    pub(crate) scene: Scene,
    alpha: TenantId,
    made: Vec<RequestId>,
}

impl Traffic {
    pub(crate) async fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_rfc3339("2026-03-01T10:00:00+08:00").unwrap());
        let scene = Scene::at(clock.clone()).await;
        let (alpha, beta) = (scene.tenant("Alpha", "10.00").await, scene.tenant("Beta", "10.00").await);
        let day = 24 * 3_600_000;
        let failed = |status, outcome, paid| Call {
            status,
            paid,
            way: Way { queued_ms: Some(3), tries: vec![tried("first", outcome, 100)] },
            ..Call::of(alpha, key(KEY))
        };
        let calls = [
            Call::of(alpha, key(KEY)),
            Call { end_user: Some("u-1"), ..Call::of(alpha, key(OTHER)) },
            Call { model: "gpt-3.5", paid: Paid::Upstream(100, 50), ..Call::of(alpha, key(KEY)) },
            failed(Reason::UpstreamError.into(), TryOutcome::Failed, Paid::Nothing),
            failed(Status::CLIENT_LEFT, TryOutcome::ClientLeft, Paid::Estimate(tally(3, 0), tally(1, 0))),
            Call { model: "dall-e-3", paid: Paid::Images(2, "512x512"), ..Call::of(beta, key(OTHER)) },
        ];
        let mut made = Vec::new();
        for (number, call) in calls.into_iter().enumerate() {
            if number % 2 == 0 && number > 0 {
                clock.advance(day);
            }
            clock.advance(1_000);
            made.push(scene.call(call).await);
        }
        Self { scene, alpha, made }
    }

    pub(crate) fn ids(&self, numbers: &[usize]) -> Vec<String> {
        numbers.iter().rev().map(|number| self.made[*number].to_string()).collect()
    }
}

#[rstest]
#[case::all(&[], &[0, 1, 2, 3, 4, 5], "6 calls, 4 answered, 2 not")]
#[case::tenant_by_name(&[("tenant", "Beta")], &[5], "1 calls, 1 answered, 0 not, 2 images")]
#[case::tenant_by_id(&[("tenant", "1001")], &[0, 1, 2, 3, 4], "5 calls, 3 answered, 2 not")]
#[case::key(&[("key", OTHER)], &[1, 5], "2 calls, 2 answered, 0 not")]
#[case::model(&[("model", "gpt-3.5")], &[2], "1 calls")]
#[case::end_user(&[("user", "u-1")], &[1], "1 calls")]
#[case::no_end_user(&[("unnamed", "1")], &[0, 2, 3, 4, 5], "5 calls, 3 answered, 2 not")]
#[case::no_end_user_failed(&[("unnamed", "1"), ("status", "failed")], &[3, 4], "2 calls, 0 answered, 2 not")]
#[case::no_end_user_of_one(&[("unnamed", "1"), ("tenant", "Beta"), ("model", "dall-e-3")], &[5], "1 calls, 1 answered")]
#[case::answered(&[("status", "answered")], &[0, 1, 2, 5], "4 calls, 4 answered, 0 not")]
#[case::failed(&[("status", "failed")], &[3, 4], "2 calls, 0 answered, 2 not")]
#[case::code(&[("status", "50200")], &[3], "1 calls")]
#[case::client_left(&[("status", "49900")], &[4], "1 calls")]
#[case::from(&[("from", "2026-03-02")], &[2, 3, 4, 5], "4 calls")]
#[case::to(&[("to", "2026-03-02T00:00")], &[0, 1], "2 calls")]
#[case::both(&[("from", "2026-03-02"), ("to", "2026-03-03")], &[2, 3], "2 calls")]
#[case::together(&[("tenant", "Alpha"), ("key", KEY), ("status", "answered"), ("from", "2026-03-02")], &[2], "1 calls")]
#[actix_web::test]
async fn every_filter(#[case] filters: &[(&str, &str)], #[case] expected: &[usize], #[case] sum: &str) {
    let traffic = Traffic::new().await;
    let mut browser = traffic.scene.signed_in(Role::Auditor).await;
    let page = browser.get(&format!("/usage?{}", query(filters))).await.is(200);
    assert_eq!(calls(&page), traffic.ids(expected));
    assert!(totals(&page).contains(sum), "{}", totals(&page));
    assert!(page.body.len() < 150_000);

    // The file holds the same, as is said beside its link, and its sum is the one that is shown.
    let page = page.shows(&format!("Rows: {}. The browser shows how far it is", expected.len()));
    let file = csv(&browser.get(&format!("/usage.csv?{}", query(filters))).await.is(200).body);
    let ids: Vec<&str> = file.iter().skip(1).map(|row| row[0].as_str()).collect();
    assert_eq!(ids, traffic.ids(expected));
    let column = file[0].iter().position(|name| name == "charged").unwrap();
    let charged = file.iter().skip(1).filter(|row| !row[column].is_empty());
    let charged: i64 = charged.map(|row| row[column].parse::<Amount>().unwrap().nanos()).sum();
    let text = totals(&page).replace("<span class=\"fine\">", "").replace("</span>", "");
    assert!(text.contains(&format!(">{}&nbsp;", Amount::from_nanos(charged))), "{charged} in {text}");
}

#[actix_web::test]
async fn a_file_says_all_of_a_call() {
    let traffic = Traffic::new().await;
    let mut browser = traffic.scene.signed_in(Role::Auditor).await;
    let reply = browser.get("/usage.csv?user=u-1").await.is(200);
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"usage.csv\""));
    let file = csv(&reply.body);
    let row = [
        traffic.made[1].to_string().as_str(),
        "2026-03-01T10:00:02.000+08:00",
        &traffic.alpha.to_string(),
        "Alpha",
        OTHER,
        "chat",
        "gpt-4",
        "u-1",
        "true",
        "0",
        "answered",
        "7",
        "207",
        "240",
        "first",
        "18",
        "2",
        "0",
        "0.00024",
        "CNY",
        "false",
    ]
    .map(str::to_owned);
    assert_eq!(file[1..], [row.to_vec()]);
}

#[actix_web::test]
async fn what_cannot_be_understood_is_said_beside_its_field() {
    let traffic = Traffic::new().await;
    let mut browser = traffic.scene.signed_in(Role::Support).await;
    let wrong = [
        ("tenant", "Gamma", "No tenant has this id or name.", "没有该编号或名称的客户。"),
        ("tenant", "a\0", "No tenant has this id or name.", "没有该编号或名称的客户。"),
        ("tenant", "9999", "No tenant has this id or name.", "没有该编号或名称的客户。"),
        ("key", "sk-xy", "This is no key id.", "这不是密钥编号。"),
        ("status", "splendid", "There is no such status.", "没有该状态。"),
        ("from", "yesterday", "Give a day (2026-01-31)", "请输入日期"),
        ("to", "2026-02-30", "Give a day (2026-01-31)", "请输入日期"),
    ];
    for (field, text, english, chinese) in wrong {
        let path = format!("?{}", query(&[(field, text)]));
        browser.languages = "en";
        let page = browser.get(&format!("/usage{path}")).await.is(200).shows(english);
        let page = page.shows(&format!("name=\"{field}\"")).shows(&format!("aria-describedby=\"{field}-error\""));
        assert_eq!(calls(&page).len(), 6, "it is left out");
        browser.languages = "zh";
        browser.get(&format!("/usage{path}")).await.is(200).shows(chinese);
        // A file would pass for what was asked for.
        browser.get(&format!("/usage.csv{path}")).await.is(422).shows(chinese);
    }
    browser.languages = "en";
    let both = browser.get("/usage?user=u-1&unnamed=1").await.is(200);
    both.shows("Give a name, or ask for calls without one.").shows("aria-describedby=\"user-error\"");
    browser.get("/usage.csv?user=u-1&unnamed=1").await.is(422);
    browser.get("/usage?from=2026-03-03&to=2026-03-02").await.is(200).shows("The end must lie after the beginning.");
    assert_eq!(calls(&browser.get("/usage?model=a&model=b").await.is(200)).len(), 6);
}

/// Follows a link of the pager, which must be there.
#[track_caller]
fn link(page: &Reply, rel: &str) -> String {
    page.between(&format!("rel=\"{rel}\" href=\""), "\"")
}

async fn walk(browser: &mut Browser, from: String, rel: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = from;
    loop {
        let page = browser.get(&path).await.is(200);
        pages.push(calls(&page));
        if !page.body.contains(&format!("rel=\"{rel}\"")) {
            return pages;
        }
        path = link(&page, rel);
    }
}

#[actix_web::test]
async fn pages_go_to_and_fro() {
    let scene = Scene::new().await;
    let tenant = scene.tenant("Alpha", "10.00").await;
    let mut made = Vec::new();
    for number in 0..120 {
        let model = if number % 12 == 0 { "gpt-3.5" } else { "gpt-4" };
        made.push(scene.call(Call { model, ..Call::of(tenant, key(KEY)) }).await.to_string());
    }
    made.reverse();
    let mut browser = scene.signed_in(Role::Owner).await;
    let down = walk(&mut browser, "/usage?model=gpt-4".to_owned(), "next").await;
    assert_eq!(down.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 10]);
    let expected: Vec<String> =
        made.iter().enumerate().filter(|(at, _)| (119 - at) % 12 != 0).map(|(_, id)| id.clone()).collect();
    assert_eq!(down.concat(), expected);

    // From the last page back up: the same calls, and at the top there is nothing newer.
    let mut last = browser.get("/usage?model=gpt-4").await;
    for _ in 0..2 {
        last = browser.get(&link(&last, "next")).await;
    }
    let up = walk(&mut browser, link(&last, "prev"), "prev").await;
    assert_eq!(up, [down[1].clone(), down[0].clone()]);

    // A file has all pages.
    let file = csv(&browser.get("/usage.csv?model=gpt-4").await.is(200).body);
    assert_eq!(file.iter().skip(1).map(|row| row[0].clone()).collect::<Vec<_>>(), expected);
}

#[actix_web::test]
async fn an_empty_list_says_what_would_be_there() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    browser
        .get("/usage")
        .await
        .is(200)
        .shows("There was none so far")
        .shows("/keys/new")
        .shows("xiaoyi demo")
        .hides("<table");
    browser.get("/usage?model=x").await.is(200).shows("No call fits these filters");
    browser.languages = "zh";
    browser.get("/usage").await.is(200).shows("目前还没有调用");
    browser.get("/usage?model=x").await.is(200).shows("没有符合条件的调用");
    assert_eq!(csv(&browser.get("/usage.csv").await.is(200).body).len(), 1, "the headings alone");
}

#[actix_web::test]
async fn names_are_text() {
    let scene = Scene::new().await;
    let tenant = scene.tenant(HOSTILE, "1.00").await;
    let call = Call { model: HOSTILE, end_user: Some(HOSTILE), ..Call::of(tenant, key(KEY)) };
    scene.call(call.clone()).await;
    scene.call(Call { model: "=1+1", end_user: Some("@cmd"), ..call }).await;
    let mut browser = scene.signed_in(Role::Owner).await;
    let page = browser.get("/usage").await.is(200).hides("<script>alert").shows(HOSTILE_AS_TEXT);
    // The link of a row leads to the calls of just this end user.
    let link = page.between("<td><a href=\"/usage?user=%3C", "\"");
    assert_eq!(calls(&browser.get(&format!("/usage?user=%3C{link}")).await.is(200)).len(), 1);
    for by in ["model", "user", "tenant"] {
        browser.get(&format!("/usage?by={by}")).await.is(200).hides("<script>alert").shows(HOSTILE_AS_TEXT);
    }
    let filters = query(&[("tenant", HOSTILE), ("model", HOSTILE), ("user", HOSTILE)]);
    let page = browser.get(&format!("/usage?{filters}")).await.is(200).hides("<script>alert");
    assert_eq!(calls(&page).len(), 1);
    let file = csv(&browser.get("/usage.csv").await.is(200).body);
    assert_eq!((file[1][6].as_str(), file[1][7].as_str()), ("'=1+1", "'@cmd"), "no spreadsheet takes it for a formula");
    assert_eq!((file[2][3].as_str(), file[2][7].as_str()), (HOSTILE, HOSTILE));
}
