//! Keys in the console: who sees which, and rotating one.

use futures_util::future::{join, join_all};
use shared::audit_log::Actor;
use shared::key::{self, Console as Sees, KeyPolicy};
use shared::secret_key::KeyId;

use crate::support::console::{Console, HOME};
use crate::support::{Browser, HOSTILE, HOSTILE_AS_TEXT, Reply};

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
    again.says("was made before").says("the old key is not rotated again").shows(&once).hides(&secret[17..]);
    let list = browser.get("/console/keys").await.is(200);
    list.says("rotated").says("New secret lost?").hides(&secret[17..]);
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
async fn a_rotated_key_is_not_rotated_again() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let old = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&old).await;
    let path = format!("/console/keys/{}/rotate", old.id);
    let (first, second) = (browser.get(&path).await.is(200), browser.get(&path).await.is(200));
    browser.submit(&first, &path, &[("grace_hours", "24")]).await.is(200).says("This is the only time");
    let kept = || console.scene.read(move |connection| key::list(connection, tenant));
    let keys = kept().await;
    let ends_at = keys.iter().find(|key| key.id == old.id).unwrap().grace_until.unwrap().to_rfc3339();
    for reply in [
        browser.get(&path).await.is(200),
        browser.submit(&second, &path, &[("grace_hours", "720")]).await.is(422),
        browser.submit(&second, &path, &[("grace_hours", "x")]).await.is(422),
    ] {
        let reply = reply.says("Key not rotated").says("This key was rotated before").says("Nothing was changed");
        let reply = reply.says("whoever issued the old key gives you another").hides("name=\"grace_hours\"");
        assert_eq!(
            reply.body.matches(&ends_at[..16]).count(),
            2,
            "in the head and in the page: {ends_at}, {}",
            reply.body
        );
    }
    browser.languages = "zh";
    browser
        .submit(&second, &path, &[("grace_hours", "24")])
        .await
        .is(422)
        .says("该密钥此前已轮换")
        .says("没有任何更改");
    browser
        .submit(&first, &path, &[("grace_hours", "24")])
        .await
        .is(200)
        .says("旧密钥不能再次轮换")
        .hides("data-secret");
    assert_eq!(kept().await, keys);
    let records = console.scene.records().await;
    assert_eq!(records.iter().filter(|record| record.action == "key.rotate").count(), 1);
}

#[actix_web::test]
async fn a_lost_secret_is_replaced_by_another_key_for_the_whole_account() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let all = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    let old = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&all).await;
    let path = |key: &str| format!("/console/keys/{key}/rotate");
    let rotate = async |browser: &mut Browser, key: &str| {
        let page = browser.get(&path(key)).await.is(200);
        let made = browser.submit(&page, &path(key), &[("grace_hours", "24")]).await.is(200);
        (page, shown(&made)[5..17].to_owned())
    };
    let (form, next) = rotate(&mut browser, old.id.as_str()).await;
    // Back, and the same form again: what was lost is said, and where to get it anew.
    let lost = browser.submit(&form, &path(old.id.as_str()), &[("grace_hours", "24")]).await.is(200);
    lost.says("If nobody has stored it, rotate this new key").shows(&format!("href=\"{}\"", path(&next)));
    browser.get(&path(old.id.as_str())).await.is(200).says("rotate the new key: it is in the list");
    rotate(&mut browser, &next).await;

    // With its own key rotated, the session rotates nothing more: not that key's successor, and no other key.
    let third = console.issue(tenant, KeyPolicy::default()).await;
    let forms = [third.id.as_str(), all.id.as_str()].map(path);
    let opened = [browser.get(&forms[0]).await.is(200), browser.get(&forms[1]).await.is(200)];
    let (_, successor) = rotate(&mut browser, all.id.as_str()).await;
    let kept = || console.scene.read(move |connection| key::list(connection, tenant));
    let keys = kept().await;
    for (page, path) in opened.iter().zip(&forms) {
        let reply = browser.submit(page, path, &[("grace_hours", "24")]).await.is(422);
        reply.says("Key not rotated").says("can rotate the new key").hides("data-secret");
    }
    let reply = browser.get(&path(&successor)).await.is(200);
    reply.says("The key of this session was rotated").says("rotates no other key either").hides("name=\"grace_hours\"");
    let hidden = opened[0].hidden(&forms[0]);
    let once = KeyId::generate().unwrap();
    let hidden: Vec<_> = hidden
        .into_iter()
        .map(|(name, value)| if name == "once" { (name, once.to_string()) } else { (name, value) })
        .collect();
    browser.submit_to(&path(&successor), hidden, &[("grace_hours", "24")]).await.is(422).says("Key not rotated");
    let list = browser.get("/console/keys").await.is(200);
    list.hides(&format!("href=\"{}\"", path(&successor))).hides(&format!("href=\"{}\"", forms[0]));
    assert_eq!(kept().await, keys);
}

#[actix_web::test]
async fn of_many_forms_for_one_key_at_the_same_moment_one_rotates_it() {
    let mut console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let old = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&old).await;
    let path = format!("/console/keys/{}/rotate", old.id);
    let mut forms = Vec::new();
    for number in 0..6 {
        let page = browser.get(&path).await.is(200);
        forms.push((if number % 2 == 0 { browser.clone() } else { browser.at(console.another()) }, page));
    }
    let sending = forms.iter_mut().map(|(browser, page)| browser.submit(page, &path, &[("grace_hours", "24")]));
    let replies = join_all(sending).await;
    for reply in &replies {
        let words = if reply.status == 200 { "This is the only time" } else { "This key was rotated before" };
        assert!(reply.body.contains(words), "{}", reply.body);
    }
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(console.scene.read(move |connection| key::list(connection, tenant)).await.len(), 2);
}

#[actix_web::test]
async fn there_are_so_many_new_secrets_in_a_day() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let all = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    let mut browser = console.signed_in(&all).await;
    let (mut second, typed) = (browser.clone(), [("grace_hours", "24")]);
    let mut forms = Vec::new();
    for _ in 0..11 {
        let key = console.issue(tenant, KeyPolicy::default()).await;
        let path = format!("/console/keys/{}/rotate", key.id);
        let (page, other) = (browser.get(&path).await.is(200), browser.get(&path).await.is(200));
        forms.push((path, page, other));
    }
    let (late, in_time) = forms.split_last().unwrap();
    for (path, page, other) in in_time {
        browser.submit(page, path, &[]).await.is(422);
        // Neither a double click, nor going back, nor what is refused is another new secret.
        let (one, two) = join(browser.submit(page, path, &typed), second.submit(page, path, &typed)).await;
        assert_eq!((one.status, two.status), (200, 200));
        browser.submit(page, path, &typed).await.is(200).says("was made before");
        browser.submit(other, path, &typed).await.is(422).says("was rotated before");
    }
    let (path, page, _) = late;
    let reply = browser.submit(page, path, &typed).await.is(429).says("Nothing was changed");
    assert!(reply.header("retry-after").is_some());
    let (path, page, _) = &in_time[9];
    browser.submit(page, path, &typed).await.is(200).says("was made before");
    assert_eq!(console.scene.read(move |connection| key::list(connection, tenant)).await.len(), 22);
}

#[actix_web::test]
async fn the_list_goes_to_and_fro() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let all = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    for _ in 0..110 {
        console.scene.issues(tenant, KeyPolicy::default()).await;
    }
    let mut browser = console.signed_in(&all).await;
    let keys = |page: &Reply| {
        let rows = page.body.split("<th scope=\"row\"><span class=\"id\"><code title=\"").skip(1);
        rows.map(|row| row.split('"').next().unwrap().to_owned()).collect()
    };
    assert_eq!(browser.turn("/console/keys", 3, keys).await.len(), 111);
    // Whose session sees one key has one page.
    let own = console.issue(tenant, KeyPolicy::default()).await;
    console.signed_in(&own).await.get("/console/keys").await.is(200).hides("class=\"pager\"");
}
