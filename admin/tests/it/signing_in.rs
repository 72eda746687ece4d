//! Invitations, signing in and out, codes, and the end of a session.

use shared::clock::{Clock, Timestamp};
use shared::staff::Role;

use crate::support::{Browser, PASSWORD, Reply, Scene};

const MINUTE_MS: i64 = 60_000;

fn clock() -> Clock {
    Clock::manual(Timestamp(1_800_000_000_000))
}

async fn sign_in(browser: &mut Browser, email: &str, password: &str) -> Reply {
    browser.post("/sign-in", &[("email", email), ("password", password)]).await
}

#[actix_web::test]
async fn the_first_owner_comes_by_a_link_that_works_once() {
    let scene = Scene::new().await;
    let path = &format!("/invitation/{}", scene.first_invitation().await);
    let mut browser = scene.browser();
    for _ in 0..3 {
        browser.get(path).await.is(200).shows("Become the owner").hides("first@example.com");
    }
    assert_eq!(scene.actions().await, [""; 0], "to look at it changes nothing");

    let fields = |email, password, again| [("email", email), ("password", password), ("again", again)];
    browser.post(path, &fields("nobody", PASSWORD, PASSWORD)).await.is(422).shows("Give an e-mail address");
    browser.post(path, &fields("a@b.c", "short", "short")).await.is(422).shows("At least 12 characters");
    browser
        .post(path, &fields("a@b.c", PASSWORD, "other"))
        .await
        .is(422)
        .shows("not the same")
        .shows("value=\"a@b.c\"");
    browser.post(path, &fields("a@b.c ", "a@b.c-a@b.c-a", "a@b.c-a@b.c-a")).await.leads_to("/dashboard");
    browser.get("/dashboard").await.is(200).shows("a@b.c");
    assert_eq!(scene.actions().await, ["staff.accept a@b.c"]);

    let mut other = scene.browser();
    other.get(path).await.is(410).shows("This invitation is over");
    other.post(path, &fields("b@b.c", PASSWORD, PASSWORD)).await.is(410);
    other.get("/dashboard").await.leads_to("/sign-in?next=%2Fdashboard");
}

#[actix_web::test]
async fn an_invitation_lasts_an_hour_and_names_its_person() {
    let clock = clock();
    let scene = Scene::at(clock.clone()).await;
    let token = scene.invitation("eve@example.com", Role::Support).await;
    let path = &format!("/invitation/{token}");
    let mut browser = scene.browser();
    browser.get(path).await.is(200).shows("eve@example.com").hides("name=\"email\"");
    clock.advance(60 * MINUTE_MS);
    browser.get(path).await.is(410);

    let token = scene.invitation("eve@example.com", Role::Support).await;
    let mut eve = scene.accept(&token).await;
    eve.get("/settings").await.is(200).shows("eve@example.com").shows("support");
}

/// Anybody may send it, so it may not be as long as other forms.
#[actix_web::test]
async fn a_form_of_somebody_unknown_is_short() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    let fields = |next| [("email", "a@b.c"), ("password", PASSWORD), ("next", next)];
    let (long, longer) = ("a".repeat(16_000), "a".repeat(16 * 1024));
    browser.post("/sign-in", &fields(&long)).await.is(422).hides("a form has at most");
    browser.post("/sign-in", &fields(&longer)).await.is(400).shows("a form has at most 16 KiB");
}

#[actix_web::test]
async fn a_password_opens_the_page_that_was_wanted() {
    let scene = Scene::new().await;
    scene.signed_in(Role::Owner).await;
    let mut browser = scene.browser();
    let page = browser.get("/channels?x=1").await.leads_to("/sign-in?next=%2Fchannels%3Fx%3D1");
    let form = browser.get(page.header("location").unwrap()).await.is(200);
    let typed = [("email", " Owner@Example.com "), ("password", PASSWORD)];
    let reply = browser.submit(&form, "/sign-in", &typed).await.leads_to("/channels?x=1");
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
    browser.get("/channels?x=1").await.is(200);
    assert_eq!(scene.actions().await[0], "staff.sign_in owner@example.com");

    for elsewhere in
        ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/sign-in", ""]
    {
        let fields = [("email", "owner@example.com"), ("password", PASSWORD), ("next", elsewhere)];
        scene.browser().post("/sign-in", &fields).await.leads_to("/dashboard");
    }
}

#[actix_web::test]
async fn nobody_learns_who_has_an_account() {
    let scene = Scene::new().await;
    scene.signed_in(Role::Owner).await;
    scene.invitation("invited@example.com", Role::Auditor).await;
    let mut pages = Vec::new();
    for email in ["owner@example.com", "invited@example.com", "unknown@example.com", "no address"] {
        let reply = sign_in(&mut scene.browser(), email, "not the password").await;
        let reply = reply.is(422).shows("The e-mail address or the password is wrong.");
        assert_eq!(reply.header("set-cookie"), None);
        pages.push(reply.body.replace(email, "EMAIL"));
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:?}");
    let mut browser = scene.browser();
    browser.languages = "zh-CN";
    sign_in(&mut browser, "owner@example.com", "x").await.is(422).shows("邮箱地址或密码错误");
}

#[actix_web::test]
async fn guessing_is_slowed_down_for_an_account_and_from_an_address() {
    let clock = clock();
    let scene = Scene::with(clock.clone(), &[("XIAOYI_TRUSTED_PROXIES", "127.0.0.1")]).await;
    scene.signed_in(Role::Owner).await;
    let mut waits = Vec::new();
    for (email, address) in [("owner@example.com", "192.0.2.1"), ("unknown@example.com", "192.0.2.2")] {
        let mut browser = scene.browser();
        browser.forwarded_for = Some(address.to_owned());
        for _ in 0..10 {
            sign_in(&mut browser, email, "wrong").await.is(422);
        }
        let refused = sign_in(&mut browser, email, PASSWORD).await.is(429).shows("Too many attempts");
        waits.push(refused.header("retry-after").unwrap().to_owned());
    }
    assert_eq!(waits[0], waits[1]);
    // Whoever knows an address does not keep its owner out.
    let mut owner = scene.browser();
    owner.forwarded_for = Some("192.0.2.100".to_owned());
    sign_in(&mut owner, "owner@example.com", PASSWORD).await.leads_to("/dashboard");
    clock.advance(waits[0].parse::<i64>().unwrap() * 1_000);
    owner.forwarded_for = Some("192.0.2.1".to_owned());
    sign_in(&mut owner, "owner@example.com", PASSWORD).await.leads_to("/dashboard");

    let mut browser = scene.browser();
    browser.forwarded_for = Some("198.51.100.7".to_owned());
    for attempt in 0..30 {
        sign_in(&mut browser, &format!("{attempt}@example.com"), "wrong").await.is(422);
    }
    sign_in(&mut browser, "owner@example.com", PASSWORD).await.is(429);
    browser.forwarded_for = Some("198.51.100.8".to_owned());
    sign_in(&mut browser, "owner@example.com", PASSWORD).await.leads_to("/dashboard");
}

#[actix_web::test]
async fn a_session_ends() {
    let clock = clock();
    let scene = Scene::at(clock.clone()).await;
    let mut browser = scene.signed_in(Role::Owner).await;
    let page = browser.get("/dashboard").await.is(200);
    let token = browser.cookie("xiaoyi_panel").unwrap().to_owned();
    browser.submit(&page, "/sign-out", &[]).await.leads_to("/sign-in");
    assert_eq!(browser.cookie("xiaoyi_panel"), None);
    assert_eq!(scene.actions().await[0], "staff.sign_out owner@example.com");
    let mut thief = scene.browser();
    thief.set_cookie("xiaoyi_panel", &token);
    thief.get("/dashboard").await.is(303);

    sign_in(&mut browser, "owner@example.com", PASSWORD).await.leads_to("/dashboard");
    clock.advance(14 * MINUTE_MS);
    let page = browser.get("/settings").await.is(200);
    scene.until_seen("owner@example.com").await;
    clock.advance(14 * MINUTE_MS);
    browser.get("/settings").await.is(200);
    scene.until_seen("owner@example.com").await;
    clock.advance(15 * MINUTE_MS);
    browser.get("/settings").await.leads_to("/sign-in?next=%2Fsettings");
    let late = browser.submit(&page, "/settings/theme", &[("theme", "dark")]).await.is(401);
    late.shows("Your session has ended.").shows("no money was moved");

    sign_in(&mut browser, "owner@example.com", PASSWORD).await.leads_to("/dashboard");
    for _ in 0..(12 * 6) {
        browser.get("/settings").await.is(200);
        scene.until_seen("owner@example.com").await;
        clock.advance(10 * MINUTE_MS);
    }
    browser.get("/settings").await.is(303);
}

#[actix_web::test]
async fn the_way_in_speaks_both_languages() {
    let scene = Scene::new().await;
    let mut browser = scene.browser();
    browser.get("/sign-in").await.is(200).shows("<html lang=\"en\">").shows("Sign in to the panel");
    let page = browser
        .get("/sign-in?next=%2Fmodels&lang=zh")
        .await
        .is(200)
        .shows("<html lang=\"zh-CN\">")
        .shows("登录管理面板");
    page.shows("?next=%2Fmodels&#38;lang=en");
    browser.get("/sign-in").await.shows("登录管理面板");
    browser.get("/invitation/none").await.is(410).shows("邀请已失效");
    browser.get("/sign-in?lang=en").await.shows("Sign in to the panel");
}
