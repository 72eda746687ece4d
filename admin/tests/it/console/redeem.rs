//! Redeeming codes in the console.

use futures_util::future::join;
use secrecy::ExposeSecret;
use shared::audit_log::Actor;
use shared::clock::{Clock, Timestamp};
use shared::key::KeyPolicy;
use shared::staff::Role;
use shared::vouchers::{self, BatchId, NewBatch, VoucherError};

use crate::support::HOSTILE;
use crate::support::console::Console;

const PATH: &str = "/console/redeem";

/// Codes of one batch, each worth 5.00 for an hour.
async fn codes(console: &Console, count: usize) -> (BatchId, Vec<String>) {
    let now = console.scene.workbench.clock.now();
    let created = console.scene.write(move |connection| {
        let codes = vouchers::generate(count).unwrap();
        let batch = NewBatch {
            name: "spring".to_owned(),
            value: "5.00".parse().unwrap(),
            expires_at: now.plus_ms(3_600_000),
            created_by: "owner@example.com".to_owned(),
        };
        let batch = vouchers::create(connection, &batch, &codes, now)?;
        Ok::<_, VoucherError>((batch.id, codes.iter().map(|code| code.expose().expose_secret().to_owned()).collect()))
    });
    created.await.unwrap()
}

/// A code that nobody has made.
fn unknown() -> String {
    vouchers::generate(1).unwrap().swap_remove(0).expose().expose_secret().to_owned()
}

#[actix_web::test]
async fn a_code_is_shown_then_redeemed_once() {
    let console = Console::new().await;
    let (tenant, other) = (console.tenant("acme").await, console.tenant("other").await);
    let (key, foreign) =
        (console.issue(tenant, KeyPolicy::default()).await, console.issue(other, KeyPolicy::default()).await);
    let colleague = console.issue(tenant, KeyPolicy::default()).await;
    let (_, codes) = codes(&console, 1).await;
    let code = codes[0].as_str();
    let mut browser = console.signed_in(&key).await;
    let page = browser.get(PATH).await.is(200);
    let confirm = browser.submit(&page, PATH, &[("code", &code.to_lowercase())]).await.is(200);
    let confirm = confirm.says("acme").says("worth 5.00 CNY").says("posted 10.00 CNY").says("afterwards 15.00 CNY");
    assert_eq!(console.scene.posted(tenant).await, "10.00", "nothing is booked yet");
    let reply = browser.submit(&confirm, PATH, &[]).await.is(303);
    let done = reply.header("location").unwrap().to_owned();
    let page = browser.get(&done).await.is(200);
    let page = page.says("The code is redeemed").says("Available 15.00 CNY").says("5.00 CNY");
    assert_eq!(console.scene.posted(tenant).await, "15.00");

    // The same form again, a reload, and somebody else: of the same tenant, or not.
    browser.submit(&confirm, PATH, &[]).await.leads_to(&done);
    browser.get(&done).await.is(200);
    browser.submit(&page, PATH, &[("code", code)]).await.is(422).says("redeemed before");
    let mut elsewhere = console.signed_in(&foreign).await;
    let page = elsewhere.get(&done).await.is(200).hides("The code is redeemed");
    elsewhere.submit(&page, PATH, &[("code", code)]).await.is(422).says("redeemed before").hides("acme");
    for key in [&foreign, &colleague] {
        let mut elsewhere = console.signed_in(key).await;
        let page = elsewhere.get(PATH).await.is(200);
        let reply = elsewhere.submit(&page, PATH, &[("code", code), ("confirmed", "yes")]).await.is(422);
        reply.says("redeemed before").says("Nothing was booked now");
    }
    assert_eq!(console.scene.posted(tenant).await, "15.00");
    console.scene.books_are_right().await;

    let records = console.scene.records().await;
    let entries: Vec<_> = records.iter().filter(|record| record.action == "code.redeem").collect();
    // The audit log leads to the top-up.
    let mut auditor = console.scene.signed_in(Role::Auditor).await;
    let top_up = format!("/top-ups/{}", entries[0].subject);
    auditor.get("/audit?action=code.redeem").await.is(200).shows(&format!("href=\"{top_up}\""));
    auditor.get(&top_up).await.is(200).says("redeem code").says("5.00 CNY");
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].tenant, &entries[0].origin.actor), (Some(tenant), &Actor::Key(key.id)));
    assert!(!format!("{records:?}").contains(code));
}

#[actix_web::test]
async fn what_is_no_valid_code_is_said() {
    let noon = Timestamp::from_rfc3339("2026-11-28T12:00:00Z").unwrap();
    let console = Console::at(Clock::manual(noon)).await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let (batch, codes) = codes(&console, 2).await;
    let mut slip = codes[0].clone();
    slip.replace_range(0..1, if slip.starts_with('7') { "8" } else { "7" });
    let mut browser = console.signed_in(&key).await;
    let page = browser.get(PATH).await.is(200);
    let unknown = unknown();
    for (code, words) in [
        ("", "28 letters and digits"),
        (HOSTILE, "only letters"),
        (&slip, "a character is wrong"),
        (&unknown, "is not known"),
    ] {
        for typed in [&[("code", code)][..], &[("code", code), ("confirmed", "yes")]] {
            let reply = browser.submit(&page, PATH, typed).await.is(422);
            reply.says(words).says("Nothing was booked").hides(HOSTILE);
        }
    }
    let confirmed = [("code", codes[0].as_str()), ("confirmed", "yes")];
    console.scene.workbench.clock.advance(3_600_000);
    // The session is over by then.
    let mut browser = console.signed_in_later(&key).await;
    let page = browser.get(PATH).await.is(200);
    browser.submit(&page, PATH, &confirmed).await.is(422).says("has expired");
    let now = console.scene.workbench.clock.now();
    let revoking = console.scene.write(move |connection| vouchers::revoke(connection, batch, "owner@example.com", now));
    revoking.await.unwrap();
    browser.submit(&page, PATH, &confirmed).await.is(422).says("is not valid any more");
    assert_eq!(console.scene.posted(tenant).await, "10.00");
}

#[actix_web::test]
async fn two_clicks_book_once_and_show_the_same() {
    let mut console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let (_, codes) = codes(&console, 4).await;
    let mut browser = console.signed_in(&key).await;
    let page = browser.get(PATH).await.is(200);
    let elsewhere = browser.at(console.another());
    for (number, code) in codes.iter().enumerate() {
        let mut twin = if number % 2 == 0 { browser.clone() } else { elsewhere.clone() };
        let confirm = browser.submit(&page, PATH, &[("code", code)]).await.is(200);
        let (one, two) = join(browser.submit(&confirm, PATH, &[]), twin.submit(&confirm, PATH, &[])).await;
        assert_eq!(one.is(303).header("location"), two.is(303).header("location"), "{number}");
        assert_eq!(console.scene.posted(tenant).await, format!("{}.00", 15 + 5 * number));
    }
    console.scene.books_are_right().await;
    let records = console.scene.records().await;
    assert_eq!(records.iter().filter(|record| record.action == "code.redeem").count(), 4);
}

#[actix_web::test]
async fn a_second_click_is_no_other_try() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let (_, codes) = codes(&console, 1).await;
    let (mut browser, unknown) = (console.signed_in(&key).await, unknown());
    let page = browser.get(PATH).await.is(200);
    let confirm = browser.submit(&page, PATH, &[("code", &codes[0])]).await.is(200);
    for _ in 0..18 {
        browser.submit(&page, PATH, &[("code", &unknown)]).await.is(422);
    }
    // One try is left, for both clicks and for whatever comes after them.
    let mut second = browser.clone();
    let (one, two) = join(browser.submit(&confirm, PATH, &[]), second.submit(&confirm, PATH, &[])).await;
    let done = one.is(303).header("location").unwrap().to_owned();
    two.leads_to(&done);
    browser.submit(&page, PATH, &[("code", &unknown)]).await.is(429);
    browser.submit(&page, PATH, &[("code", &unknown), ("confirmed", "yes")]).await.is(429);
    browser.submit(&confirm, PATH, &[]).await.leads_to(&done);
    browser.get(&done).await.is(200).says("The code is redeemed");
    assert_eq!(console.scene.posted(tenant).await, "15.00");
}

#[actix_web::test]
async fn codes_are_throttled_by_key() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let (key, second) =
        (console.issue(tenant, KeyPolicy::default()).await, console.issue(tenant, KeyPolicy::default()).await);
    let (_, codes) = codes(&console, 1).await;
    let (mut browser, unknown) = (console.signed_in(&key).await, unknown());
    let page = browser.get(PATH).await.is(200);
    for _ in 0..20 {
        browser.submit(&page, PATH, &[("code", &unknown)]).await.is(422);
    }
    let reply = browser.submit(&page, PATH, &[("code", &codes[0]), ("confirmed", "yes")]).await.is(429);
    assert!(reply.header("retry-after").is_some());
    assert_eq!(console.scene.posted(tenant).await, "10.00");
    let mut other = console.signed_in(&second).await;
    let page = other.get(PATH).await.is(200);
    other.submit(&page, PATH, &[("code", &codes[0])]).await.is(200).says("worth 5.00 CNY");
}
