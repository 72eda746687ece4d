//! One's own settings: password, codes, language and colours.

use shared::clock::{Clock, Timestamp};
use shared::staff::Role;

use crate::support::{Browser, PASSWORD, Reply, Scene};

const NEW_PASSWORD: &str = "another long password";

/// The six digits that an authenticator shows.
fn code(secret: &str, clock: &Clock) -> String {
    testkit::authenticator_code(secret, clock.now().0)
}

async fn sign_in(browser: &mut Browser, password: &str) -> Reply {
    browser.post("/sign-in", &[("email", "owner@example.com"), ("password", password), ("next", "/models")]).await
}

/// Sets an authenticator up, and gives its secret and the page with the recovery codes.
async fn set_up(browser: &mut Browser, clock: &Clock) -> (String, Reply) {
    let settings = browser.get("/settings").await.is(200);
    let page = browser.submit(&settings, "/settings/totp", &[]).await.is(200);
    let secret = page.between("Or type: <code>", "</code>");
    let page = page.shows("<svg class=\"qr\"").shows("otpauth://totp/xiaoyi:owner%40example.com");
    // Whoever found an open session turns nothing on without the password.
    for password in ["", "wrong"] {
        let typed = [("code", code(&secret, clock)), ("password", password.to_owned())];
        let typed = typed.each_ref().map(|(name, value)| (*name, value.as_str()));
        browser.submit(&page, "/settings/totp", &typed).await.is(422).shows("This is not your password");
    }
    let wrong = [("code", "000"), ("password", PASSWORD)];
    let page = browser.submit(&page, "/settings/totp", &wrong).await.is(422).shows("This code is wrong");
    assert_eq!(page.between("Or type: <code>", "</code>"), secret, "the same until it is confirmed");
    let right = [("code", code(&secret, clock)), ("password", PASSWORD.to_owned())];
    let right = right.each_ref().map(|(name, value)| (*name, value.as_str()));
    let done = browser.submit(&page, "/settings/totp", &right).await.is(200);
    (secret, done)
}

#[actix_web::test]
async fn a_new_password_ends_the_other_sessions() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Owner).await;
    let mut elsewhere = scene.browser();
    sign_in(&mut elsewhere, PASSWORD).await.leads_to("/models");
    let page = browser.get("/settings").await.is(200).shows("127.0.0.1");
    let typed = |old, new, again| [("old", old), ("new", new), ("again", again)];
    let wrong = [
        (typed("wrong", NEW_PASSWORD, NEW_PASSWORD), "not your present password"),
        (typed(PASSWORD, "short", "short"), "At least 12 characters"),
        (typed(PASSWORD, NEW_PASSWORD, "other"), "not the same"),
        (typed(PASSWORD, "owner@example.com", "owner@example.com"), "first thing that anybody tries"),
    ];
    for (typed, words) in wrong {
        browser.submit(&page, "/settings/password", &typed).await.is(422).shows(words).hides(NEW_PASSWORD);
    }
    elsewhere.get("/models").await.is(200);
    let done = browser.submit(&page, "/settings/password", &typed(PASSWORD, NEW_PASSWORD, NEW_PASSWORD)).await;
    done.leads_to("/settings?done=password");
    browser.get("/settings?done=password").await.is(200).shows("The password is changed.");
    elsewhere.get("/models").await.is(303);
    assert_eq!(scene.actions().await[0], "staff.password owner@example.com");
    sign_in(&mut elsewhere, PASSWORD).await.is(422);
    sign_in(&mut elsewhere, NEW_PASSWORD).await.leads_to("/models");
}

#[actix_web::test]
async fn codes_are_asked_for_once_they_are_confirmed() {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let scene = Scene::at(clock.clone()).await;
    let mut browser = scene.signed_in(Role::Owner).await;
    let (secret, done) = set_up(&mut browser, &clock).await;
    let done = done.shows("Codes are on");
    let recovery: Vec<String> = done.body.split("<li><code>").skip(1).map(|rest| rest[..19].to_owned()).collect();
    assert_eq!(recovery.len(), 10);
    browser.get("/settings").await.shows("Recovery codes left: 10").hides(&recovery[0]);
    let token = shared::csrf::token(browser.cookie("xiaoyi_panel").unwrap());
    let again = [("csrf", token.as_str()), ("code", &code(&secret, &clock)), ("password", PASSWORD)];
    browser.post("/settings/totp", &again).await.is(422).shows("not shown again").hides(&recovery[0]);

    // The password alone opens nothing.
    let mut other = scene.browser();
    sign_in(&mut other, PASSWORD).await.leads_to("/sign-in/code?next=%2Fmodels");
    other.get("/models").await.is(303);
    let form = other.get("/sign-in/code?next=%2Fmodels").await.is(200);
    other.submit(&form, "/sign-in/code", &[("code", "123")]).await.is(422).shows("This code is wrong");
    // The one that turned codes on was used.
    other.submit(&form, "/sign-in/code", &[("code", &code(&secret, &clock))]).await.is(422);
    clock.advance(30_000);
    let half_open = other.cookie("xiaoyi_panel").unwrap().to_owned();
    other.submit(&form, "/sign-in/code", &[("code", &code(&secret, &clock))]).await.leads_to("/models");
    assert_ne!(other.cookie("xiaoyi_panel"), Some(half_open.as_str()));
    other.get("/models").await.is(200);

    // A recovery code works once.
    let mut third = scene.browser();
    sign_in(&mut third, PASSWORD).await.is(303);
    let form = third.get("/sign-in/code").await.is(200);
    third.submit(&form, "/sign-in/code", &[("code", &recovery[0].to_uppercase())]).await.leads_to("/dashboard");
    third.get("/settings").await.shows("Recovery codes left: 9");
    let mut fourth = scene.browser();
    sign_in(&mut fourth, PASSWORD).await.is(303);
    let form = fourth.get("/sign-in/code").await.is(200);
    fourth.submit(&form, "/sign-in/code", &[("code", &recovery[0])]).await.is(422);
    assert_eq!(scene.actions().await[0], "staff.sign_in owner@example.com");

    // And off again.
    let page = browser.get("/settings").await;
    browser.submit(&page, "/settings/totp/off", &[("password", "wrong")]).await.is(422).shows("not your password");
    let off = browser.submit(&page, "/settings/totp/off", &[("password", PASSWORD)]).await;
    off.leads_to("/settings?done=totp-off");
    third.get("/settings").await.is(303);
    sign_in(&mut third, PASSWORD).await.leads_to("/models");
}

#[actix_web::test]
async fn wrong_codes_are_bounded_and_the_time_for_them_too() {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let scene = Scene::at(clock.clone()).await;
    let mut browser = scene.signed_in(Role::Owner).await;
    set_up(&mut browser, &clock).await.1.is(200);

    let mut late = scene.browser();
    sign_in(&mut late, PASSWORD).await.is(303);
    let form = late.get("/sign-in/code").await.is(200);
    clock.advance(5 * 60_000);
    late.submit(&form, "/sign-in/code", &[("code", "000000")]).await.is(422).shows("The time for the code is over");
    late.get("/sign-in/code?next=%2Fmodels").await.leads_to("/sign-in?next=%2Fmodels");

    let mut guesser = scene.browser();
    sign_in(&mut guesser, PASSWORD).await.is(303);
    let form = guesser.get("/sign-in/code").await.is(200);
    let mut last = None;
    for _ in 0..6 {
        last = Some(guesser.submit(&form, "/sign-in/code", &[("code", "no code")]).await);
    }
    let last = last.unwrap();
    assert!(last.status == 429 || last.body.contains("The time for the code is over"), "{}", last.body);
    guesser.get("/sign-in/code").await.is(303);
}

#[actix_web::test]
async fn the_panel_looks_as_its_person_wants() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get("/settings").await.is(200).shows("<html lang=\"en\">");
    browser.submit(&page, "/settings/language", &[("language", "zh")]).await.leads_to("/settings?done=language");
    browser.get("/settings").await.is(200).shows("<html lang=\"zh-CN\">").shows("个人设置");
    browser.submit(&page, "/settings/theme", &[("theme", "dark")]).await.leads_to("/settings?done=theme");
    browser.get("/dashboard").await.shows("data-theme=\"dark\"").shows("概览");
    assert_eq!(scene.actions().await[..2], ["staff.theme auditor@example.com", "staff.language auditor@example.com"]);
    browser.submit(&page, "/settings/theme", &[("theme", "pink")]).await.is(422);
    browser.submit(&page, "/settings/theme", &[("theme", "auto")]).await.is(303);
    browser.get("/dashboard").await.hides("data-theme");
}

/// Whatever fails, and wherever: also where no handler has asked who somebody is.
#[actix_web::test]
async fn what_fails_looks_as_its_person_wants_too() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in(Role::Auditor).await;
    let page = browser.get("/settings").await.is(200);
    browser.submit(&page, "/settings/language", &[("language", "zh")]).await.is(303);
    browser.submit(&page, "/settings/theme", &[("theme", "dark")]).await.is(303);
    assert_eq!(browser.languages, "en");
    let (dark, light) = ("<html lang=\"zh-CN\" data-theme=\"dark\">", "<html lang=\"en\">");
    for (path, status, words) in [
        ("/nothing", 404, "该地址没有内容。"),
        ("/channels/nothing", 404, "该地址没有内容。"),
        ("/sign-out", 405, "不能以这种方式访问该地址。"),
        ("/tenants/new", 403, "您的角色无权执行此操作。"),
        ("/usage.csv?from=yesterday", 422, "请输入日期"),
        ("/usage.csv?from=yesterday&lang=en", 422, "请输入日期"),
    ] {
        let reply = browser.get(path).await.is(status).shows(dark).says(words).says("请求编号").hides("Request id");
        assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{path}");
        let id = reply.header("x-request-id").unwrap().to_owned();
        reply.shows(&id);
    }
    // Before it is known who sends the form: another session's token, and another site's page.
    browser.post("/settings/theme", &[("csrf", "x")]).await.is(403).shows(dark).says("该表单属于另一个会话。");
    browser.post("/settings/theme", &[("theme", "pink")]).await.is(403).shows(dark);
    browser.submit(&page, "/settings/theme", &[("theme", "pink")]).await.is(422).shows(dark).says("没有该选项。");
    let mut foreign = browser.clone();
    foreign.origin = Some("https://evil.example".to_owned());
    foreign.submit(&page, "/settings/theme", &[]).await.is(403).shows(dark).says("该请求来自其他网站的页面。");

    // Nobody, and somebody whose session has ended, get what their browser asks for.
    scene.browser().get("/nothing").await.is(404).shows(light);
    let mut left = browser.clone();
    browser.submit(&page, "/sign-out", &[]).await.is(303);
    left.get("/nothing").await.is(404).shows(light).says("There is nothing at this address.");
}
