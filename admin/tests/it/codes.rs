//! Redeem codes: a batch is made once, its codes are seen once, and it can be revoked.

use rstest::rstest;
use shared::key::KeyPolicy;
use shared::staff::Role;
use shared::vouchers::{self, BatchId, Code, Redeemed, VoucherError};

use crate::support::{Reply, Scene};

#[actix_web::test]
async fn a_batch_is_made_once_and_its_codes_are_seen_once() {
    let scene = Scene::new().await;
    let mut billing = scene.signed_in(Role::Billing).await;
    billing.get("/codes").await.is(200).shows("There is none yet.");
    let form = billing.get("/codes/new").await.is(200).shows("value=\"365d\"");
    let typed = [("name", "spring, 2027"), ("value", "10.50"), ("count", "3"), ("expires", "90d")];
    let made = billing.submit(&form, "/codes", &typed).await.is(200).shows("data-secret").shows("I have stored them");
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let codes = made.between("<textarea id=\"codes\" readonly rows=\"10\" spellcheck=\"false\">", "</textarea>");
    let codes: Vec<&str> = codes.lines().collect();
    assert_eq!(codes.len(), 3);
    made.clone().shows("31.50");

    // The same as a file, which needs no second request.
    let file = made.between("href=\"data:text/csv;charset=utf-8,", "\"");
    let file: Vec<(String, String)> = serde_urlencoded::from_str(&format!("file={file}")).unwrap();
    let lines: Vec<&str> = file[0].1.lines().collect();
    assert_eq!(lines[0], "batch,number,code,value,expires_at");
    assert!(lines[2].starts_with(&format!("\"spring, 2027\",2,{},10.50,", codes[1])), "{}", lines[2]);

    let again = billing.submit(&form, "/codes", &typed).await.is(422);
    let again = again.shows("A batch of this name exists.").shows("href=\"/codes/1\"").hides("data-secret");
    again.hides(codes[0]).shows("aria-describedby=\"name-error\"");
    assert_eq!(scene.done().await, ["codes.create"]);
    for path in ["/codes", "/codes/1", "/audit"] {
        let page = billing.get(path).await.is(200);
        codes.iter().fold(page, |page, code| page.hides(code).hides(&code.replace('-', "")));
    }
    billing.get("/codes/1").await.shows("spring, 2027").shows("0 / 3").shows("not redeemed");

    // Somebody redeems one.
    let tenant = scene.customer("acme").await;
    let (key, now) = (scene.issues(tenant, KeyPolicy::default()).await, scene.workbench.clock.now());
    let code = Code::parse(codes[0]).unwrap();
    let redeemed = scene.write(move |connection| {
        let redeemed = vouchers::redeem(connection, &code, tenant, key, now)?;
        Ok::<_, VoucherError>(matches!(redeemed, Redeemed::Redeemed { .. }))
    });
    assert!(redeemed.await.unwrap());
    let page = billing.get("/codes/1").await.shows("1 / 3").shows("<bdi>acme</bdi>").shows(key.as_str());
    let top_up = page.between("<a href=\"/top-ups/", "\"");
    billing.get(&format!("/top-ups/{top_up}")).await.is(200).shows("redeem code").shows("code:1/1");
    billing.get("/top-ups").await.shows("redeem code").shows("10.50");
    scene.books_are_right().await;
}

#[actix_web::test]
async fn a_batch_s_name_is_no_formula_in_the_file() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get("/codes/new").await;
    let typed = [("name", "=cmd()"), ("value", "1"), ("count", "2"), ("expires", "2099-01-01")];
    let made = owner.submit(&form, "/codes", &typed).await.is(200).shows("download=\"codes-1.csv\"");
    let file = made.between("href=\"data:text/csv;charset=utf-8,", "\"");
    let file: Vec<(String, String)> = serde_urlencoded::from_str(&format!("file={file}")).unwrap();
    let lines: Vec<&str> = file[0].1.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with("'=cmd(),1,"), "{}", lines[1]);
    assert!(lines[1].ends_with(",1.00,2098-12-31T16:00:00.000Z"), "{}", lines[1]);
    owner.submit(&form, "/codes", &typed).await.is(422);
}

#[rstest]
#[case("name", "", "name has 1 to 100 characters")]
#[case("name", &"n".repeat(101), "name has 1 to 100 characters")]
#[case("name", "a\0b", "name has 1 to 100 characters")]
#[case("value", "0", "above zero")]
#[case("value", "ten", "above zero")]
#[case("count", "0", "from 1 to 10000")]
#[case("count", "10001", "from 1 to 10000")]
#[case("count", "many", "from 1 to 10000")]
#[case("expires", "0m", "a day to come")]
#[case("expires", "2020-01-01", "a day to come")]
#[case("expires", "never", "a day to come")]
#[actix_web::test]
async fn wrong_input_is_shown_again(#[case] field: &str, #[case] value: &str, #[case] words: &str) {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get("/codes/new").await;
    let typed = [("name", "spring"), ("value", "10"), ("count", "3"), ("expires", "90d")];
    let typed: Vec<_> =
        typed.into_iter().map(|(name, good)| (name, if name == field { value } else { good })).collect();
    let again = owner.submit(&form, "/codes", &typed).await.is(422);
    again.shows(words).shows(&format!("aria-describedby=\"{field}-error\""));
    owner.languages = "zh";
    owner.submit(&form, "/codes", &typed).await.is(422).hides(words);
    assert!(scene.done().await.is_empty());
}

#[actix_web::test]
async fn a_batch_is_revoked_for_good() {
    let scene = Scene::new().await;
    let now = scene.workbench.clock.now();
    let made = scene.write(move |connection| {
        let expires_at = now.plus_ms(1_000_000_000);
        let (value, created_by) = ("1".parse().unwrap(), "command line".to_owned());
        let new = vouchers::NewBatch { name: "spring".to_owned(), value, expires_at, created_by };
        let batch = vouchers::create(connection, &new, &vouchers::generate(60).unwrap(), now)?;
        Ok::<_, VoucherError>(batch.id)
    });
    let BatchId(id) = made.await.unwrap();
    let mut owner = scene.signed_in(Role::Owner).await;
    let (own, revoke) = (format!("/codes/{id}"), format!("/codes/{id}/revoke"));
    let first = owner.get(&own).await.is(200).shows("redeemable").shows(&format!("href=\"{revoke}\""));
    let more = first.between(&format!("href=\"{own}?"), "\"");
    owner.get(&format!("{own}?{more}")).await.is(200).shows(">60<").hides(">50<");
    let asked = owner.get(&revoke).await.is(200).shows("It is final");
    assert!(scene.done().await.is_empty());
    for _ in 0..2 {
        owner.submit(&asked, &revoke, &[]).await.leads_to(&own);
    }
    owner.get(&own).await.shows("revoked").shows("owner@example.com").hides(&revoke);
    assert_eq!(scene.done().await, ["codes.revoke"]);
    owner.get("/codes/7").await.is(404);
    owner.get("/codes/x").await.is(404);

    let mut support = scene.signed_in(Role::Support).await;
    support.get("/codes").await.is(200).shows("spring").hides("/codes/new");
    support.get(&own).await.is(200).hides(&revoke);
}

#[actix_web::test]
async fn lists_go_to_and_fro() {
    let scene = Scene::new().await;
    let mut billing = scene.signed_in(Role::Billing).await;
    for (number, count) in (0..51).map(|number| (number, if number == 0 { "120" } else { "1" })) {
        let form = billing.get("/codes/new").await.is(200);
        let name = format!("batch {number}");
        let typed = [("name", name.as_str()), ("value", "1"), ("count", count), ("expires", "90d"), ("answer", "page")];
        billing.submit(&form, "/codes", &typed).await.is(200);
    }
    let mut auditor = scene.signed_in(Role::Auditor).await;
    assert_eq!(auditor.turn("/codes", 2, |page| page.links("/codes/")).await.len(), 51);
    // The codes of a batch go by their numbers.
    let numbers = |page: &Reply| {
        let rows = page.body.split("<th scope=\"row\" class=\"num\">").skip(1);
        rows.map(|row| row.split('<').next().unwrap().to_owned()).collect()
    };
    let codes = billing.turn("/codes/1", 3, numbers).await;
    assert!(codes.iter().map(|number| number.parse::<i64>().unwrap()).eq(1..=120), "{codes:?}");
    billing.get("/codes/1?older=50").await.is(200).shows(">First<").shows(">Previous<").shows(">Next<");
    billing.languages = "zh";
    billing.get("/codes/1?older=50").await.is(200).shows(">首页<").shows(">上一页<").shows(">下一页<");
}
