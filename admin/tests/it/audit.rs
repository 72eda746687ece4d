//! The audit log as a page and as a file.

use serde_json::json;
use shared::audit_log::{self, Actor, Entry, Origin};
use shared::clock::{Clock, Timestamp};
use shared::db::DbError;
use shared::id::TenantId;
use shared::staff::Role;
use shared::tenant::{self, TenantError};

use crate::support::{HOSTILE, HOSTILE_AS_TEXT, Reply, Scene};

/// Entries of the command line, one after the other, each about a model of its number.
async fn entries(scene: &Scene, count: usize) {
    let now = scene.workbench.clock.now();
    let written = scene.write(move |connection| {
        for number in 0..count {
            let subject = &format!("model-{number}");
            let after = Some(json!({"prompt": number.to_string()}));
            let entry = Entry { action: "price.set", tenant: None, subject, before: None, after };
            audit_log::record(connection, &Origin::COMMAND_LINE, &entry, now)?;
        }
        Ok::<_, DbError>(())
    });
    written.await.unwrap();
}

#[actix_web::test]
async fn shows_who_did_what_and_what_changed() {
    let scene = Scene::new().await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    let key = "AAAAAAAAAAAA".parse().unwrap();
    let origin = Origin { actor: Actor::Key(key), address: Some("192.0.2.7".parse().unwrap()) };
    let now = scene.workbench.clock.now();
    let written = scene.write(move |connection| {
        let id = tenant::create(connection, HOSTILE, now)?.id;
        let before = Some(json!({"name": HOSTILE, "same": 1, "until": null}));
        let after = Some(json!({"name": "plain", "same": 1, "until": "2026"}));
        let entry = Entry { action: "key.rotate", tenant: Some(id), subject: "AAAAAAAAAAAA", before, after };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok::<TenantId, TenantError>(id)
    });
    let tenant = written.await.unwrap();
    let page = auditor.get("/audit").await.is(200).shows("AAAAAAAAAAAA").shows("192.0.2.7").shows("key.rotate");
    let page = page.shows(&format!("<del><bdi>{HOSTILE_AS_TEXT}</bdi></del> → <ins><bdi>plain</bdi></ins>"));
    let page = page.shows("until:</span> <ins><bdi>2026</bdi></ins>").hides("same:").hides("<script>alert");
    page.shows("href=\"/keys/AAAAAAAAAAAA\"").shows(&format!("href=\"/tenants/{tenant}\""));

    let name = serde_urlencoded::to_string([("tenant", HOSTILE)]).unwrap();
    for query in [format!("tenant={tenant}"), name, "action=key.".to_owned(), "actor=AAAAAAAAAAAA".to_owned()] {
        auditor.get(&format!("/audit?{query}")).await.is(200).shows("key.rotate").hides("staff.accept");
    }
    auditor.languages = "zh";
    auditor.get("/audit?subject=nobody").await.is(200).shows("没有记录");
    auditor.get("/audit").await.is(200).shows("轮换密钥").shows("接受邀请");
    auditor
        .get("/audit?tenant=nobody&from=yesterday")
        .await
        .is(200)
        .shows("没有该编号或名称的客户")
        .shows("不是日期")
        .shows("key.rotate");
}

#[actix_web::test]
async fn there_is_no_file_where_a_filter_cannot_be_read() {
    let scene = Scene::new().await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    let long = format!("action={}", "a".repeat(60_000));
    for (query, english, chinese) in [
        ("tenant=nobody", "No tenant has this id or name.", "没有该编号或名称的客户。"),
        ("tenant=c%00", "No tenant has this id or name.", "没有该编号或名称的客户。"),
        ("from=yesterday", "Not a day such as 2026-01-31.", "不是日期"),
        ("to=2026-02-30", "Not a day such as 2026-01-31.", "不是日期"),
        (&long, "too long to be found", "内容过长"),
        ("action=key.&action=staff.", "A filter could not be read", "有筛选条件无法识别"),
    ] {
        for (languages, words) in [("en", english), ("zh", chinese)] {
            auditor.languages = languages;
            auditor.get(&format!("/audit.csv?{query}")).await.is(422).says(words).hides("staff.accept");
            auditor.get(&format!("/audit?{query}")).await.is(200);
        }
    }
    // The same goes for all that is filtered and saved.
    auditor.languages = "en";
    for path in ["/usage.csv?model=a&model=b", "/usage.csv?by=day&by=model", "/ledger.csv?kind=top_up&kind=capture"] {
        auditor.get(path).await.is(422).says("A filter could not be read");
    }
}

#[actix_web::test]
async fn a_tenant_goes_by_its_id_before_its_name() {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get("/tenants/new").await.is(200);
    let made = owner.submit(&form, "/tenants", &[("name", "acme")]).await.is(303);
    let id = made.header("location").unwrap().strip_prefix("/tenants/").unwrap();
    owner.submit(&form, "/tenants", &[("name", id)]).await.is(303);
    for name in ["acme", id] {
        let file = owner.get(&format!("/audit.csv?tenant={name}")).await.is(200).shows(&format!(",{id},acme,"));
        assert_eq!(file.body.lines().count(), 2);
    }
    owner.get("/audit?actor=a%00&action=b%00&tenant=c%00&subject=d%00").await.is(200).shows("No tenant has this id");
    owner.get("/audit.csv?actor=a%00&tenant=c%00").await.is(422).says("No tenant has this id or name.");
    let none = owner.get("/audit.csv?actor=a%00&action=b%00&subject=d%00").await.is(200);
    assert_eq!(none.body.lines().count(), 1);
}

#[actix_web::test]
async fn goes_by_pages_and_days() {
    let clock = Clock::manual(Timestamp::from_rfc3339("2026-06-15T23:30:00+08:00").unwrap());
    let scene = Scene::at(clock.clone()).await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    entries(&scene, 60).await;
    let first =
        auditor.get("/audit?action=price.").await.is(200).shows("model-59").shows("model-10<").hides("model-9<");
    let older = first.page("next").unwrap();
    let second = auditor.get(&older).await.is(200).shows("model-9<").shows("model-0<").hides("model-10<");
    assert!(older.contains("action=price."), "{older}");
    second.shows("href=\"/audit?action=price.\"").hides("rel=\"next\"");
    let rows = |page: &Reply| {
        page.body.split("<tr id=\"").skip(1).map(|row| row.split('"').next().unwrap().to_owned()).collect()
    };
    assert_eq!(auditor.turn("/audit?action=price.", 2, rows).await.len(), 60);

    clock.advance(60 * 60_000);
    entries(&scene, 1).await;
    // The session is over by now.
    auditor.post("/sign-in", &[("email", "auditor@example.com"), ("password", crate::support::PASSWORD)]).await.is(303);
    auditor.get("/audit?action=price.&from=2026-06-16").await.is(200).shows("model-0<").hides("model-1<");
    auditor.get("/audit?action=price.&to=2026-06-15").await.is(200).shows("model-59");
    auditor.get("/audit?action=price.&from=2026-06-17").await.is(200).shows("No entries.");
}

#[actix_web::test]
async fn the_file_has_exactly_what_is_filtered() {
    let scene = Scene::new().await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    entries(&scene, 1_200).await;
    let now = scene.workbench.clock.now();
    let written = scene.write(move |connection| {
        let entry =
            Entry { action: "price.set", tenant: None, subject: "=cmd|'/c calc'!A0", before: None, after: None };
        audit_log::record(connection, &Origin::SERVICE, &entry, now)
    });
    written.await.map_err(|error: DbError| error).unwrap();
    auditor.get("/audit?action=price.").await.shows("href=\"/audit.csv?action=price.\"");
    let file = auditor.get("/audit.csv?action=price.").await.is(200);
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"audit.csv\""));
    let lines: Vec<_> = file.body.lines().collect();
    assert_eq!(lines.len(), 1_202);
    assert_eq!(lines[0], "id,at,actor,address,action,tenant,subject,before,after");
    assert!(lines[1].ends_with(",service,,price.set,,'=cmd|'/c calc'!A0,,"), "{}", lines[1]);
    assert!(lines[1_201].contains(",command line,,price.set,,model-0,,"), "{}", lines[1_201]);
    let all = auditor.get("/audit.csv").await.is(200);
    assert_eq!(all.body.lines().count(), 1_204, "and two of the person who reads it");
}
