//! The page of one call: its way, and what it cost, recomputed from the words.

use rstest::rstest;
use shared::calls::Status;
use shared::id::RequestId;
use shared::money::Amount;
use shared::queue::{TryOutcome, Way};
use shared::refusal::Reason;
use shared::secret_key::KeyId;
use shared::staff::Role;

use crate::support::{Call, HOSTILE, HOSTILE_AS_TEXT, Paid, Reply, Scene, amount, tally, tried};

fn key() -> KeyId {
    "AAAAAAAAAAAA".parse().unwrap()
}

/// The cells of the table of the charge: for, arithmetic, cost; the last row is the sum.
fn charge(page: &Reply) -> Vec<(String, String, Amount)> {
    let table = page.between("<th scope=\"col\">Arithmetic</th>", "</table>");
    let rows = table.split("<tr>").skip(1).map(|row| {
        let cell = |number| {
            text(row.split("</t").filter(|cell| cell.contains("<td") || cell.contains("<th")).nth(number).unwrap())
        };
        let cost = cell(2).replace("\u{a0}CNY", "").replace("&nbsp;CNY", "");
        (cell(0), cell(1), cost.parse().unwrap())
    });
    rows.collect()
}

/// What is left of a cell without its tags.
fn text(cell: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    let from = cell.rfind("<td").or_else(|| cell.rfind("<th")).unwrap();
    for character in cell[from..].chars() {
        match character {
            '<' => is_tag = true,
            '>' => is_tag = false,
            other if !is_tag => text.push(other),
            _ => {}
        }
    }
    text.trim().to_owned()
}

/// The numbers of a text, with their points.
fn numbers(text: &str) -> Vec<String> {
    let numbers = text.replace("1,000,000", "1000000");
    numbers
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|part| part.bytes().any(|b| b.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// Does what the words of a component say, and gives what comes of it in 1e-9.
fn recomputed(words: &str) -> i64 {
    let (counting, paying) = words.split_once("; ").unwrap();
    let counted = numbers(counting);
    let (tokens, paid) = match counted.as_slice() {
        [hanzi, words, factor, tokens] => {
            assert_eq!(factor, "1.3");
            let (hanzi, words): (i64, i64) = (hanzi.parse().unwrap(), words.parse().unwrap());
            assert_eq!(hanzi + words * 13 / 10, tokens.parse::<i64>().unwrap(), "{words}");
            (tokens.clone(), numbers(paying))
        }
        [tokens] => (tokens.clone(), numbers(paying)),
        other => panic!("{other:?}"),
    };
    let [count, price, million, cost] = paid.as_slice() else { panic!("{paid:?}") };
    assert_eq!((count, million.as_str()), (&tokens, "1000000"));
    assert_eq!(cost.split_once('.').unwrap().1.len(), 9, "to the last digit: {cost}");
    let exact = i128::from(count.parse::<i64>().unwrap()) * i128::from(price.parse::<Amount>().unwrap().nanos());
    let rounded = i64::try_from((exact + 999_999) / 1_000_000).unwrap();
    assert_eq!(cost.parse::<Amount>().unwrap().nanos(), rounded, "{words}");
    rounded
}

#[rstest]
#[case::estimate(Paid::Estimate(tally(12, 5), tally(0, 2)), "0.00024")]
#[case::odd_numbers(Paid::Estimate(tally(7, 13), tally(101, 999)), "0.0422")]
#[case::upstream(Paid::Upstream(20, 3), "0.00029")]
#[case::nothing_generated(Paid::Estimate(tally(1, 0), tally(0, 0)), "0.00001")]
#[actix_web::test]
async fn the_arithmetic_can_be_done_again(#[case] paid: Paid, #[case] expected: &str) {
    let scene = Scene::new().await;
    let tenant = scene.tenant("Alpha", "1.00").await;
    let id = scene.call(Call { paid: paid.clone(), held: "0.10", ..Call::of(tenant, key()) }).await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get(&format!("/calls/{id}")).await.is(200);
    let rows = charge(&page);
    let (total, components) = rows.split_last().unwrap();
    assert_eq!(components.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["prompt", "completion"]);
    let mut sum = 0;
    for (_, words, cost) in components {
        assert_eq!(recomputed(words), cost.nanos(), "{words}");
        sum += cost.nanos();
    }
    assert_eq!((total.2.nanos(), total.2), (sum, amount(expected)));
    assert_eq!(
        scene.balance(tenant).await.posted,
        Amount::from_nanos(amount("1.00").nanos() - sum),
        "and it was charged"
    );
    scene.books_are_right().await;
    let words = if matches!(paid, Paid::Upstream(..)) { "the provider; our estimate was" } else { "our estimate" };
    page.shows(words).shows("Price</dt>").shows("a million tokens");
}

#[actix_web::test]
async fn a_call_of_the_example() {
    let scene = Scene::new().await;
    let tenant = scene.tenant("Alpha", "1.00").await;
    let way = Way {
        queued_ms: Some(1_234),
        tries: vec![
            tried("a/b?", TryOutcome::RateLimited, 15),
            tried("second", TryOutcome::Timeout, 120_000),
            tried("third", TryOutcome::Ok, 480),
        ],
    };
    let call = Call { end_user: Some("u-1"), way, ended_ms: 121_800, ..Call::of(tenant, key()) };
    let id = scene.call(call).await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get(&format!("/calls/{id}")).await.is(200);
    let page = page.shows("12 hanzi + 5 words x 1.3 = 18 tokens; 18 x 10.00 / 1,000,000 = 0.000180000");
    let page = page.shows("0 hanzi + 2 words x 1.3 = 2 tokens; 2 x 30.00 / 1,000,000 = 0.000060000");
    let page = page.shows("together 0.000240000").shows("href=\"/tenants/1001\"").shows("href=\"/keys/AAAAAAAAAAAA\"");
    let page = page.shows("1\u{202f}234\u{a0}ms").shows("121\u{202f}800\u{a0}ms").shows("120\u{202f}000\u{a0}ms");
    let page = page.shows("href=\"/channels/a%2Fb%3F\"").shows("said too many requests").shows("timed out");
    let page = page.shows("line 2 of the tenant").shows("href=\"/models/gpt-4\"").shows(&id.to_string());
    assert!(page.between("balance after it", "</dd>").contains("0.99<span class=\"fine\">976</span>"));
    assert!(page.body.len() < 150_000);

    browser.languages = "zh";
    let page = browser.get(&format!("/calls/{id}")).await.is(200);
    let page = page.shows("12 个汉字 + 5 个单词 × 1.3 = 18 个 token；18 × 10.00 / 1,000,000 = 0.000180000");
    page.shows("合计 0.000240000").shows("处理过程").shows("限流").shows("已扣费");
}

#[actix_web::test]
async fn what_was_not_charged_says_so() {
    let scene = Scene::new().await;
    let tenant = scene.tenant("Alpha", "1.00").await;
    let way = Way { queued_ms: None, tries: Vec::new() };
    let call = Call { paid: Paid::Nothing, status: Reason::QueueFull.into(), way, ..Call::of(tenant, key()) };
    let id = scene.call(call).await;
    let mut browser = scene.signed_in(Role::Support).await;
    let page = browser.get(&format!("/calls/{id}")).await.is(200).shows("Nothing was charged.").shows("released");
    let page = page.shows("queue full").shows("50300").shows("No channel was tried.").shows("no worker took it");
    page.hides("Arithmetic").hides("balance after it");

    let open = scene.call(Call { paid: Paid::Open, ..Call::of(tenant, key()) }).await;
    browser
        .get(&format!("/calls/{open}"))
        .await
        .is(200)
        .shows("The call is still running")
        .shows("open: the call is running");
    browser.languages = "zh";
    browser.get(&format!("/calls/{open}")).await.is(200).shows("调用仍在进行");
}

#[actix_web::test]
async fn write_offs_and_what_was_given_back_are_shown() {
    let scene = Scene::new().await;
    let poor = scene.tenant("Poor", "0.0001").await;
    let cut = Call { status: Status::CLIENT_LEFT, held: "0.0001", ..Call::of(poor, key()) };
    let cut = scene.call(cut).await;
    let rich = scene.tenant("Rich", "1.00").await;
    let back = scene.call(Call::of(rich, key())).await;
    scene.give_back(back, rich).await;
    scene.books_are_right().await;
    let mut browser = scene.signed_in(Role::Billing).await;

    let page = browser.get(&format!("/calls/{cut}")).await.is(200).shows("the house bears it");
    let page = page
        .shows("together 0.000240000, of which 0.000140000 went beyond the balance and was not charged: 0.000100000");
    assert_eq!(charge(&page).last().unwrap().2, amount("0.0001"));

    let page = browser.get(&format!("/calls/{back}")).await.is(200).shows("Given back");
    assert!(page.between("<dt>Given back</dt>", "</dd>").contains("0.00<span class=\"fine\">024</span>"));
    let list = browser.get("/usage?tenant=Rich").await.is(200).shows("given back");
    assert!(list.between("<tfoot>", "</tfoot>").contains(">0.00&nbsp;"), "it does not count");
}

#[actix_web::test]
async fn images_have_a_price_of_their_own() {
    let scene = Scene::new().await;
    let tenant = scene.tenant("Alpha", "1.00").await;
    let call = Call { model: "dall-e-3", paid: Paid::Images(2, "512x512"), held: "0.60", ..Call::of(tenant, key()) };
    let id = scene.call(call).await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get(&format!("/calls/{id}")).await.is(200);
    let page = page.shows("2 images of 512x512 x 0.30 = 0.600000000").shows("an image").hides("Counted by");
    assert_eq!(charge(&page).last().unwrap().2, amount("0.60"));
}

#[actix_web::test]
async fn an_end_user_can_be_blocked_from_here() {
    let scene = Scene::new().await;
    let tenant = scene.tenant(HOSTILE, "1.00").await;
    let id = scene.call(Call { end_user: Some(HOSTILE), model: HOSTILE, ..Call::of(tenant, key()) }).await;
    let (path, block, unblock) =
        (format!("/calls/{id}"), format!("/tenants/{tenant}/block-user"), format!("/tenants/{tenant}/unblock-user"));
    let mut auditor = scene.signed_in(Role::Auditor).await;
    let page = auditor.get(&path).await.is(200).shows(HOSTILE_AS_TEXT).hides("<script>alert");
    assert!(!page.offers(&block) && !page.offers(&unblock), "who only reads is not offered it");

    let mut support = scene.signed_in(Role::Support).await;
    let page = support.get(&path).await.is(200);
    assert!(page.offers(&block) && !page.offers(&unblock));
    support.submit(&page, &block, &[]).await.is(303);
    let page = support.get(&path).await.is(200).shows("blocked").shows("support@example.com");
    assert!(page.offers(&unblock) && !page.offers(&block));
    support.submit(&page, &unblock, &[]).await.is(303);
    assert!(support.get(&path).await.is(200).offers(&block));
}

#[actix_web::test]
async fn there_is_no_other_call() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Owner).await;
    for id in [RequestId::new().to_string(), "x".to_owned(), "00000000-0000-0000-0000-000000000000".to_owned()] {
        browser.get(&format!("/calls/{id}")).await.is(404).shows("There is nothing at this address.");
    }
}
