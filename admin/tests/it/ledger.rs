//! The ledger's page: lines, filters, pages, house accounts, audits, and the file.

use rstest::rstest;
use shared::clock::{Clock, Timestamp};
use shared::id::TransferId;
use shared::ledger::{self, AuditReport, AuditScope, Violation};
use shared::money::Amount;
use shared::secret_key::KeyId;
use shared::staff::Role;

use crate::support::{Call, HOSTILE, HOSTILE_AS_TEXT, Paid, Reply, Scene, csv, tally};

fn key() -> KeyId {
    "AAAAAAAAAAAA".parse().unwrap()
}

/// The entries of a page, in their order.
fn entries(page: &Reply) -> Vec<String> {
    let body = page.between("<tbody>", "</tbody>");
    body.split("<tr>")
        .skip(1)
        .map(|row| row.rsplit("data-copy=\"").next().unwrap().split('"').next().unwrap().to_owned())
        .collect()
}

/// A ledger with one of each kind, and the ids of its entries, the oldest first.
struct Books {
    scene: Scene,
    ids: Vec<TransferId>,
}

impl Books {
    async fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_rfc3339("2026-03-01T10:00:00+08:00").unwrap());
        let scene = Scene::at(clock.clone()).await;
        let (rich, poor) = (scene.tenant("Rich", "0").await, scene.tenant("Poor", "0").await);
        let mut ids = vec![scene.top_up(rich, "10.00", "INV-2026-1", Some("by transfer")).await];
        clock.advance(86_400_000);
        ids.push(scene.top_up(poor, "0.0001", "INV-2026-2", None).await);
        ids.push(scene.call(Call::of(rich, key())).await);
        clock.advance(86_400_000);
        let long = Call { paid: Paid::Estimate(tally(12, 5), tally(0, 2)), held: "0.0001", ..Call::of(poor, key()) };
        ids.push(scene.call(long).await);
        let back = scene.call(Call::of(rich, key())).await;
        ids.push(back);
        scene.give_back(back, rich).await;
        Self { scene, ids }
    }
}

#[rstest]
#[case::all("", 7)]
#[case::tenant_by_name("tenant=Rich", 4)]
#[case::tenant_by_id("tenant=1002", 2)]
#[case::top_ups("kind=top_up", 2)]
#[case::charges("kind=capture", 3)]
#[case::reversals("kind=reversal", 1)]
#[case::write_offs("kind=write_off", 1)]
#[case::reference("reference=2026-1", 1)]
#[case::references("reference=INV-", 2)]
#[case::from("from=2026-03-02", 6)]
#[case::to("to=2026-03-02", 1)]
#[case::both("from=2026-03-02&to=2026-03-03&kind=capture", 1)]
#[actix_web::test]
async fn every_filter(#[case] filters: &str, #[case] count: usize) {
    let books = Books::new().await;
    let mut browser = books.scene.signed_in(Role::Auditor).await;
    let page = browser.get(&format!("/ledger?{filters}")).await.is(200);
    let shown = entries(&page);
    assert_eq!(shown.len(), count, "{shown:?}");
    let file = csv(&browser.get(&format!("/ledger.csv?{filters}")).await.is(200).body);
    let ids: Vec<&str> = file.iter().skip(1).map(|row| row[0].as_str()).collect();
    assert_eq!(ids, shown, "the file holds the same");
    assert!(page.body.len() < 150_000);
}

#[actix_web::test]
async fn a_balance_stands_after_each_line() {
    let books = Books::new().await;
    let mut browser = books.scene.signed_in(Role::Billing).await;
    let file = csv(&browser.get("/ledger.csv?tenant=Rich").await.is(200).body);
    let columns = ["kind", "line", "change", "balance", "reference", "note"];
    let columns = columns.map(|name| file[0].iter().position(|each| each == name).unwrap());
    let mut rows: Vec<Vec<String>> =
        file.iter().skip(1).map(|row| columns.iter().map(|at| row[*at].clone()).collect()).collect();
    // A reversal says why in words of the service's own.
    rows[0][5].clear();
    let expected = [
        ["reversal", "4", "0.00024", "9.99976", "", ""],
        ["capture", "3", "-0.00024", "9.99952", "", ""],
        ["capture", "2", "-0.00024", "9.99976", "", ""],
        ["top_up", "1", "10.00", "10.00", "INV-2026-1", "by transfer"],
    ];
    assert_eq!(rows, expected);

    let page = browser.get("/ledger?tenant=Rich").await.is(200).shows("Posted").shows("Held").shows("Available");
    let page = page.shows("9.99<span class=\"fine\">976</span>").shows("−0.00<span class=\"fine\">024</span>");
    let page =
        page.shows(&format!("/calls/{}", books.ids[2])).shows(&format!("/top-ups/{}", books.ids[0])).shows("reversed");
    page.shows("by transfer").shows("INV-2026-1");
    browser.languages = "zh";
    browser.get("/ledger").await.is(200).shows("充值").shows("扣费").shows("冲正").shows("核销").shows("平台");
}

#[rstest]
#[case::all("", &["Top-ups 10.0001", "Charges -0.00058", "Charges given back 0.00024", "Written off, between accounts of the house 0.00014"], "9.99976")]
#[case::of_one("tenant=Rich", &["Top-ups 10.00", "Charges -0.00048", "Charges given back 0.00024"], "9.99976")]
#[case::of_the_other("tenant=Poor", &["Top-ups 0.0001", "Charges -0.0001"], "0.00")]
#[case::charges("kind=capture", &["Charges -0.00058"], "-0.00058")]
#[case::write_offs("kind=write_off&tenant=Poor", &["Written off, between accounts of the house 0.00014"], "0.00")]
#[case::a_day("from=2026-03-02&to=2026-03-03", &["Top-ups 0.0001", "Charges -0.00024"], "-0.00014")]
#[case::since("from=2026-03-03T10:00", &["Charges -0.00034", "Charges given back 0.00024", "Written off, between accounts of the house 0.00014"], "-0.0001")]
#[case::reference("reference=inv", &["Top-ups 10.0001"], "10.0001")]
#[actix_web::test]
async fn what_is_filtered_is_summed(#[case] filters: &str, #[case] sums: &[&str], #[case] together: &str) {
    let books = Books::new().await;
    let mut browser = books.scene.signed_in(Role::Auditor).await;
    // Before anything is in the sums of usage, and after.
    for _ in 0..2 {
        let page = browser.get(&format!("/ledger?{filters}")).await.is(200);
        let foot = Reply { body: page.between("<tfoot>", "</tfoot>"), ..page.clone() };
        let together = format!("Together, for customers {together}");
        let lines =
            sums.iter().copied().chain([together.as_str()]).map(|line| format!("{} CNY", line.replace('-', "−")));
        let expected = lines.collect::<Vec<_>>().join(" ").replace("Top−ups", "Top-ups");
        foot.says(&expected);
        books.scene.sum_up().await;
    }
    browser.languages = "zh";
    browser.get(&format!("/ledger?{filters}")).await.is(200).says("客户余额合计变动").says("全部页的所有分录");
    browser.get("/ledger?reference=nothing").await.is(200).hides("<tfoot>");
}

#[actix_web::test]
async fn the_houses_accounts_are_shown_and_sum_to_zero() {
    let books = Books::new().await;
    let mut browser = books.scene.signed_in(Role::Auditor).await;
    let page = browser.get("/ledger").await.is(200);
    let figure = |name: &str| -> Amount {
        let text = page.between(&format!("<dt>{name}</dt><dd><span class=\"money\">"), "&nbsp;");
        text.replace("<span class=\"fine\">", "").replace("</span>", "").replace('−', "-").parse().unwrap()
    };
    let names =
        ["All customers", "Revenue", "Cash: paid in", "Promotion: redeem codes", "Write-off: borne by the house"];
    let figures = names.map(figure);
    let expected = ["9.99976", "0.00048", "-10.0001", "0.00", "-0.00014"].map(|text| text.parse::<Amount>().unwrap());
    assert_eq!(figures, expected);
    assert_eq!(figures.iter().map(|amount| amount.nanos()).sum::<i64>(), 0);
}

#[actix_web::test]
async fn audits_are_shown() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    browser.get("/ledger").await.is(200).shows("none yet").hides("violated");
    let keep = |violations: Vec<Violation>, scope| {
        let report = AuditReport { ok: violations.is_empty(), violations, lines: 7, transfers: 8, requests: 9 };
        let now = scene.workbench.clock.now();
        scene.write(move |connection| ledger::keep_audit(connection, &report, scope, now))
    };
    keep(Vec::new(), AuditScope::News).await.unwrap();
    browser.get("/ledger").await.is(200).shows("adds up").shows("7 lines").hides("violated");
    let violation =
        Violation { check: "held_is_open_holds", subject: HOSTILE.to_owned(), detail: "5 is not 6".to_owned() };
    keep(vec![violation], AuditScope::News).await.unwrap();
    keep(Vec::new(), AuditScope::News).await.unwrap();
    let shown = browser
        .get("/ledger")
        .await
        .is(200)
        .shows("class=\"violation\"")
        .shows("held_is_open_holds")
        .shows("5 is not 6");
    shown.shows(HOSTILE_AS_TEXT).hides("<script>alert").shows("xiaoyi ledger audit");
    let dashboard = browser.get("/dashboard").await.is(200).shows("class=\"violation\"").shows("state bad\">violated");
    dashboard.shows("5 is not 6");
    browser.languages = "zh";
    browser.get("/ledger").await.is(200).shows("账本异常");
    keep(Vec::new(), AuditScope::Whole).await.unwrap();
    browser.get("/ledger").await.is(200).hides("violation");
    browser.get("/dashboard").await.is(200).hides("violation");
}

#[actix_web::test]
async fn what_cannot_be_understood_is_said() {
    let books = Books::new().await;
    let mut browser = books.scene.signed_in(Role::Support).await;
    for (field, text, words) in [
        ("tenant", "Nobody", "No tenant has this id or name."),
        ("kind", "gift", "There is no such kind."),
        ("from", "then", "Give a day (2026-01-31)"),
        ("to", "now", "Give a day (2026-01-31)"),
    ] {
        let page = browser.get(&format!("/ledger?{field}={text}")).await.is(200).shows(words);
        assert_eq!(entries(&page.shows(&format!("{field}-error"))).len(), 7);
        browser.get(&format!("/ledger.csv?{field}={text}")).await.is(422).shows(words);
    }
}

#[actix_web::test]
async fn pages_go_to_and_fro() {
    let scene = Scene::new().await;
    let tenant = scene.tenant("Alpha", "0").await;
    for number in 0..110 {
        scene.top_up(tenant, "1.00", &format!("ref {number}"), None).await;
    }
    let mut browser = scene.signed_in(Role::Owner).await;
    let link = |page: &Reply, rel: &str| page.between(&format!("rel=\"{rel}\" href=\""), "\"");
    let first = browser.get("/ledger?kind=top_up").await.is(200).hides("rel=\"prev\"").says("Top-ups 110.00 CNY");
    let second = browser.get(&link(&first, "next")).await.is(200).says("Top-ups 110.00 CNY");
    let third = browser.get(&link(&second, "next")).await.is(200).hides("rel=\"next\"");
    let all = [entries(&first), entries(&second), entries(&third)];
    assert_eq!(all.each_ref().map(Vec::len), [50, 50, 10]);
    let back = browser.get(&link(&third, "prev")).await.is(200);
    assert_eq!(entries(&back), all[1]);
    let back = browser.get(&link(&back, "prev")).await.is(200).hides("rel=\"prev\"");
    assert_eq!(entries(&back), all[0]);
    let file = csv(&browser.get("/ledger.csv?kind=top_up").await.is(200).body);
    let ids: Vec<String> = file.iter().skip(1).map(|row| row[0].clone()).collect();
    assert_eq!(ids, all.concat());
}

#[actix_web::test]
async fn empty_and_hostile() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    browser
        .get("/ledger")
        .await
        .is(200)
        .shows("Here stands every movement of money")
        .shows("/top-ups/new")
        .hides("<table");
    browser.languages = "zh";
    browser.get("/ledger").await.is(200).shows("每笔资金变动");
    browser.get("/ledger?kind=top_up").await.is(200).shows("没有符合条件的分录");
    let tenant = scene.tenant(HOSTILE, "0").await;
    scene.top_up(tenant, "1.00", HOSTILE, Some(HOSTILE)).await;
    let page = browser.get("/ledger").await.is(200).hides("<script>alert");
    assert_eq!(page.body.matches(HOSTILE_AS_TEXT).count(), 3, "tenant, reference, note");
    let file = csv(&browser.get("/ledger.csv").await.is(200).body);
    assert_eq!(file[1].iter().filter(|field| *field == HOSTILE).count(), 3);
}
