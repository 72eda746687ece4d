//! Sessions of the console: how they begin, what they obey, and how they end.

use rstest::rstest;
use shared::clock::{Clock, Timestamp};
use shared::console_session::{self, IDLE_MS, LONGEST_MS};
use shared::db::Connection;
use shared::key::{self, Console as Sees, KeyError, KeyPolicy};
use shared::secret_key::KeyId;
use shared::tenant;
use shared::token::Token;

use crate::support::HOSTILE;
use crate::support::console::{Console, HOME, Issued};

const MINUTE_MS: i64 = 60_000;

fn noon() -> Clock {
    Clock::manual(Timestamp::from_rfc3339("2026-11-28T12:00:00Z").unwrap())
}

async fn suspend(console: &Console, since: Option<Timestamp>) {
    console.scene.write(move |connection| tenant::set_suspended(connection, "acme", since)).await.unwrap();
}

#[actix_web::test]
async fn the_secret_key_opens_a_session_and_stands_nowhere() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let secret = &key.secret[17..60];
    let mut browser = console.browser();
    let next = "/console/sign-in?next=%2Fconsole%2Fcalls%3Fmodel%3Da%2526b";
    browser.get("/console/calls?model=a%26b").await.leads_to(next);
    let page = browser.get(next).await.is(200);
    let typed = format!("  {}\n", key.secret);
    let reply = browser.submit(&page, "/console/sign-in", &[("secret_key", &typed)]).await;
    let reply = reply.leads_to("/console/calls?model=a%26b").hides(secret);
    let token = browser.cookie("xiaoyi_console").unwrap().to_owned();
    let cookie = format!("xiaoyi_console={token}; HttpOnly; SameSite=Strict; Path=/console");
    assert_eq!((reply.header("set-cookie"), token.len()), (Some(cookie.as_str()), 43));
    for path in ["", "/calls", "/usage", "/keys", "/samples", "/playground"] {
        browser.get(&format!("/console{path}")).await.is(200).hides(secret).hides(&token);
    }

    let page = browser.get("/console").await.is(200);
    browser.submit(&page, "/console/sign-out", &[]).await.leads_to("/console/sign-in");
    assert_eq!(browser.cookie("xiaoyi_console"), None);
    browser.set_cookie("xiaoyi_console", &token);
    browser.get("/console").await.leads_to("/console/sign-in?next=%2Fconsole");
}

#[actix_web::test]
async fn a_wrong_key_is_refused_in_words_and_never_repeated() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let none = console.issue(tenant, KeyPolicy { console: Sees::None, ..KeyPolicy::default() }).await;
    let revoked = console.issue(tenant, KeyPolicy::default()).await;
    console.revoke(revoked.id).await;
    let mut changed = revoked.secret.clone();
    changed.replace_range(30..31, if &changed[30..31] == "x" { "y" } else { "x" });
    let cases = [
        ("", 422, "This is not a Secret Key", "这不是有效的密钥"),
        (HOSTILE, 422, "This is not a Secret Key", "这不是有效的密钥"),
        (&changed, 422, "was not issued here", "不是由本服务签发"),
        (&revoked.secret, 422, "was revoked", "已被吊销"),
        (&none.secret, 403, "nobody can sign in with it", "不能用来登录"),
    ];
    for (secret, status, english, chinese) in cases {
        for (languages, words) in [("en", english), ("zh", chinese)] {
            let mut browser = console.browser();
            browser.languages = languages;
            let reply = browser.post("/console/sign-in", &[("secret_key", secret), ("next", HOSTILE)]).await;
            let reply = reply.is(status).says(words).hides("alert(1)");
            assert!(secret.is_empty() || !reply.body.contains(secret), "{reply:?}");
            assert_eq!(reply.header("set-cookie"), None);
        }
    }
}

#[actix_web::test]
async fn signing_in_is_throttled_by_address() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.browser();
    for _ in 0..30 {
        browser.post("/console/sign-in", &[("secret_key", "x")]).await.is(422);
    }
    let reply = browser.post("/console/sign-in", &[("secret_key", &key.secret)]).await.is(429);
    let reply = reply.says("too many attempts");
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    browser.forwarded_for = Some("203.0.113.10".to_owned());
    browser.post("/console/sign-in", &[("secret_key", &key.secret)]).await.leads_to("/console");
}

#[rstest]
#[case::used_all_the_time(29 * MINUTE_MS, LONGEST_MS)]
#[case::left_alone(IDLE_MS, IDLE_MS)]
#[actix_web::test]
async fn it_ends_by_itself(#[case] step_ms: i64, #[case] end_ms: i64) {
    let console = Console::at(noon()).await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let clock = &console.scene.workbench.clock;
    let mut passed = 0;
    while passed + step_ms < end_ms {
        clock.advance(step_ms);
        passed += step_ms;
        browser.get("/console/samples").await.is(200);
    }
    clock.advance(end_ms - passed);
    browser.get("/console/samples").await.leads_to("/console/sign-in?next=%2Fconsole%2Fsamples");
}

#[actix_web::test]
async fn it_ends_with_its_key() {
    let console = Console::at(noon()).await;
    let tenant = console.tenant("acme").await;
    let clock = &console.scene.workbench.clock;
    let now = clock.now();
    let expires_at = Some(now.plus_ms(10 * MINUTE_MS));
    let expiring = console.issue(tenant, KeyPolicy { expires_at, ..KeyPolicy::default() }).await;
    let [revoked, rotated]: [Issued; 2] =
        [console.issue(tenant, KeyPolicy::default()).await, console.issue(tenant, KeyPolicy::default()).await];
    let mut by_revoked = console.signed_in(&revoked).await;
    let (mut by_expiring, mut by_rotated) = (console.signed_in(&expiring).await, console.signed_in(&rotated).await);

    let form = by_revoked.get("/console/playground").await.is(200);
    console.revoke(revoked.id).await;
    let end = "/console/sign-in?next=%2Fconsole%2Fkeys&ended=revoked";
    by_revoked.get("/console/keys").await.leads_to(end);
    by_revoked.get(end).await.is(200).says("The Secret Key of your session was revoked.");
    let reply = by_revoked.submit(&form, "/console/playground", &[("text", "hi")]).await;
    reply.is(401).says("was revoked").says("Nothing was changed");

    let (old, until) = (rotated.id, now.plus_ms(10 * MINUTE_MS));
    let sealer = console.scene.workbench.sealer.clone();
    let rotating = console.scene.write(move |connection| {
        let (_, secret) = key::new_secret(connection, &sealer, KeyId::generate().unwrap()).unwrap();
        key::rotate(connection, old.as_str(), until, &secret, now)?;
        Ok::<_, KeyError>(())
    });
    rotating.await.unwrap();
    by_rotated.get("/console").await.is(200).says("The key of this session was rotated");
    clock.advance(10 * MINUTE_MS - 1);
    by_rotated.get("/console").await.is(200);
    by_expiring.get("/console").await.is(200);
    clock.advance(1);
    for browser in [&mut by_rotated, &mut by_expiring] {
        browser.get("/console").await.leads_to("/console/sign-in?next=%2Fconsole&ended=expired");
    }
}

#[actix_web::test]
async fn a_suspended_tenant_is_refused_and_may_come_back() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let mut browser = console.signed_in(&key).await;
    let form = browser.get("/console/playground").await.is(200);
    suspend(&console, Some(console.scene.workbench.clock.now())).await;
    browser.get("/console").await.is(403).says("This account is suspended");
    let reply = browser.submit(&form, "/console/playground", &[("text", "hi")]).await;
    reply.is(403).says("This account is suspended");
    let keyring = &console.scene.deployment.keyring;
    console.within("the change is seen", async || keyring.verify(&key.secret).await.is_err()).await;
    let reply = console.browser().post("/console/sign-in", &[("secret_key", &key.secret)]).await;
    reply.is(403).says("This account is suspended");
    suspend(&console, None).await;
    browser.get("/console").await.is(200);
}

#[actix_web::test]
async fn it_obeys_the_networks_of_its_key() {
    let console = Console::new().await;
    let tenant = console.tenant("acme").await;
    let networks = Some(vec!["203.0.113.0/24".parse().unwrap()]);
    let key = console.issue(tenant, KeyPolicy { networks, ..KeyPolicy::default() }).await;
    let mut browser = console.signed_in(&key).await;
    // What a client itself writes stands left of what the proxy does.
    for elsewhere in ["198.51.100.1", "203.0.113.9, 198.51.100.1"] {
        browser.forwarded_for = Some(elsewhere.to_owned());
        browser.get("/console").await.is(403).says("may not be used from your address").hides(elsewhere);
        let mut other = console.browser();
        other.forwarded_for = Some(elsewhere.to_owned());
        let reply = other.post("/console/sign-in", &[("secret_key", &key.secret)]).await;
        reply.is(403).says("may not be used from your address");
    }
    browser.forwarded_for = Some(HOME.to_owned());
    browser.get("/console").await.is(200);
}

#[actix_web::test]
async fn a_key_has_so_many_sessions_and_a_browser_one() {
    let console = Console::at(noon()).await;
    let tenant = console.tenant("acme").await;
    let key = console.issue(tenant, KeyPolicy::default()).await;
    let clock = &console.scene.workbench.clock;
    let mut first = console.signed_in(&key).await;
    let mut stale = first.clone();
    clock.advance(1);
    first.post("/console/sign-in", &[("secret_key", &key.secret)]).await.leads_to("/console");
    stale.get("/console").await.is(303);
    for _ in 0..19 {
        clock.advance(1);
        console.signed_in(&key).await;
    }
    first.get("/console").await.is(200);
    clock.advance(1);
    console.signed_in(&key).await;
    first.get("/console").await.is(303);
}

#[actix_web::test]
async fn what_counts_is_whether_the_session_is_open_when_a_form_has_arrived() {
    let clock = noon();
    let console = Console::at(clock.clone()).await;
    let tenant = console.tenant("acme").await;
    let leaked = console.issue(tenant, KeyPolicy { console: Sees::Tenant, ..KeyPolicy::default() }).await;
    let other = console.issue(tenant, KeyPolicy::default()).await;
    let (mut browser, action) = (console.signed_in(&leaked).await, format!("/console/keys/{}/rotate", other.id));
    let form = browser.get(&action).await.is(200);
    clock.advance(2 * MINUTE_MS);
    let begun = browser.begin(&action, &form.hidden(&action), &[("grace_hours", "24")]).await;
    // The use of a session is written down when its browser is let in.
    let hash = Token::parse(browser.cookie("xiaoyi_console").unwrap()).unwrap().hash();
    let (now, from) = (clock.now(), HOME.parse().ok());
    let is_let_in = move |connection: &mut Connection| {
        let session = console_session::find(connection, &hash, from, now)?.expect("an open session");
        Ok(!session.is_to_be_touched(now))
    };
    console.within("the session is let in", || console.scene.read(is_let_in)).await;
    console.revoke(leaked.id).await;
    begun.finish().await.is(401);
    let keys = console.scene.read(move |connection| key::list(connection, tenant)).await;
    assert_eq!(keys.len(), 2, "no key was made: {keys:?}");
}
