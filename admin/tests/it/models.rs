//! Models and their prices.

use std::collections::BTreeMap;

use shared::catalogue::channel::ChannelKind;
use shared::catalogue::price_list::{self, NewPrice};
use shared::db::DbError;
use shared::money::Amount;
use shared::page::Cursor;
use shared::price::Basis;
use shared::staff::Role;

use crate::support::{Reply, Scene};

fn typed<'a>(prompt: &'a str, completion: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("prompt", prompt),
        ("completion", completion),
        ("image", "0.30"),
        ("images", "1024x1024=0.20\r\n"),
        ("basis", "upstream"),
    ]
}

/// The hidden fields of the form that sets a price: those that no person types.
fn hidden(page: &Reply) -> Vec<(String, String)> {
    page.hidden("/models/gpt-4/price")
}

#[actix_web::test]
async fn a_price_is_set_after_it_was_seen_before_and_after() {
    let scene = Scene::new().await;
    scene.channel("way", ChannelKind::OpenAi, &["gpt-4"]).await;
    let mut owner = scene.signed_in(Role::Owner).await;
    owner.get("/models").await.is(200).shows("href=\"/models/gpt-4\"").shows("served").shows("default");
    let page = owner
        .get("/models/gpt-4")
        .await
        .is(200)
        .shows("href=\"/channels/way\"")
        .shows("this model has none of its own");
    let asked = owner.submit(&page, "/models/gpt-4/price", &typed("3.50", "10.5")).await.is(200);
    let asked =
        asked.shows("Set this price?").shows(">3.50&nbsp;").shows(">10.50&nbsp;").shows("Past charges never change");
    assert_eq!(scene.actions().await.len(), 2, "nothing is set yet");

    let done = owner.submit(&asked, "/models/gpt-4/price", &[]).await.leads_to("/models/gpt-4");
    drop(done);
    let price = scene.read(|connection| price_list::of_model(connection, "gpt-4")).await.unwrap();
    let shown =
        [price.prompt, price.completion, price.image, price.images["1024x1024"]].map(|amount| amount.to_string());
    assert_eq!(shown, ["3.50", "10.50", "0.30", "0.20"]);
    owner.get("/models/gpt-4").await.is(200).shows(">3.50&nbsp;").shows("1024x1024").shows("provider&#39;s count");
    owner.get("/models").await.shows("its own");

    let record = scene.records().await.remove(0);
    assert_eq!((record.action.as_str(), record.subject.as_str()), ("price.set", "gpt-4"));
    assert_eq!(record.before.unwrap()["default"], true);
    assert_eq!(record.after.unwrap()["prompt"], "3.50");

    // The same form a second time: it is set already.
    owner.submit(&asked, "/models/gpt-4/price", &[]).await.leads_to("/models/gpt-4");
    assert_eq!(scene.actions().await.len(), 3);
}

#[actix_web::test]
async fn a_price_that_moved_meanwhile_is_shown_again() {
    let scene = Scene::new().await;
    scene.channel("way", ChannelKind::OpenAi, &["gpt-4"]).await;
    let (mut first, mut second) = (scene.signed_in(Role::Owner).await, scene.signed_in(Role::Billing).await);
    let page = first.get("/models/gpt-4").await;
    let asked = first.submit(&page, "/models/gpt-4/price", &typed("1", "1")).await.is(200);
    let other = second.get("/models/gpt-4").await;
    let other = second.submit(&other, "/models/gpt-4/price", &typed("2", "2")).await.is(200);
    second.submit(&other, "/models/gpt-4/price", &[]).await.is(303);
    let moved = first
        .submit(&asked, "/models/gpt-4/price", &[])
        .await
        .is(200)
        .shows("was changed meanwhile")
        .shows(">2.00&nbsp;");
    first.submit(&moved, "/models/gpt-4/price", &[]).await.is(303);
    let history = scene.read(|connection| price_list::history(connection, Some("gpt-4"), Cursor::First, 10)).await.rows;
    let prompts: Vec<_> = history.iter().map(|(_, price)| price.prompt.to_string()).collect();
    assert_eq!(prompts, ["1.00", "2.00"]);
    first.get("/models/gpt-4").await.shows(">1.00&nbsp;").shows(">2.00&nbsp;");
}

#[actix_web::test]
async fn wrong_prices_stand_beside_their_field() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let page = owner.get("/models/gpt-4").await.is(200).shows("No channel serves this model");
    let cases = [
        ("prompt", "three", "Give an amount", "请填写金额"),
        ("completion", "-1", "not below zero", "不能为负"),
        ("image", "0.0000000001", "at most 9 digits", "最多 9 位"),
        ("images", "big=1", "Each size once, one a line", "每行一个尺寸"),
        ("images", "1x1=1\n1x1=2", "Each size once", "每个尺寸一次"),
    ];
    for (field, value, english, chinese) in cases {
        let fields = typed("1", "1").into_iter().map(|(name, typed)| (name, if name == field { value } else { typed }));
        let fields: Vec<_> = fields.collect();
        for (languages, words) in [("en", english), ("zh", chinese)] {
            owner.languages = languages;
            let again = owner.submit_to("/models/gpt-4/price", hidden(&page), &fields).await.is(422);
            again.shows(words).shows("aria-invalid=\"true\"").shows(value);
        }
    }
    assert_eq!(scene.actions().await.len(), 2, "nothing was set");
}

#[actix_web::test]
async fn a_model_may_be_priced_before_it_is_served() {
    let scene = Scene::new().await;
    let mut billing = scene.signed_in(Role::Billing).await;
    billing.get("/models?name=o+9%2Fmini").await.leads_to("/models/o%209%2Fmini");
    billing.get("/models?name=a%3Db").await.is(200).shows("id=\"name-error\"").shows("value=\"a=b\"");
    let page = billing.get("/models/o%209%2Fmini").await.is(200).shows("o 9/mini");
    let asked = billing.submit(&page, "/models/o%209%2Fmini/price", &typed("1", "2")).await.is(200);
    billing.submit(&asked, "/models/o%209%2Fmini/price", &[]).await.leads_to("/models/o%209%2Fmini");
    billing.get("/models").await.shows("o 9/mini").shows("not served");
    billing.get("/models/a%3Db").await.is(404);
}

#[actix_web::test]
async fn who_may_not_price_is_not_offered_it() {
    let scene = Scene::new().await;
    scene.channel("way", ChannelKind::Echo, &["test"]).await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    let page = auditor.get("/models/test").await.is(200).shows("serves it");
    assert!(!page.offers("/models/test/price"));
}

#[actix_web::test]
async fn echo_beside_a_provider_does_not_serve() {
    let scene = Scene::new().await;
    scene.channel("echo", ChannelKind::Echo, &["gpt-4"]).await;
    scene.channel("real", ChannelKind::OpenAi, &["gpt-4"]).await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    auditor.languages = "zh";
    auditor.get("/models/gpt-4").await.is(200).shows("回显不替代真实供应商").shows("正在提供");
}

#[actix_web::test]
async fn versions_go_to_and_fro() {
    let scene = Scene::new().await;
    let now = scene.workbench.clock.now();
    let set = scene.write(move |connection| {
        for number in 1..=120 {
            let amount = Amount::from_nanos(number);
            let (model, images) = (Some("gpt-4".to_owned()), BTreeMap::new());
            let (prompt, completion, image) = (amount, amount, amount);
            let new = NewPrice { model, prompt, completion, image, images, basis: Basis::Estimate };
            price_list::set(connection, new, now)?;
        }
        Ok::<_, DbError>(())
    });
    set.await.unwrap();
    let mut auditor = scene.signed_in(Role::Auditor).await;
    let versions = |page: &Reply| {
        let rows = page.body.split("<th scope=\"row\" class=\"num\">").skip(1);
        rows.map(|row| row.split('<').next().unwrap().to_owned()).collect()
    };
    let versions = auditor.turn("/models/gpt-4", 3, versions).await;
    assert_eq!(versions.len(), 120);
    assert!(versions.windows(2).all(|pair| pair[0].parse::<i64>().unwrap() == pair[1].parse::<i64>().unwrap() + 1));
}
