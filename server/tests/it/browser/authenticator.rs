//! Codes of an authenticator, as their owner meets them: turned on, asked for at the door, lost and replaced, turned off.

use rstest::rstest;
use shared::clock::Clock;
use testkit::{CODE_LASTS_MS, authenticator_code};

use super::chromium::{Chromium, ON_A_PHONE, Person, USUAL, WITHOUT_SCRIPTS};
use super::operator::PASSWORD;
use super::window::Window;
use crate::support::Server;

/// Whose codes they are.
const EMAIL: &str = "owner@example.com";
/// Where a code is typed, and the password.
const CODE: &str = "main [name=code]";
const OWN_PASSWORD: &str = "main form[action^='/settings/totp'] [name=password]";

/// The app on the owner's phone.
struct Authenticator {
    secret: String,
    /// The code that was taken last, by its number.
    used: i64,
}

impl Authenticator {
    /// The code that counts now. One that was taken counts no more, so the next one goes before its time, which is allowed.
    fn code(&self) -> (i64, String) {
        let now = Clock::default().now().0 / CODE_LASTS_MS;
        let number = now.max(self.used + 1);
        (number, authenticator_code(&self.secret, number * CODE_LASTS_MS))
    }
}

impl Window {
    /// Sets codes up and turns them on. Gives the app, the code that did it, and the recovery codes, on the page that shows these.
    async fn turn_codes_on(&self) -> (Authenticator, String, Vec<String>) {
        self.go("/settings").await;
        self.inspect().await;
        self.press("main form[action='/settings/totp'] button").await;
        self.inspect().await;
        let mut app = Authenticator { secret: self.read("[data-secret] code").await, used: 0 };
        // Whoever found the window open turns nothing on.
        self.confirm_codes(&app.code().1, "not the password").await;
        self.find("#password-error").await;
        self.inspect().await;
        self.confirm_codes("123", PASSWORD).await;
        self.find("#code-error").await;
        self.inspect().await;
        let (number, code) = app.code();
        self.confirm_codes(&code, PASSWORD).await;
        app.used = number;
        let mut recovery = Vec::new();
        for shown in self.find_all(".codes code").await {
            recovery.push(self.done("a recovery code", shown.text().await).await);
        }
        (app, code, recovery)
    }

    async fn confirm_codes(&self, code: &str, password: &str) {
        self.fill(CODE, code).await;
        self.fill(OWN_PASSWORD, password).await;
        self.send("code").await;
    }

    async fn enter_code(&self, code: &str) {
        self.fill(CODE, code).await;
        self.send("code").await;
    }

    /// With the right password and this code nobody gets in.
    async fn is_kept_out(&self, code: &str) {
        self.enter_code(code).await;
        self.find("#code-error").await;
        self.expect("the panel", self.has("nav.side").await, false).await;
        self.inspect().await;
    }

    /// With the right password and this one somebody does.
    async fn is_let_in(&self, code: &str) {
        self.enter_code(code).await;
        self.find("nav.side [aria-current=page]").await;
    }
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[case::on_a_phone(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn turned_on_asked_for_replaced_and_turned_off(#[case] person: Person) {
    let (server, chromium) = (Server::start(), Chromium::start());
    let root = server.address("admin", "");
    let window = chromium.window(person, &root).await;
    window.begin_as(&server, EMAIL, "owner").await;
    let elsewhere = chromium.window(person, &root).await;
    elsewhere.sign_in(EMAIL).await;
    // The first page would notice by itself.
    elsewhere.go("/keys").await;

    let (mut app, first, recovery) = window.turn_codes_on().await;
    assert_eq!(recovery.len(), 10);
    window.inspect().await;
    // That sends the form again.
    window.reload().await;
    let html = window.html().await;
    window.expect("recovery codes", recovery.iter().any(|code| html.contains(code.as_str())), false).await;
    window.inspect().await;
    window.open("/settings").await;
    window.see(person.say("Recovery codes left: 10", "剩余恢复码： 10")).await;
    window.inspect().await;
    elsewhere.go("/tenants").await;
    elsewhere.find("main [name=email]").await;

    // The password alone opens nothing, nor does a code that was used.
    window.sign_out().await;
    window.inspect().await;
    window.give_password(EMAIL).await;
    assert!(window.path().await.starts_with("/sign-in/code"));
    window.inspect().await;
    window.is_kept_out(&first).await;
    let (number, code) = app.code();
    window.is_let_in(&code).await;
    app.used = number;

    // Without the app: one recovery code for each time.
    window.sign_out().await;
    window.give_password(EMAIL).await;
    window.is_let_in(&recovery[0]).await;
    window.go("/settings").await;
    window.see(person.say("Recovery codes left: 9", "剩余恢复码： 9")).await;
    window.sign_out().await;
    window.give_password(EMAIL).await;
    window.is_kept_out(&recovery[0]).await;
    window.is_let_in(&recovery[1]).await;

    window.go("/settings").await;
    window.fill(OWN_PASSWORD, "not the password").await;
    window.press("main form[action='/settings/totp/off'] button").await;
    window.find("#password-error").await;
    window.inspect().await;
    window.fill(OWN_PASSWORD, PASSWORD).await;
    window.press("main form[action='/settings/totp/off'] button").await;
    window.see(person.say("Codes are off", "验证码已关闭")).await;
    window.inspect().await;
    window.sign_out().await;
    window.sign_in(EMAIL).await;
}
