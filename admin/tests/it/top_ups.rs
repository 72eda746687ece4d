//! Top-ups: from the form over the confirmation to the entry, and back again as far as the money is there.

use rstest::rstest;
use shared::clock::Timestamp;
use shared::id::TransferId;
use shared::money::Amount;
use shared::staff::Role;

use crate::support::{Browser, HOSTILE, Reply, Scene, csv};

/// The id of the transfer that a form will make.
#[track_caller]
fn once(page: &Reply, action: &str) -> String {
    page.hidden(action).into_iter().find(|(name, _)| name == "once").unwrap().1
}

/// Fills in the form and goes on to the confirmation.
async fn confirmation(browser: &mut Browser, form: &Reply, amount: &str, reference: &str) -> Reply {
    let typed = [("amount", amount), ("reference", reference), ("note", "")];
    browser.submit(form, "/top-ups/confirm", &typed).await
}

#[actix_web::test]
async fn a_payment_is_confirmed_and_booked() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    scene.pays(tenant, "5", "first").await;
    let mut billing = scene.signed_in(Role::Billing).await;
    let form = billing.get(&format!("/top-ups/new?tenant={tenant}")).await.is(200).shows("<bdi>acme</bdi>");
    let typed = [("amount", "10.5"), ("reference", " invoice-7 "), ("note", "by bank")];
    let asked = billing.submit(&form, "/top-ups/confirm", &typed).await.is(200).shows("Nothing is booked yet.");
    let asked = asked.shows("5.00").shows("10.50").shows("15.50").shows("taken back only by a reversal");
    assert_eq!(scene.posted(tenant).await, "5.00");
    let booked = billing.submit(&asked, "/top-ups", &[]).await.is(303);
    let path = booked.header("location").unwrap().to_owned();
    let once = once(&form, "/top-ups/confirm");
    assert_eq!(path, format!("/top-ups/{once}"));
    billing.get(&path).await.is(200).shows(&once).shows("invoice-7").shows("by bank").shows("billing@example.com");
    assert_eq!(scene.posted(tenant).await, "15.50");
    assert_eq!(scene.done().await, ["top_up.book"]);
    let record = scene.records().await.remove(0);
    assert_eq!((record.subject, record.tenant), (once, Some(tenant)));
    let (before, after) = (record.before.unwrap(), record.after.unwrap());
    assert_eq!((&before["posted"], &after["posted"]), (&"5.00".into(), &"15.50".into()));
    assert_eq!((&after["amount"], &after["reference"]), (&"10.50".into(), &"invoice-7".into()));
    scene.books_are_right().await;
}

#[actix_web::test]
async fn the_same_form_twice_is_one_top_up() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let mut billing = scene.signed_in(Role::Billing).await;
    let form = billing.get(&format!("/top-ups/new?tenant={tenant}")).await;
    let asked = confirmation(&mut billing, &form, "10", "invoice-7").await.is(200);
    // A double click.
    let (mut one, mut other) = (billing.clone(), billing.clone());
    let (one, other) = futures_util::join!(one.submit(&asked, "/top-ups", &[]), other.submit(&asked, "/top-ups", &[]));
    let path = one.is(303).header("location").unwrap().to_owned();
    assert_eq!(other.is(303).header("location"), Some(path.as_str()));
    // Back, and once more.
    billing.submit(&asked, "/top-ups", &[]).await.leads_to(&path);
    confirmation(&mut billing, &form, "10.00", "invoice-7").await.leads_to(&path);
    assert_eq!((scene.posted(tenant).await.as_str(), scene.done().await.len()), ("10.00", 1));

    // Another note is another payment too.
    let typed = [("amount", "10"), ("reference", "invoice-7"), ("note", "by bank")];
    for action in ["/top-ups/confirm", "/top-ups"] {
        let again = billing.submit_to(action, form.hidden("/top-ups/confirm"), &typed).await.is(422);
        again.shows("This form has booked a top-up before").shows(&format!("href=\"{path}\""));
    }

    // Back to the form, and something else in it: that is another payment, and must be sent as one.
    let again = confirmation(&mut billing, &form, "20", "invoice-8").await.is(422);
    let again = again.shows("This form has booked a top-up before").shows(&format!("href=\"{path}\""));
    let asked = confirmation(&mut billing, &again, "20", "invoice-8").await.is(200);
    billing.submit(&asked, "/top-ups", &[]).await.is(303);
    assert_eq!(scene.posted(tenant).await, "30.00");
    scene.books_are_right().await;
}

#[actix_web::test]
async fn two_operators_at_the_same_moment() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let (mut one, mut other) = (scene.signed_in(Role::Owner).await, scene.signed_in(Role::Billing).await);
    let path = format!("/top-ups/new?tenant={tenant}");
    let (for_one, for_other) = (one.get(&path).await, other.get(&path).await);

    // Two payments: both are booked.
    let first = confirmation(&mut one, &for_one, "1", "a").await.is(200);
    let second = confirmation(&mut other, &for_other, "2", "b").await.is(200).shows("0.00");
    let (first, second) =
        futures_util::join!(one.submit(&first, "/top-ups", &[]), other.submit(&second, "/top-ups", &[]));
    assert_ne!(first.is(303).header("location"), second.is(303).header("location"));
    assert_eq!(scene.posted(tenant).await, "3.00");

    // The same payment, by two people: it is booked once, and the second is told.
    let (for_one, for_other) = (one.get(&path).await, other.get(&path).await);
    let first = confirmation(&mut one, &for_one, "4", "c").await.is(200);
    let second = confirmation(&mut other, &for_other, "4", "c").await.is(200);
    let (first, second) =
        futures_util::join!(one.submit(&first, "/top-ups", &[]), other.submit(&second, "/top-ups", &[]));
    let (done, told) = if first.status == 303 && !first.header("location").unwrap().ends_with("again=yes") {
        (first, second)
    } else {
        (second, first)
    };
    let entry = done.is(303).header("location").unwrap().to_owned();
    match told.status {
        303 => {
            let reply = told.leads_to(&format!("{entry}?again=yes"));
            one.get(reply.header("location").unwrap()).await.is(200).shows("Nothing was booked a second time.");
        }
        _ => drop(told.is(422).shows("This reference belongs to a top-up").shows(&format!("href=\"{entry}\""))),
    }
    assert_eq!(scene.posted(tenant).await, "7.00");
    assert_eq!(scene.done().await, ["top_up.book"; 3]);
    scene.books_are_right().await;
}

#[actix_web::test]
async fn a_reference_is_used_once() {
    let scene = Scene::new().await;
    let (tenant, other) = (scene.customer("acme").await, scene.customer("other").await);
    let first = scene.pays(tenant, "5", "invoice-7").await;
    let mut billing = scene.signed_in(Role::Billing).await;
    let form = billing.get(&format!("/top-ups/new?tenant={tenant}")).await;
    for amount in ["5", "6"] {
        let again = confirmation(&mut billing, &form, amount, "invoice-7").await.is(422);
        let again = again.shows("This reference belongs to a top-up of 5.00 CNY.");
        again.shows(&format!("href=\"/top-ups/{first}\"")).shows("aria-describedby=\"reference-error\"");
    }
    // Booked by somebody else after the confirmation was shown.
    let asked = confirmation(&mut billing, &form, "5", "invoice-8").await.is(200);
    scene.pays(tenant, "6", "invoice-8").await;
    billing.submit(&asked, "/top-ups", &[]).await.is(422).shows("This reference belongs to a top-up of 6.00 CNY.");
    assert_eq!(scene.posted(tenant).await, "11.00");
    // Another tenant may have the same.
    let form = billing.get(&format!("/top-ups/new?tenant={other}")).await;
    confirmation(&mut billing, &form, "5", "invoice-7").await.is(200);
}

#[rstest]
#[case("amount", "0", "above zero")]
#[case("amount", "-1", "above zero")]
#[case("amount", "ten", "above zero")]
#[case("amount", "1.0000000001", "above zero")]
#[case("amount", "9999999999999", "above zero")]
#[case("reference", "", "A reference has 1 to 200 characters")]
#[case("reference", &"r".repeat(201), "A reference has 1 to 200 characters")]
#[case("reference", "a\0b", "A reference has 1 to 200 characters")]
#[case("reference", "code:1/2", "those of redeemed codes")]
#[case("note", &"n".repeat(1001), "A note is one line")]
#[case("tenant_name", "nobody", "No tenant has this name.")]
#[case("tenant_name", "1001", "No tenant has this name.")]
#[actix_web::test]
async fn wrong_input_is_shown_again(#[case] field: &str, #[case] value: &str, #[case] words: &str) {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get("/top-ups/new").await.is(200);
    let typed = [("tenant_name", "acme"), ("amount", "7.25"), ("reference", "kept"), ("note", "")];
    let typed: Vec<_> =
        typed.into_iter().map(|(name, good)| (name, if name == field { value } else { good })).collect();
    for path in ["/top-ups/confirm", "/top-ups"] {
        let again = owner.submit_to(path, form.hidden("/top-ups/confirm"), &typed).await.is(422);
        let again = again.shows(words).shows(&format!("aria-describedby=\"{field}-error\""));
        if field != "amount" {
            again.shows("value=\"7.25\"");
        }
    }
    assert_eq!(scene.posted(tenant).await, "0.00");
    assert!(scene.done().await.is_empty());
}

#[actix_web::test]
async fn a_balance_that_cannot_be_kept_is_refused() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    scene.pays(tenant, "9000000000", "much").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get(&format!("/top-ups/new?tenant={tenant}")).await;
    let again = confirmation(&mut owner, &form, "9000000000", "more").await.is(422);
    again.shows("the balance would be too large").shows("aria-describedby=\"amount-error\"");
    let token = shared::csrf::token(owner.cookie("xiaoyi_panel").unwrap());
    let (once, tenant_id) = (TransferId::new().to_string(), tenant.to_string());
    let fields = [
        ("csrf", token.as_str()),
        ("once", &once),
        ("tenant", &tenant_id),
        ("amount", "9000000000"),
        ("reference", "more"),
    ];
    owner.post("/top-ups", &fields).await.is(422).shows("the balance would be too large");
    assert_eq!(scene.posted(tenant).await, "9000000000.00");
}

#[actix_web::test]
async fn an_old_form_is_looked_at_again() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let token = shared::csrf::token(owner.cookie("xiaoyi_panel").unwrap());
    let now = scene.workbench.clock.now();
    let of = |moment: Timestamp| TransferId::floor(moment).to_string();
    let (yesterday, tomorrow) = (of(now.plus_ms(-25 * 3_600_000)), of(now.plus_ms(3_600_000)));
    for once in [yesterday.as_str(), tomorrow.as_str(), "", "x", "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
        let tenant = tenant.to_string();
        let fields =
            [("csrf", token.as_str()), ("once", once), ("tenant", &tenant), ("amount", "5"), ("reference", "r")];
        for path in ["/top-ups/confirm", "/top-ups"] {
            let again = owner.post(path, &fields).await.is(422).shows("open for more than a day");
            assert_ne!(self::once(&again, "/top-ups/confirm"), once);
        }
    }
    assert_eq!(scene.posted(tenant).await, "0.00");
}

#[actix_web::test]
async fn from_the_confirmation_one_can_go_back() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get(&format!("/top-ups/new?tenant={tenant}")).await;
    let asked = confirmation(&mut owner, &form, "5", "<r>").await.is(200).shows("formaction=\"/top-ups/confirm\"");
    let form = owner.submit_to("/top-ups/confirm", asked.hidden("/top-ups"), &[("change", "yes")]).await.is(200);
    let form = form.shows("value=\"5.00\"").shows("value=\"&#60;r&#62;\"");
    assert_eq!(once(&form, "/top-ups/confirm"), once(&asked, "/top-ups"), "it is the same payment still");
    assert_eq!(scene.posted(tenant).await, "0.00");
}

#[actix_web::test]
async fn a_reversal_takes_back_what_is_there() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let top_up = scene.pays(tenant, "10", "invoice-7").await;
    scene.sets_aside(tenant, "7.50").await;
    let mut billing = scene.signed_in(Role::Billing).await;
    let (own, reverse) = (format!("/top-ups/{top_up}"), format!("/top-ups/{top_up}/reverse"));
    billing.get(&own).await.is(200).shows(&format!("href=\"{reverse}\""));
    let asked = billing.get(&reverse).await.is(200).shows("<strong><span class=\"money\">2.50").shows("7.50");
    for reason in ["", "  ", "a\0b", &"r".repeat(1001)] {
        let again = billing.submit(&asked, &reverse, &[("reason", reason)]).await.is(422);
        again.shows("A reversal needs a reason").shows("aria-describedby=\"reason-error\"");
    }
    assert_eq!(scene.posted(tenant).await, "10.00");
    for _ in 0..2 {
        billing.submit(&asked, &reverse, &[("reason", "paid <twice>")]).await.leads_to(&own);
    }
    let page =
        billing.get(&own).await.is(200).shows("reversed").shows("2.50").shows("7.50").shows("paid &#60;twice&#62;");
    page.hides(&format!("href=\"{reverse}\""));
    billing.get(&reverse).await.leads_to(&own);
    let balance = scene.balance(tenant).await;
    assert_eq!((balance.posted.to_string(), balance.available().to_string()), ("7.50".into(), "0.00".into()));
    assert_eq!(scene.done().await, ["top_up.reverse"]);
    let record = scene.records().await.remove(0);
    let (before, after) = (record.before.unwrap(), record.after.unwrap());
    assert_eq!((&before["posted"], &after["posted"]), (&"10.00".into(), &"7.50".into()));
    assert_eq!((record.subject, &after["recovered"]), (top_up.to_string(), &"2.50".into()));
    assert_eq!((&after["not_recovered"], &after["reason"]), (&"7.50".into(), &"paid <twice>".into()));
    scene.books_are_right().await;
}

#[actix_web::test]
async fn a_top_up_is_reversed_once_whoever_asks() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let top_up = scene.pays(tenant, "10", "a").await;
    scene.pays(tenant, "10", "b").await;
    let (mut one, mut other) = (scene.signed_in(Role::Owner).await, scene.signed_in(Role::Billing).await);
    let reverse = format!("/top-ups/{top_up}/reverse");
    let (for_one, for_other) = (one.get(&reverse).await.is(200), other.get(&reverse).await.is(200));
    let reason = [("reason", "wrong tenant")];
    let (first, second) =
        futures_util::join!(one.submit(&for_one, &reverse, &reason), other.submit(&for_other, &reverse, &reason));
    let (own, before) = (format!("/top-ups/{top_up}"), format!("/top-ups/{top_up}?reversed=before"));
    let led = [&first, &second].map(|reply| reply.header("location").unwrap().to_owned());
    assert!(led == [own.clone(), before.clone()] || led == [before.clone(), own.clone()], "{led:?}");
    one.get(&before).await.is(200).shows("had been reversed before").shows("Nothing was taken back now");
    one.get(&own).await.is(200).hides("had been reversed before");
    assert_eq!(scene.posted(tenant).await, "10.00");
    assert_eq!(scene.done().await, ["top_up.reverse"]);
    scene.books_are_right().await;
}

#[actix_web::test]
async fn just_what_was_confirmed_is_taken_back() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let top_up = scene.pays(tenant, "10", "a").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let reverse = format!("/top-ups/{top_up}/reverse");
    let asked = owner.get(&reverse).await.is(200).hides("the balance has changed");
    let request = scene.sets_aside(tenant, "4").await;
    let again = owner.submit(&asked, &reverse, &[("reason", "why")]).await.is(422).shows("the balance has changed");
    let again = again.shows("<strong><span class=\"money\">6.00").shows("value=\"why\"");
    // More than was confirmed is another amount too.
    scene.releases(tenant, request).await;
    owner.languages = "zh";
    let last = owner.submit(&again, &reverse, &[("reason", "why")]).await.is(422).shows("页面生成后余额有变动");
    let without = last.hidden(&reverse).into_iter().filter(|(name, _)| name != "recovered").collect();
    owner.submit_to(&reverse, without, &[("reason", "why")]).await.is(422);
    assert_eq!((scene.posted(tenant).await.as_str(), scene.done().await.len()), ("10.00", 0));
    for page in [&last, &last, &asked] {
        owner.submit(page, &reverse, &[("reason", "why")]).await.leads_to(&format!("/top-ups/{top_up}"));
    }
    assert_eq!((scene.posted(tenant).await.as_str(), scene.done().await.len()), ("0.00", 1));
    scene.books_are_right().await;
}

#[actix_web::test]
async fn where_nothing_is_there_nothing_is_taken_back() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let top_up = scene.pays(tenant, "10", "a").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let reverse = format!("/top-ups/{top_up}/reverse");
    let asked = owner.get(&reverse).await.is(200);
    let request = scene.sets_aside(tenant, "10").await;
    let again = owner.submit(&asked, &reverse, &[("reason", "r")]).await.is(422).shows("Nothing was taken back");
    assert!(!again.offers(&reverse));
    assert!(!owner.get(&reverse).await.is(200).shows("Nothing of the balance is available").offers(&reverse));
    scene.releases(tenant, request).await;
    owner.submit(&asked, &reverse, &[("reason", "r")]).await.is(303);
    assert_eq!(scene.posted(tenant).await, "0.00");
    owner.get(&format!("/top-ups/{}", TransferId::new())).await.is(404);
    owner.get("/top-ups/x/reverse").await.is(404);
}

#[actix_web::test]
async fn lists_are_filtered_and_summed() {
    let scene = Scene::new().await;
    let (one, other) = (scene.customer("one").await, scene.customer("other").await);
    scene.pays(one, "1.25", "first").await;
    scene.pays(other, "2", "second").await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    auditor.get("/top-ups").await.is(200).shows("first").shows("second").shows("3.25").hides("/top-ups/new");
    for tenant in [one.to_string(), "one".to_owned()] {
        auditor.get(&format!("/top-ups?tenant={tenant}")).await.shows("first").hides("second");
    }
    auditor.get("/top-ups?reference=SEC").await.shows("second").hides("first");
    auditor.get("/top-ups?to=2020-01-01").await.shows("No top-up fits.");
    auditor.get("/top-ups?from=2020-01-01").await.shows("first");
    for (query, words) in [
        ("tenant=x", "No tenant has this id or name."),
        ("from=y", "Give a day (2026-01-31)"),
        ("to=y", "Give a day (2026-01-31)"),
        ("from=2026-02-02&to=2026-02-01", "The end must lie after the beginning."),
    ] {
        auditor.get(&format!("/top-ups?{query}&older=z")).await.is(200).says(words);
        auditor.get(&format!("/top-ups.csv?{query}")).await.is(422).says(words);
    }
    auditor.get("/top-ups?tenant=x&from=y").await.is(200).shows("first");
    auditor.get("/top-ups.csv?tenant=one&tenant=other").await.is(422).says("A filter could not be read");
}

#[actix_web::test]
async fn sums_and_the_file_are_of_all_pages() {
    let scene = Scene::new().await;
    let (one, other) = (scene.customer("one").await, scene.customer(HOSTILE).await);
    let mut paid = Vec::new();
    for number in 0..101 {
        paid.push(scene.pays(one, "1.000000001", &format!("INV-{number:03}")).await);
    }
    scene.pays(other, "7", "another").await;
    // Of the first one 0.50 is not there any more.
    scene.sets_aside(one, "100.500000101").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let reverse = format!("/top-ups/{}/reverse", paid[0]);
    let asked = owner.get(&reverse).await.is(200);
    owner.submit(&asked, &reverse, &[("reason", "=1+1")]).await.is(303);

    let found = owner.turn("/top-ups?tenant=one&reference=inv", 3, |page| page.links("/top-ups/0")).await;
    assert_eq!(found.len(), 101);
    let first = owner.get("/top-ups?tenant=one&reference=inv").await.is(200);
    let second = owner.get(&first.page("next").unwrap()).await.is(200);
    for page in [&first, &second] {
        let sums = page.clone().says("All pages: 101 top-ups 0.50 CNY 101.000000101 CNY");
        sums.says("Less what was taken back 100.500000101 CNY");
    }
    owner.get("/top-ups").await.is(200).says("All pages: 102 top-ups 0.50 CNY 108.000000101 CNY");
    owner.get("/top-ups?reference=another").await.is(200).says("All pages: 1 top-ups 0.00 CNY 7.00 CNY");
    owner.languages = "zh";
    owner.get("/top-ups?tenant=one").await.is(200).says("全部页： 101 笔充值").says("减去已收回部分");

    let address = first.between("href=\"/top-ups.csv", "\"");
    let file = owner.get(&format!("/top-ups.csv{address}")).await.is(200);
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"top-ups.csv\""));
    let file = csv(&file.body);
    assert_eq!((file.len(), file[0].len()), (102, 14));
    let column = |name: &str| file[0].iter().position(|each| each == name).unwrap();
    let (ids, sum) = (column("id"), |name: &str| {
        let amounts = file.iter().skip(1).map(|row| row[column(name)].parse::<Amount>().unwrap().nanos());
        Amount::from_nanos(amounts.sum()).to_string()
    });
    assert!(
        file.iter().skip(1).map(|row| &row[ids]).eq(paid
            .iter()
            .rev()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .iter())
    );
    assert_eq!((sum("amount").as_str(), sum("taken_back").as_str()), ("101.000000101", "0.50"));
    let reversed: Vec<&Vec<String>> =
        file.iter().skip(1).filter(|row| !row[column("reversal_id")].is_empty()).collect();
    assert_eq!(reversed.len(), 1);
    assert_eq!(
        (reversed[0][ids].as_str(), reversed[0][column("not_recovered")].as_str()),
        (paid[0].to_string().as_str(), "0.500000001")
    );
    assert_eq!(reversed[0][column("reason")], "'=1+1", "no spreadsheet takes it for a formula");
    // More than one piece of a file.
    for number in 0..500 {
        scene.pays(other, "0.01", &format!("many-{number}")).await;
    }
    let file = csv(&owner.get("/top-ups.csv?reference=many").await.is(200).body);
    assert_eq!(file.len(), 501);
    assert!(file.iter().skip(1).all(|row| row[column("tenant")] == HOSTILE && row[column("source")] == "payment"));
    assert_eq!(csv(&owner.get("/top-ups.csv").await.is(200).body).len(), 603);
    assert_eq!(csv(&owner.get("/top-ups.csv?reference=none").await.is(200).body).len(), 1);
}
