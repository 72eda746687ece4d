//! Keys in the console: who sees which, and rotating one.

use futures_util::future::join;
use shared::audit_log::Actor;
use shared::key::{self, Console as Sees, KeyPolicy};
use shared::secret_key::KeyId;

use crate::support::console::{Console, HOME};
use crate::support::{HOSTILE, HOSTILE_AS_TEXT, Reply};

const DAY_MS: i64 = 86_400_000;

/// The secret that a page shows.
#[track_caller]
fn shown(page: &Reply) -> String {
    let text = page.body.split("sk-xy").nth(1).unwrap_or_else(|| panic!("no secret in {}", page.body));
    format!("sk-xy{}", &text[..63])
}

#[actix_web::test]
async fn a_session_sees_its_own_key_or_all_of_the_tenants() {
    let console = Console::new().await;
    let (acme, other) = (console.tenant("acme").await, console.tenant("other").await);
    let named = KeyPolicy { name: HOSTILE.to_owned(), models: Some(vec!["gpt-4".to_owned()]), ..KeyPolicy::default() };
    let one = console.issue(acme, named).await;
    let all = console.issue(acme, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    let foreign = console.issue(other, KeyPolicy::default()).await;
    for (key, seen) in [(&one, vec![one.id]), (&all, vec![one.id, all.id])] {
        let mut browser = console.signed_in(key).await;
        let page = browser.get("/console/keys").await.is(200).shows(HOSTILE_AS_TEXT).hides(HOSTILE);
        let own = browser.get(&format!("/console/keys/{}/rotate", key.id)).await.is(200);
        for id in [one.id, all.id, foreign.id] {
            assert_eq!(page.body.contains(id.as_str()), seen.contains(&id), "{id}");
            let path = format!("/console/keys/{id}/rotate");
            if seen.contains(&id) {
                browser.get(&path).await.is(200);
                continue;
            }
            browser.get(&path).await.is(404);
            let hidden = own.hidden(&format!("/console/keys/{}/rotate", key.id));
            browser.submit_to(&path, hidden, &[("grace_hours", "24")]).await.is(404);
        }
    }
    let kept = console.scene.read(move |connection| key::list(connection, other)).await;
    assert_eq!(kept.len(), 1);
}

#[actix_web::test]
async fn a_key_is_rotated_once_and_its_secret_shown_once() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let policy = KeyPolicy {
        name: "ci".to_owned(),
        models: Some(vec!["gpt-4".to_owned()]),
        networks: Some(vec!["203.0.113.0/24".parse().unwrap()]),
        ..KeyPolicy::default()
    };
    let old = console.issue(tenant, policy.clone()).await;
    let mut browser = console.signed_in(&old).await;
    let path = format!("/console/keys/{}/rotate", old.id);
    let page = browser.get(&path).await.is(200).says("Rotate key").says("gpt-4").says("203.0.113.0/24");
    let once = page.hidden(&path).into_iter().find(|(name, _)| name == "once").unwrap().1;
    for wrong in ["", "23", "-24", "721", "x", "99999999999999999999", HOSTILE] {
        let reply = browser.submit(&page, &path, &[("grace_hours", wrong)]).await;
        reply.is(422).says("24 to 720 hours").hides(HOSTILE);
    }

    let before = console.scene.workbench.clock.now();
    let reply = browser.submit(&page, &path, &[("grace_hours", "48")]).await.is(200);
    let secret = shown(&reply);
    reply.says("This is the only time").says("This session belongs to the old key").shows("data-secret");
    let id: KeyId = once.parse().unwrap();
    assert_eq!(console.scene.deployment.keyring.verify(&secret).await.unwrap().key, id);
    let find = |id| console.scene.read(move |connection| key::find(connection, id));
    let (new, kept) = (find(id).await.unwrap().key, find(old.id).await.unwrap().key);
    assert_eq!((new.policy, new.tenant), (policy, tenant));
    let grace = kept.grace_until.unwrap().since(before);
    assert!((2 * DAY_MS..2 * DAY_MS + 60_000).contains(&grace), "{grace}");

    // The same form again, as after going back.
    let again = browser.submit(&page, &path, &[("grace_hours", "48")]).await.is(200);
    again.says("was made before").shows(&once).hides(&secret[17..]);
    browser.get("/console/keys").await.is(200).says("rotated").hides(&secret[17..]);
    browser.get("/console").await.is(200).says("The key of this session was rotated");

    let records = console.scene.records().await;
    let entry = records.iter().find(|record| record.action == "key.rotate").unwrap();
    assert_eq!((entry.tenant, entry.subject.as_str()), (Some(tenant), old.id.as_str()));
    assert_eq!((&entry.origin.actor, entry.origin.address), (&Actor::Key(old.id), Some(HOME.parse().unwrap())));
    assert!(!format!("{records:?}").contains(&secret[17..60]));
}

#[actix_web::test]
async fn a_double_click_makes_one_key() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let all = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    let old = console.issue(tenant, KeyPolicy { console: Sees::None, ..KeyPolicy::default() }).await;
    let mut browser = console.signed_in(&all).await;
    let path = format!("/console/keys/{}/rotate", old.id);
    let page = browser.get(&path).await.is(200);
    let mut second = browser.clone();
    let typed = [("grace_hours", "24")];
    let (one, two) = join(browser.submit(&page, &path, &typed), second.submit(&page, &path, &typed)).await;
    let shown = [one.is(200), two.is(200)].map(|reply| reply.body.contains("data-secret"));
    assert!(shown[0] != shown[1], "one shows the secret");
    assert_eq!(console.scene.read(move |connection| key::list(connection, tenant)).await.len(), 3);
}

#[actix_web::test]
async fn an_id_that_is_taken_gives_nothing_away() {
    let console = Console::new().await;
    let (acme, other) = (console.tenant("acme").await, console.tenant("other").await);
    let (key, foreign) =
        (console.issue(acme, KeyPolicy::default()).await, console.issue(other, KeyPolicy::default()).await);
    let mut browser = console.signed_in(&key).await;
    let path = format!("/console/keys/{}/rotate", key.id);
    let page = browser.get(&path).await.is(200);
    for once in [foreign.id.as_str(), "", "x", HOSTILE] {
        let hidden = page.hidden(&path).into_iter().map(|(name, value)| {
            let value = if name == "once" { once.to_owned() } else { value };
            (name, value)
        });
        let reply = browser.submit_to(&path, hidden.collect(), &[("grace_hours", "24")]).await;
        reply.is(422).says("This form is out of date").says("Nothing was changed").hides("other").hides(HOSTILE);
    }
    let kept = console.scene.read(move |connection| key::find(connection, key.id)).await.unwrap();
    assert_eq!(kept.key.grace_until, None);
}

#[actix_web::test]
async fn there_are_so_many_new_secrets_in_a_day() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let path = format!("/console/keys/{}/rotate", key.id);
    for _ in 0..10 {
        let page = browser.get(&path).await.is(200);
        browser.submit(&page, &path, &[]).await.is(422);
        browser.submit(&page, &path, &[("grace_hours", "24")]).await.is(200);
    }
    let page = browser.get(&path).await.is(200);
    let reply = browser.submit(&page, &path, &[("grace_hours", "24")]).await.is(429).says("Nothing was changed");
    assert!(reply.header("retry-after").is_some());
    assert_eq!(console.scene.read(move |connection| key::list(connection, tenant)).await.len(), 11);
}
