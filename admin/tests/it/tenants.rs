//! Tenants: making, suspending and resuming them, notes on them, and their end users who are blocked.

use rstest::rstest;
use shared::blocked_users::{self, BlockError};
use shared::key::KeyPolicy;
use shared::refusal::Reason;
use shared::staff::Role;

use crate::support::Scene;

#[actix_web::test]
async fn a_tenant_is_made_once() {
    let scene = Scene::new().await;
    let mut billing = scene.signed_in(Role::Billing).await;
    billing.get("/tenants").await.is(200).shows("There is none yet.").shows("xiaoyi tenant create NAME");
    let form = billing.get("/tenants/new").await.is(200);
    billing.submit(&form, "/tenants", &[("name", " acme ")]).await.leads_to("/tenants/1001");
    let again = billing.submit(&form, "/tenants", &[("name", "acme")]).await.is(422);
    again.shows("A tenant of this name exists.").shows("href=\"/tenants/1001\"").shows("aria-invalid");
    billing.get("/tenants").await.shows("<bdi>acme</bdi>").shows("active");
    billing.get("/tenants/1001").await.is(200).shows("<bdi>acme</bdi>").shows("0.00");
    assert_eq!(scene.done().await, ["tenant.create"]);
    let record = scene.records().await.remove(0);
    assert_eq!((record.subject.as_str(), record.tenant.unwrap().0), ("acme", 1001));
    assert_eq!(record.origin.actor.to_string(), "billing@example.com");
    assert!(record.origin.address.is_some_and(|address| address.is_loopback()));
}

#[rstest]
#[case::empty("")]
#[case::only_space("  ")]
#[case::control("a\u{7}b")]
#[case::nul("a\0b")]
#[case::long(&"n".repeat(201))]
#[actix_web::test]
async fn a_name_that_cannot_be_is_shown_again(#[case] name: &str) {
    let scene = Scene::new().await;
    let mut owner = scene.signed_in(Role::Owner).await;
    owner.languages = "zh";
    let form = owner.get("/tenants/new").await.is(200);
    let again = owner.submit(&form, "/tenants", &[("name", name)]).await.is(422);
    again.shows("名称须为 1 至 200 个字符").shows("aria-describedby=\"name-error\"");
    assert!(scene.done().await.is_empty());
}

#[actix_web::test]
async fn lists_search_and_go_on() {
    let scene = Scene::new().await;
    for number in 0..52 {
        scene.customer(&format!("tenant-{number:02}")).await;
    }
    let mut auditor = scene.signed_in(Role::Auditor).await;
    let first = auditor.get("/tenants").await.is(200).shows("tenant-51").shows("tenant-02").hides("tenant-01");
    let first = first.hides("/tenants/new");
    let second = auditor.get(&first.page("next").unwrap()).await.is(200).shows("tenant-01").hides("tenant-02");
    second.shows(">Newest<").shows(">Newer<").hides(">Older<");
    assert_eq!(auditor.turn("/tenants", 2, |page| page.links("/tenants/")).await.len(), 52);
    auditor.languages = "zh";
    auditor.get(&first.page("next").unwrap()).await.is(200).shows(">较新<");
    auditor.languages = "en";
    auditor.get("/tenants?q=ANT-4").await.is(200).shows("tenant-49").hides("tenant-50");
    auditor.get("/tenants?q=%25").await.is(200).shows("No tenant fits.");
    auditor.get("/tenants?q=a%00b&older=x").await.is(200).shows("No tenant fits.");
    auditor.get("/tenants/999").await.is(404);
    auditor.get("/tenants/acme").await.is(404);
}

#[actix_web::test]
async fn suspending_asks_first_and_can_be_undone() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    scene.pays(tenant, "5", "r").await;
    scene.sets_aside(tenant, "2").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let suspend = format!("/tenants/{tenant}/suspend");
    let asked = owner.get(&suspend).await.is(200).shows("Calls that run already go on to their end").shows("2.00");
    assert!(scene.done().await.is_empty());
    for _ in 0..2 {
        owner.submit(&asked, &suspend, &[]).await.leads_to(&format!("/tenants/{tenant}"));
    }
    owner.get("/tenants").await.shows("suspended");
    let resume = format!("/tenants/{tenant}/resume");
    let asked = owner.get(&resume).await.is(200).shows("No money moves.");
    owner.submit(&asked, &resume, &[]).await.leads_to(&format!("/tenants/{tenant}"));
    owner.get(&format!("/tenants/{tenant}")).await.hides("suspended");
    assert_eq!(scene.done().await, ["tenant.resume", "tenant.suspend"], "what is suspended is not suspended again");
    assert_eq!(scene.posted(tenant).await, "5.00");
}

#[actix_web::test]
async fn notes_are_added_and_stay() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let mut support = scene.signed_in(Role::Support).await;
    let (own, notes) = (format!("/tenants/{tenant}"), format!("/tenants/{tenant}/notes"));
    let page = support.get(&own).await.is(200).shows("Nobody has written anything down yet.");
    for _ in 0..2 {
        support.submit(&page, &notes, &[("note", "calls back\r\non Monday")]).await.leads_to(&format!("{own}#notes"));
    }
    support.get(&own).await.shows("calls back\non Monday").shows("support@example.com");
    for (note, kept) in [("  ", "  "), ("a\u{1}b", "a\u{1}b"), (&*"n".repeat(2001), "nnn")] {
        let again = support.submit(&page, &notes, &[("note", note)]).await.is(422);
        again.shows("A note has 1 to 2000 characters.").shows(kept).shows("<bdi>acme</bdi>");
    }
    assert_eq!(scene.done().await, ["tenant.note"]);
    for number in 0..26 {
        support.submit(&page, &notes, &[("note", &format!("note-{number:02}"))]).await.is(303);
    }
    let first = support.get(&own).await.shows("note-25").shows("note-01").hides("note-00");
    let older = first.between(&format!("{own}?"), "\"");
    support.get(&format!("{own}?{older}")).await.is(200).shows("note-00").hides("note-01");

    // What was said before and is so again, or is said by somebody else.
    let written = scene.done().await.len();
    support.submit(&page, &notes, &[("note", "note-24")]).await.is(303);
    let mut owner = scene.signed_in(Role::Owner).await;
    let for_owner = owner.get(&own).await.is(200);
    owner.submit(&for_owner, &notes, &[("note", "note-24")]).await.is(303);
    support.submit(&page, &notes, &[("note", " note-24 ")]).await.is(303);
    assert_eq!(scene.done().await.len(), written + 2);

    let mut auditor = scene.signed_in(Role::Auditor).await;
    let page = auditor.get(&own).await.is(200).shows("note-25");
    for action in ["notes", "block-user"] {
        assert!(!page.offers(&format!("{own}/{action}")), "{action}");
    }
    page.hides("/suspend").hides("/top-ups/new").hides("/keys/new");
}

#[actix_web::test]
async fn end_users_are_blocked_by_any_name() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let strange = "two\nlines & \"quotes\" \u{202e}";
    let now = scene.workbench.clock.now();
    let blocked = scene.write(move |connection| {
        blocked_users::block(connection, tenant, strange, "command line", now)?;
        Ok::<_, BlockError>(())
    });
    blocked.await.unwrap();
    let mut support = scene.signed_in(Role::Support).await;
    let own = format!("/tenants/{tenant}");
    let (block, unblock) = (format!("{own}/block-user"), format!("{own}/unblock-user"));
    let page = support.get(&own).await.is(200).shows("command line");
    // Its name has an end of a line, which a browser would send as two characters.
    let named = page.rows().into_iter().find(|path| path.starts_with("/usage?tenant=")).unwrap();
    let filter: Vec<(String, String)> = serde_urlencoded::from_str(named.split_once('?').unwrap().1).unwrap();
    let expected = [("tenant", tenant.to_string()), ("user", strange.to_owned())];
    assert_eq!(filter, expected.map(|(name, value)| (name.to_owned(), value)));
    support.submit(&page, &unblock, &[]).await.leads_to(&format!("{own}#users"));
    assert!(scene.read(move |connection| blocked_users::find(connection, tenant, strange)).await.is_none());
    for _ in 0..2 {
        support.submit(&page, &block, &[("end_user", "u-1")]).await.leads_to(&format!("{own}#users"));
    }
    let listed = support.get(&own).await.shows("<bdi>u-1</bdi>").shows("support@example.com");
    // Their calls are one step away, from here and from the audit log.
    let key = scene.issues(tenant, KeyPolicy::default()).await;
    scene.pays(tenant, "5", "r").await;
    let (call, other) = (scene.fails(tenant, key, "u-1").await, scene.fails(tenant, key, "u-2").await);
    let named = listed.rows().into_iter().find(|path| path.ends_with("&user=u-1")).unwrap();
    let mut auditor = scene.signed_in(Role::Auditor).await;
    auditor.get("/audit?action=user.block").await.is(200).shows(&format!("href=\"{}\"", named.replace('&', "&#38;")));
    auditor.get(&named).await.is(200).shows(&format!("/calls/{call}")).hides(&format!("/calls/{other}"));
    let again = support.submit(&page, &block, &[("end_user", "")]).await.is(422);
    again.shows("An end user&#39;s name has 1 to 512 characters.").shows("aria-describedby=\"end_user-error\"");
    support.submit(&page, &unblock, &[]).await.is(303);
    assert_eq!(scene.done().await, ["user.block", "user.unblock"], "who is blocked is not blocked again");
}

#[actix_web::test]
async fn pages_show_recent_calls_and_refusals() {
    let scene = Scene::new().await;
    let (tenant, other) = (scene.customer("acme").await, scene.customer("other").await);
    scene.pays(tenant, "5", "r").await;
    scene.pays(other, "5", "r").await;
    let key = scene.issues(tenant, KeyPolicy::default()).await;
    let foreign = scene.issues(other, KeyPolicy::default()).await;
    let call = scene.fails(tenant, key, "u-1").await;
    let hidden = scene.fails(other, foreign, "u-2").await.to_string();
    let now = scene.workbench.clock.now();
    for _ in 0..3 {
        scene.deployment.calls.refused(tenant, key, "gpt-4", Reason::InsufficientQuota, now);
    }
    scene.deployment.calls.flush().await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    for path in [format!("/tenants/{tenant}"), format!("/keys/{key}")] {
        let page = auditor.get(&path).await.is(200).shows(&format!("href=\"/calls/{call}\"")).shows("no channel");
        page.shows("<bdi>u-1</bdi>").hides(&hidden).hides("u-2");
    }
    let page = auditor.get(&format!("/tenants/{tenant}")).await.shows("40200").shows("balance too low");
    page.shows("<td class=\"num\">3</td>");
}

#[actix_web::test]
async fn a_page_shows_what_a_tenant_has() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let key = scene.issues(tenant, KeyPolicy { name: "ci".to_owned(), ..KeyPolicy::default() }).await;
    let top_up = scene.pays(tenant, "7.50", "invoice-7").await;
    scene.sets_aside(tenant, "2.25").await;
    let mut billing = scene.signed_in(Role::Billing).await;
    let page = billing.get(&format!("/tenants/{tenant}")).await.is(200);
    let page = page.shows("7.50").shows("2.25").shows("5.25").shows("invoice-7").shows(&format!("/keys/{key}"));
    let page = page.shows(&format!("href=\"/top-ups/{top_up}\"")).shows(&format!("/top-ups/new?tenant={tenant}"));
    page.shows(&format!("href=\"/ledger?tenant={tenant}\"")).shows(&format!("href=\"/usage?tenant={tenant}\""));
}
