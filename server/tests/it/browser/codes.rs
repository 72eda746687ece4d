//! Redeem codes, from the operator who makes them to the developer who redeems one: shown once, worth something once.

use rstest::rstest;
use serde_json::Value;

use super::chromium::{Chromium, ON_A_PHONE, Person, USUAL, WITHOUT_SCRIPTS};
use super::developer::customer;
use super::window::Window;
use crate::support::{IssuedKey, Server};

/// The button that redeems a code, once its worth is shown.
const REDEEM: &str = "main form:has([name=confirmed]) button";
/// The codes, on the one page that shows them.
const CODES: &str = "return document.querySelector('[data-secret] textarea').value";

impl Window {
    /// From the panel's list of batches: makes one of 3.00 a code, up to its codes.
    pub(super) async fn make_codes(&self, name: &str, count: &str) -> Vec<String> {
        self.press(r#"main a[href="/codes/new"]"#).await;
        self.inspect().await;
        for (field, value) in [("name", name), ("value", "3.00"), ("count", "0"), ("expires", "90d")] {
            self.fill(&format!("main [name={field}]"), value).await;
        }
        self.send("count").await;
        // Nobody makes no codes at all.
        self.find("#count-error").await;
        self.inspect().await;
        self.fill("main [name=count]", count).await;
        self.send("count").await;
        let codes = self.evaluate(CODES).await;
        codes.as_str().unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// None of the codes is on the page, not folded away either.
    async fn hides_all(&self, codes: &[String]) {
        let html = self.html().await;
        for code in codes {
            self.expect("a code is shown again", html.contains(code.as_str()), false).await;
        }
    }

    /// In the console: asks what a code is worth.
    async fn ask_for_worth(&self, code: &str) {
        self.press(r#"nav a[href="/console/redeem"]"#).await;
        self.fill("main [name=code]", code).await;
        self.send("code").await;
        self.inspect().await;
    }

    /// The same for a code that is worth nothing: this is said, and there is nothing to redeem.
    async fn is_refused(&self, code: &str, words: &str) {
        self.ask_for_worth(code).await;
        let error = self.read("#code-error").await;
        self.expect("the reason", error.contains(words), true).await;
        self.expect("a way to redeem it", self.has(REDEEM).await, false).await;
    }
}

async fn posted(server: &Server, key: &IssuedKey) -> Value {
    server.get("/v1/balance", key).await.json["posted"].clone()
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[case::on_a_phone(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn they_are_shown_once_and_each_is_redeemed_once(#[case] person: Person) {
    let (server, key) = customer().await;
    let chromium = Chromium::start();
    let panel = chromium.window(person, &server.address("admin", "")).await;
    panel.begin_as(&server, "owner@example.com", "owner").await;
    panel.go("/codes").await;
    panel.inspect().await;
    let codes = panel.make_codes("spring", "2").await;
    assert_eq!(codes.len(), 2);
    panel.inspect().await;
    // That sends the form again: no second batch, and no codes.
    panel.reload().await;
    panel.hides_all(&codes).await;
    panel.see(person.say("None was made now", "本次没有生成")).await;
    panel.inspect().await;
    panel.press(r#"main form a[href^="/codes/"]"#).await;
    panel.hides_all(&codes).await;
    panel.see("0 / 2").await;
    panel.inspect().await;
    let batch = panel.path().await;
    panel.go("/codes").await;
    assert_eq!(panel.find_all("main tbody tr").await.len(), 1, "one batch");

    let console = chromium.window(person, &server.address("api", "")).await;
    console.sign_in_with(&key.secret).await;
    let wrong_end = if codes[0].ends_with('A') { "B" } else { "A" };
    let mistyped = format!("{}{wrong_end}", &codes[0][..codes[0].len() - 1]);
    console.is_refused(&mistyped, person.say("This is not a code of this service", "这不是本服务的兑换码")).await;
    console.is_refused(&codes[0][1..], person.say("28 letters and digits", "28 个字母和数字")).await;

    // What it is worth is shown before anything is booked.
    console.ask_for_worth(&codes[0]).await;
    for shown in ["acme", "3.00", "10.00", "13.00"] {
        console.see(shown).await;
    }
    assert_eq!(posted(&server, &key).await, "10.00");
    console.press(REDEEM).await;
    console.see(person.say("The code is redeemed", "兑换成功")).await;
    console.see("13.00").await;
    console.inspect().await;
    console.reload().await;
    console.see("13.00").await;
    console.is_refused(&codes[0], person.say("was redeemed before", "已被使用")).await;
    assert_eq!(posted(&server, &key).await, "13.00");

    // The other one was looked at before its batch was revoked, and sent after that.
    console.ask_for_worth(&codes[1]).await;
    panel.open(&batch).await;
    panel.see("1 / 2").await;
    panel.inspect().await;
    panel.press(r#"main a[href$="/revoke"]"#).await;
    panel.inspect().await;
    panel.press(r#"main form[action$="/revoke"] button"#).await;
    panel.expect("a second revocation", panel.has(r#"main a[href$="/revoke"]"#).await, false).await;
    panel.inspect().await;
    console.press(REDEEM).await;
    console.see(person.say("not valid any more", "已失效")).await;
    console.inspect().await;
    assert_eq!(posted(&server, &key).await, "13.00");
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}
