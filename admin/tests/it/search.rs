//! The one search box.

use shared::id::RequestId;
use shared::secret_key::KeyId;
use shared::staff::Role;

use crate::support::{Call, HOSTILE, HOSTILE_AS_TEXT, Scene};

fn query(text: &str) -> String {
    format!("/search?{}", serde_urlencoded::to_string([("q", text)]).unwrap())
}

#[actix_web::test]
async fn one_hit_leads_there() {
    let scene = Scene::new().await;
    let tenant = scene.tenant("Alpha Works", "0").await;
    let key: KeyId = "AAAAAAAAAAAA".parse().unwrap();
    let paid = scene.top_up(tenant, "1.00", "INV-77", None).await;
    let call = scene.call(Call::of(tenant, key)).await;
    let mut browser = scene.signed_in(Role::Support).await;
    for (text, path) in [
        ("Alpha Works".to_owned(), format!("/tenants/{tenant}")),
        (" works ".to_owned(), format!("/tenants/{tenant}")),
        (tenant.to_string(), format!("/tenants/{tenant}")),
        (call.to_string(), format!("/calls/{call}")),
        ("INV-77".to_owned(), format!("/top-ups/{paid}")),
        (paid.to_string(), format!("/top-ups/{paid}")),
    ] {
        browser.get(&query(&text)).await.leads_to(&path);
    }
}

#[actix_web::test]
async fn several_hits_are_listed_and_none_says_what_can_be_found() {
    let scene = Scene::new().await;
    let (one, two) = (scene.tenant("Alpha", "0").await, scene.tenant("Alpha Two", "0").await);
    scene.tenant(HOSTILE, "0").await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get(&query("alpha")).await.is(200);
    page.shows(&format!("/tenants/{one}")).shows(&format!("/tenants/{two}"));
    for text in ["", "  ", "nothing like it", &RequestId::new().to_string()] {
        browser
            .get(&query(text))
            .await
            .is(200)
            .shows("What can be found:")
            .shows("a call, by its request id")
            .hides("<table");
    }
    browser.languages = "zh";
    browser.get(&query("nothing like it")).await.is(200).shows("没有找到结果。").shows("可搜索的内容：");
    browser.get("/search").await.is(200).shows("可搜索的内容：").hides("没有找到结果。");
    browser.get(&query(&format!("{HOSTILE}x"))).await.is(200).hides("<script>alert").shows(HOSTILE_AS_TEXT);
}

/// In every field that finds parts of texts.
#[actix_web::test]
async fn a_text_that_is_too_long_to_be_found_is_said() {
    let scene = Scene::new().await;
    scene.tenant("Alpha", "1.00").await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    // An engine has an own limit for patterns, above which it fails.
    for length in [1_025, 60_000] {
        let text = "a".repeat(length);
        for page in ["/search?q=", "/tenants?q=", "/keys?q=", "/top-ups?reference=", "/ledger?reference="] {
            browser.languages = "en";
            browser.get(&format!("{page}{text}")).await.is(200).says("too long to be found: at most 1024 bytes");
            browser.languages = "zh";
            browser.get(&format!("{page}{text}")).await.is(200).says("最多 1024 字节");
        }
        browser.languages = "en";
        let file = browser.get(&format!("/ledger.csv?reference={text}")).await;
        file.is(422).says("too long to be found: at most 1024 bytes");
    }
    for page in ["/search?q=", "/tenants?q=", "/keys?q=", "/top-ups?reference=", "/ledger?reference="] {
        browser.get(&format!("{page}{}", "a".repeat(1_024))).await.is(200).hides("too long to be found");
    }
}
