//! Keys: issuing with every policy, revoking, rotating; and the secret, which is seen once.

use rstest::rstest;
use shared::key::{self, Console, KeyPolicy};
use shared::secret_key::KeyId;
use shared::staff::Role;

use crate::support::{Reply, Scene};

/// The secret on a page.
#[track_caller]
fn secret(page: &Reply) -> String {
    let secret = page.between("<code id=\"secret\">", "</code>");
    assert!(secret.starts_with("sk-xy") && secret.len() == 68, "{secret}");
    secret
}

#[actix_web::test]
async fn a_key_is_issued_with_every_policy() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let mut billing = scene.signed_in(Role::Billing).await;
    let form = billing.get(&format!("/keys/new?tenant={tenant}")).await.is(200).shows("<bdi>acme</bdi>");
    let typed = [
        ("name", "ci"),
        ("expires", "30d"),
        ("models", "gpt-4, m 2"),
        ("console", "tenant"),
        ("ips", "203.0.113.0/24，2001:db8::1"),
        ("rpm", "60"),
        ("tpm", "100000"),
        ("concurrency", "4"),
    ];
    let issued = billing.submit(&form, "/keys", &typed).await.is(200).shows("data-secret").shows("I have stored it");
    let issued = issued.shows("No channel serves this model at present:").shows("<code>m 2</code>");
    assert_eq!(issued.header("cache-control"), Some("no-store"));
    let secret = secret(&issued);
    let id: KeyId = secret[5..17].parse().unwrap();
    let found = scene.read(move |connection| key::find(connection, id)).await.unwrap();
    let KeyPolicy { name, models, console, expires_at, limits, .. } = found.key.policy.clone();
    assert_eq!((name.as_str(), console, found.key.tenant), ("ci", Console::Tenant, tenant));
    assert_eq!(models.unwrap(), ["gpt-4", "m 2"]);
    assert_eq!(found.key.policy.ips().unwrap(), ["203.0.113.0/24", "2001:db8::1/128"]);
    assert_eq!([limits.rpm, limits.tpm, limits.concurrency].map(|limit| limit.unwrap().get()), [60, 100_000, 4]);
    let days = expires_at.unwrap().since(scene.workbench.clock.now()) / 86_400_000;
    assert!((29..=30).contains(&days), "{days}");

    // It works, and its secret is in no other page and not in the audit log.
    let verified = scene.deployment.keyring.authenticate(&secret).await;
    assert!(verified.is_ok(), "{:?}", verified.err());
    let record = scene.records().await.remove(0);
    assert_eq!((record.action.as_str(), record.subject), ("key.issue", id.to_string()));
    let after = record.after.unwrap();
    assert_eq!((&after["rpm"], &after["console"]), (&60.into(), &"tenant".into()));
    assert!(!after.to_string().contains(&secret[17..]), "{after}");
    for path in ["/keys".to_owned(), format!("/keys/{id}"), format!("/tenants/{tenant}"), "/audit".to_owned()] {
        billing.get(&path).await.is(200).shows(id.as_str()).hides(&secret).hides(&secret[17..40]);
    }
    billing.get(&format!("/keys/{id}")).await.shows("203.0.113.0/24").shows("100000").shows("<code>m 2</code>");
}

#[actix_web::test]
async fn the_same_form_issues_one_key_and_shows_its_secret_once() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get(&format!("/keys/new?tenant={tenant}")).await;
    let first = owner.submit(&form, "/keys", &[("console", "key")]).await.is(200);
    let secret = secret(&first);
    for _ in 0..2 {
        let again = owner.submit(&form, "/keys", &[("console", "key")]).await.is(409);
        again.hides("sk-xy").hides(&secret[17..40]).hides("data-secret").shows("No second key was issued.");
    }
    assert_eq!(scene.read(move |connection| key::list(connection, tenant)).await.len(), 1);
    assert_eq!(scene.done().await, ["key.issue"]);
    assert!(scene.deployment.keyring.authenticate(&secret).await.is_ok(), "the first secret still works");

    // Sent twice at the same moment.
    let form = owner.get(&format!("/keys/new?tenant={tenant}")).await;
    let (mut one, mut other) = (owner.clone(), owner.clone());
    let typed = [("console", "key")];
    let (one, other) = futures_util::join!(one.submit(&form, "/keys", &typed), other.submit(&form, "/keys", &typed));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(scene.read(move |connection| key::list(connection, tenant)).await.len(), 2);
}

#[rstest]
#[case("name", &"n".repeat(201), "A name has at most 200 characters")]
#[case("name", "a\0b", "A name has at most 200 characters")]
#[case("expires", "soon", "Give a time from now")]
#[case("expires", "0m", "lies in the past")]
#[case("expires", "2020-01-01", "lies in the past")]
#[case("models", "a=b", "Give names of models")]
#[case("console", "all", "Choose one of the three.")]
#[case("ips", "10.0.0.1, example.com", "Give addresses such as")]
#[case("rpm", "0", "from 1 to 1000000000")]
#[case("tpm", "1e3", "from 1 to 1000000000")]
#[case("concurrency", "100001", "from 1 to 100000")]
#[case("tenant_name", "nobody", "No tenant has this name.")]
#[case("tenant_name", "1001", "No tenant has this name.")]
#[case("tenant_name", "a\0b", "No tenant has this name.")]
#[actix_web::test]
async fn wrong_input_is_shown_again(#[case] field: &str, #[case] value: &str, #[case] words: &str) {
    let scene = Scene::new().await;
    scene.customer("acme").await;
    let mut owner = scene.signed_in(Role::Owner).await;
    let form = owner.get("/keys/new").await.is(200);
    let typed = [("tenant_name", "acme"), ("console", "key"), ("name", "kept")];
    let typed: Vec<_> = typed.into_iter().filter(|(name, _)| *name != field).chain([(field, value)]).collect();
    let again = owner.submit(&form, "/keys", &typed).await.is(422);
    let again = again.shows(words).shows(&format!("aria-describedby=\"{field}-error\"")).hides("sk-xy");
    if field != "name" {
        again.shows("value=\"kept\"");
    }
    owner.languages = "zh";
    owner.submit(&form, "/keys", &typed).await.is(422).hides(words).shows("aria-invalid=\"true\"");
    assert!(scene.done().await.is_empty());
}

#[actix_web::test]
async fn a_form_without_its_id_issues_nothing() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await.to_string();
    let mut owner = scene.signed_in(Role::Owner).await;
    let token = shared::csrf::token(owner.cookie("xiaoyi_panel").unwrap());
    for once in ["", "x", "<script>12345", "sk-xyAAAAAAA"] {
        let fields = [("csrf", token.as_str()), ("once", once), ("tenant", &tenant), ("console", "key")];
        owner.post("/keys", &fields).await.is(422).shows("No key was issued.");
    }
    assert!(scene.done().await.is_empty());
}

#[actix_web::test]
async fn revoking_asks_first_and_is_final() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let id = scene.issues(tenant, KeyPolicy::default()).await;
    let mut support = scene.signed_in(Role::Support).await;
    let page = support.get(&format!("/keys/{id}")).await.is(200).hides(&format!("/keys/{id}/rotate"));
    let revoke = format!("/keys/{id}/revoke");
    let asked = support.get(&page.between("<a class=\"button\" href=\"", "\"")).await.is(200);
    let asked = asked.shows("It is final").shows("Within a second");
    assert!(scene.done().await.is_empty());
    for _ in 0..2 {
        support.submit(&asked, &revoke, &[]).await.leads_to(&format!("/keys/{id}"));
    }
    support.get(&format!("/keys/{id}")).await.shows("revoked").hides(&revoke);
    support.get(&revoke).await.is(200).shows("revoked already");
    assert_eq!(scene.done().await, ["key.revoke"]);
    let record = scene.records().await.remove(0);
    assert_eq!(record.before.unwrap()["revoked_at"], serde_json::Value::Null);
    assert!(record.after.unwrap()["revoked_at"].is_string());
    support.get("/keys/AAAAAAAAAAAA").await.is(404);
    support.get("/keys/nonsense/revoke").await.is(404);
}

#[actix_web::test]
async fn a_key_is_rotated_once() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    let old = scene.issues(tenant, KeyPolicy { name: "ci".to_owned(), ..KeyPolicy::default() }).await;
    let mut billing = scene.signed_in(Role::Billing).await;
    let rotate = format!("/keys/{old}/rotate");
    let form = billing.get(&rotate).await.is(200).shows("value=\"24h\"");
    for grace in ["", "soon", "-1h", "1.5h"] {
        let again = billing.submit(&form, &rotate, &[("grace", grace)]).await.is(422);
        again.shows("Give a length of time").shows("aria-describedby=\"grace-error\"");
    }
    let rotated = billing.submit(&form, &rotate, &[("grace", "90m")]).await.is(200).shows("which works until");
    let secret = secret(&rotated);
    let again = billing.submit(&form, &rotate, &[("grace", "90m")]).await.is(409);
    again.hides("sk-xy").shows("No second key was issued.");
    let keys = scene.read(move |connection| key::list(connection, tenant)).await;
    assert_eq!(keys.len(), 2);
    let new: KeyId = secret[5..17].parse().unwrap();
    let (old_key, new_key) =
        (keys.iter().find(|key| key.id == old).unwrap(), keys.iter().find(|key| key.id == new).unwrap());
    assert_eq!((&new_key.policy, new_key.grace_until), (&old_key.policy, None));
    let grace_ms = old_key.grace_until.unwrap().since(scene.workbench.clock.now());
    assert!((5_000_000..=5_400_000).contains(&grace_ms), "{grace_ms}");
    billing.get(&format!("/keys/{old}")).await.shows("rotated, works").hides(&secret[17..40]);
    billing.get("/keys?state=active").await.shows(old.as_str()).shows(new.as_str());
    assert_eq!(scene.done().await, ["key.rotate"]);

    // One that has ended cannot be rotated, also where the form is older than that.
    let form = billing.get(&rotate).await.is(200);
    let asked = billing.get(&format!("/keys/{old}/revoke")).await;
    billing.submit(&asked, &format!("/keys/{old}/revoke"), &[]).await.is(303);
    billing.submit(&form, &rotate, &[("grace", "1h")]).await.is(422).shows("cannot be rotated").hides("sk-xy");
    billing.get(&rotate).await.is(200).shows("cannot be rotated");
    assert_eq!(scene.read(move |connection| key::list(connection, tenant)).await.len(), 2);
}

#[actix_web::test]
async fn lists_are_filtered() {
    let scene = Scene::new().await;
    let (one, other) = (scene.customer("one").await, scene.customer("other").await);
    let named = |name: &str| KeyPolicy { name: name.to_owned(), ..KeyPolicy::default() };
    let (first, second) = (scene.issues(one, named("first")).await, scene.issues(other, named("second")).await);
    let mut auditor = scene.signed_in(Role::Auditor).await;
    auditor.get("/keys").await.is(200).shows("first").shows("second").shows("never").hides("/keys/new");
    for tenant in [one.to_string(), "one".to_owned()] {
        auditor.get(&format!("/keys?tenant={tenant}")).await.shows(first.as_str()).hides(second.as_str());
    }
    auditor.get("/keys?q=SECO").await.shows(second.as_str()).hides(first.as_str());
    auditor.get(&format!("/keys?q={first}")).await.shows(first.as_str()).hides(second.as_str());
    auditor.get("/keys?state=revoked").await.shows("No key fits.");
    auditor
        .get("/keys?tenant=acme%00&state=odd&older=x")
        .await
        .is(200)
        .shows("No tenant has this name or id")
        .shows("first");
}

#[actix_web::test]
async fn a_list_goes_to_and_fro() {
    let scene = Scene::new().await;
    let tenant = scene.customer("acme").await;
    for _ in 0..101 {
        scene.issues(tenant, KeyPolicy::default()).await;
    }
    scene.issues(scene.customer("other").await, KeyPolicy::default()).await;
    let mut auditor = scene.signed_in(Role::Auditor).await;
    assert_eq!(auditor.turn("/keys?tenant=acme&state=active", 3, |page| page.links("/keys/")).await.len(), 101);
}
