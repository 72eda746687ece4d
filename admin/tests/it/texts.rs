//! Every page about tenants and their money, in both languages, and with names that try to be more than text.

use shared::blocked_users::{self, BlockError};
use shared::key::KeyPolicy;
use shared::staff::Role;

use crate::support::{Browser, HOSTILE, HOSTILE_AS_TEXT, Scene};

/// A scene in which everything has such a name, and the pages that show it.
async fn scene_of(name: &'static str) -> (Scene, Browser, Vec<String>) {
    let scene = Scene::new().await;
    let tenant = scene.customer(name).await;
    let models = Some(vec![name.replace(['=', ','], "")]);
    let key = scene.issues(tenant, KeyPolicy { name: name.to_owned(), models, ..KeyPolicy::default() }).await;
    let now = scene.workbench.clock.now();
    let blocked = scene.write(move |connection| {
        blocked_users::block(connection, tenant, name, name, now)?;
        Ok::<_, BlockError>(())
    });
    blocked.await.unwrap();
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get(&format!("/top-ups/new?tenant={tenant}")).await.is(200);
    let typed = [("amount", "5"), ("reference", name), ("note", name)];
    let asked = owner.submit(&form, "/top-ups/confirm", &typed).await.is(200);
    let asked = if name == HOSTILE { asked.shows(HOSTILE_AS_TEXT).hides("<script>alert") } else { asked };
    let booked = owner.submit(&asked, "/top-ups", &[]).await.is(303).header("location").unwrap().to_owned();
    let kept = scene.pays(tenant, "5", "kept").await;
    let reverse = format!("{booked}/reverse");
    let asked = owner.get(&reverse).await.is(200).shows(if name == HOSTILE { HOSTILE_AS_TEXT } else { name });
    owner.submit(&asked, &reverse, &[("reason", name)]).await.is(303);
    let page = owner.get(&format!("/tenants/{tenant}")).await;
    owner.submit(&page, &format!("/tenants/{tenant}/notes"), &[("note", name)]).await.is(303);
    let form = owner.get("/codes/new").await;
    let typed = [("name", name), ("value", "1"), ("count", "1"), ("expires", "9d")];
    owner.submit(&form, "/codes", &typed).await.is(200).hides("<script>alert");
    let pages = [
        "/tenants".to_owned(),
        "/tenants/new".to_owned(),
        format!("/tenants/{tenant}"),
        format!("/tenants/{tenant}/suspend"),
        format!("/tenants/{tenant}/resume"),
        "/keys".to_owned(),
        format!("/keys/new?tenant={tenant}"),
        format!("/keys/{key}"),
        format!("/keys/{key}/revoke"),
        format!("/keys/{key}/rotate"),
        "/top-ups".to_owned(),
        format!("/top-ups/new?tenant={tenant}"),
        booked,
        format!("/top-ups/{kept}/reverse"),
        "/codes".to_owned(),
        "/codes/new".to_owned(),
        "/codes/1".to_owned(),
        "/codes/1/revoke".to_owned(),
    ];
    (scene, owner, pages.into())
}

#[actix_web::test]
async fn every_page_is_there_in_both_languages() {
    let (_scene, mut owner, pages) = scene_of("acme").await;
    for path in pages {
        owner.languages = "en-US,en;q=0.9";
        let english = owner.get(&path).await.is(200).shows("<html lang=\"en\"");
        owner.languages = "zh-CN,zh;q=0.9";
        let chinese = owner.get(&path).await.is(200).shows("<html lang=\"zh-CN\"");
        for page in [&english, &chinese] {
            assert_eq!(page.body.matches("<h1>").count(), 1, "{path}");
            assert!(page.body.len() < 150_000, "{path}: {}", page.body.len());
            for inline in ["<script>", " style=", " onclick=", "javascript:"] {
                assert!(!page.body.contains(inline), "{path}: {inline}");
            }
        }
        let has_hanzi = |text: &str| text.chars().any(|character| ('\u{4e00}'..='\u{9fff}').contains(&character));
        let main = |body: &str| body.split_once("<main").unwrap().1.to_owned();
        assert!(!has_hanzi(&main(&english.body)), "{path}: {}", main(&english.body));
        assert!(has_hanzi(&main(&chinese.body)), "{path}");
    }
}

#[actix_web::test]
async fn names_and_notes_are_text() {
    let (scene, mut owner, pages) = scene_of(HOSTILE).await;
    for path in pages {
        let page = owner.get(&path).await.is(200).hides("<script>alert");
        if !["/tenants/new", "/codes/new"].contains(&path.as_str()) {
            page.shows(HOSTILE_AS_TEXT);
        }
    }
    // And in what is shown again.
    let query = serde_urlencoded::to_string([("q", HOSTILE), ("tenant", HOSTILE), ("reference", HOSTILE)]).unwrap();
    for path in ["/tenants", "/keys", "/top-ups"] {
        owner.get(&format!("{path}?{query}")).await.is(200).hides("<script>alert").shows("&#60;script&#62;");
    }
    for (path, action, field) in [
        ("/tenants/new", "/tenants", "name"),
        ("/keys/new", "/keys", "tenant_name"),
        ("/top-ups/new", "/top-ups/confirm", "amount"),
        ("/codes/new", "/codes", "name"),
    ] {
        let form = owner.get(path).await;
        owner.submit(&form, action, &[(field, HOSTILE)]).await.is(422).shows(HOSTILE_AS_TEXT).hides("<script>alert");
    }
    scene.books_are_right().await;
}
