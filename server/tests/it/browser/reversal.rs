//! A top-up taken back: as far as the money is there, once, and just as the page before it said.

use rstest::rstest;
use serde_json::json;

use super::chromium::{Chromium, ON_A_PHONE, Person, USUAL, WITHOUT_SCRIPTS};
use super::twice::{begin, ledger, posted};
use super::window::Window;
use crate::support::{IssuedKey, Server};

/// The form that takes a top-up back, and its names and values.
const FORM: &str = r#"main form[action$="/reverse"]"#;
const FIELDS: &str = r#"return [...new FormData(document.querySelector('main form[action$="/reverse"]'))]"#;

impl Window {
    /// Asks to take a top-up of a tenant back, up to the page that wants a confirmation.
    async fn prepare_reversal(&self, tenant: &str, reference: &str) {
        self.open(tenant).await;
        self.follow("/top-ups/", reference).await;
        self.press(r#"main a[href$="/reverse"]"#).await;
    }

    async fn reverse(&self) {
        self.press(&format!("{FORM} button")).await;
    }

    /// What a list of facts says, in either language.
    async fn fact(&self, person: Person, english: &'static str, chinese: &'static str) -> String {
        let name = person.say(english, chinese);
        let path = format!("//main//dt[normalize-space()='{name}']/following-sibling::dd[1]");
        let found = self.driver.find(thirtyfour::By::XPath(path)).await;
        let text = self.done(name, found).await.text().await;
        self.done(name, text).await
    }
}

/// The balance has this top-up.
fn top_up(server: &Server, amount: &str, reference: &str) {
    server.command(&["topup", "--tenant", "acme", "--amount", amount, "--reference", reference]).ok();
}

/// A call that costs 0.0002: 5 tokens each way.
async fn spend(server: &Server, key: &IssuedKey) {
    let messages = json!([{"role": "user", "content": "你好 world, GPT-4!"}]);
    let call = json!({"model": "gpt-4", "max_tokens": 5, "messages": messages});
    let reply = server.post("/v1/chat/completions", key, &call).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[case::on_a_phone(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_once_whoever_asks_and_however_often(#[case] person: Person) {
    let (server, chromium) = (Server::start(), Chromium::start());
    let (window, tenant, key) = begin(&server, &chromium, person).await;
    top_up(&server, "10.00", "invoice 1");
    top_up(&server, "2.50", "invoice 2");
    let other = chromium.window(person, &server.address("admin", "")).await;
    other.begin_as(&server, "second@example.com", "billing").await;
    for each in [&window, &other] {
        each.prepare_reversal(&tenant, "invoice 1").await;
        for shown in ["acme", "invoice 1", "10.00", "0.00", "12.50", "2.50"] {
            each.see(shown).await;
        }
    }
    window.inspect().await;
    // It is not done without a reason, and not by looking at it.
    window.reverse().await;
    window.find("#reason-error").await;
    window.inspect().await;
    assert_eq!(posted(&server, &key).await, "12.50");

    window.fill("main [name=reason]", "paid twice").await;
    let fields = window.evaluate(FIELDS).await;
    window.reverse().await;
    assert_eq!(window.fact(person, "Taken back", "已收回").await, "10.00 CNY");
    assert_eq!(window.fact(person, "Not recovered", "未收回").await, "0.00 CNY");
    window.see("paid twice").await;
    window.inspect().await;
    window.expect("a way to do it again", window.has(r#"main a[href$="/reverse"]"#).await, false).await;
    window.reload().await;
    let entry = window.path().await;
    assert_eq!(posted(&server, &key).await, "2.50");

    // The same form again shows what it did.
    window.send_fields(&format!("{entry}/reverse"), fields).await;
    window.expect("the page of the entry", window.path().await, entry.clone()).await;
    // Who comes second is told so, and nothing else happens.
    other.fill("main [name=reason]", "me too").await;
    other.reverse().await;
    other.see(person.say("Nothing was taken back now", "本次没有收回")).await;
    other.see("paid twice").await;
    other.inspect().await;
    // So is who knows the address.
    other.open(&format!("{entry}/reverse")).await;
    other.expect("the page of the entry", other.path().await, entry).await;
    assert_eq!(posted(&server, &key).await, "2.50");
    assert_eq!(ledger(&server, &key).await.len(), 3);
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts_in_chinese(WITHOUT_SCRIPTS)]
#[case::on_a_phone(ON_A_PHONE)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_is_not_recovered(#[case] person: Person) {
    let (server, chromium) = (Server::start(), Chromium::start());
    server.echo("gpt-4").await;
    let (window, tenant, key) = begin(&server, &chromium, person).await;
    top_up(&server, "10.00", "invoice 1");
    window.prepare_reversal(&tenant, "invoice 1").await;
    window.fill("main [name=reason]", "cheque bounced").await;
    // What the page says is not so any more, so nothing is done, and it is asked again.
    spend(&server, &key).await;
    window.reverse().await;
    window.see(person.say("the balance has changed since", "页面生成后余额有变动")).await;
    assert_eq!(window.fact(person, "Can be taken back now", "现可收回").await, "9.9998 CNY");
    assert_eq!(window.fact(person, "Not recovered", "无法收回").await, "0.0002 CNY");
    window.inspect().await;
    assert_eq!(posted(&server, &key).await, "9.9998");
    window.reverse().await;
    assert_eq!(window.fact(person, "Taken back", "已收回").await, "9.9998 CNY");
    assert!(window.fact(person, "Not recovered", "未收回").await.starts_with("0.0002 CNY"));
    window.see("cheque bounced").await;
    window.inspect().await;
    assert_eq!(posted(&server, &key).await, "0.00");
    for list in ["/top-ups", "/ledger"] {
        window.go(list).await;
        window.see(if list == "/top-ups" { "0.0002" } else { "9.9998" }).await;
        window.inspect().await;
    }

    // Where all is spent there is nothing to confirm.
    top_up(&server, "0.0002", "invoice 2");
    spend(&server, &key).await;
    window.prepare_reversal(&tenant, "invoice 2").await;
    window.see(person.say("nothing can be taken back now", "当前没有可用余额")).await;
    window.expect("a form", window.has(FORM).await, false).await;
    window.inspect().await;
    assert_eq!(server.command(&["ledger", "audit"]).ok()["ok"], true);
}
