//! The panel by the keyboard alone: Tab moves, letters type, Enter sends.

use thirtyfour::Key;

use super::chromium::{Chromium, Person, USUAL, WITHOUT_SCRIPTS};
use super::window::Window;
use crate::support::Server;
use rstest::rstest;

/// More stops than any page has before its form.
const STOPS: usize = 80;

/// A press of Tab, as WebDriver writes it.
const TAB: &str = "\u{e004}";

/// What can have the focus, and where it has been. Gives how often Tab is to be pressed to be everywhere: a field for a time has stops of
/// its own.
const BEFORE: &str = r#"
const all = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
window.controls = [...document.querySelectorAll(all)].filter((each) => each.checkVisibility() && !each.disabled);
window.reached = new Map();
// The browser may draw the focus a moment after it gave it: what is seen while the key is let go counts too.
const see = (each) => {
  if ((window.reached.get(each) ?? "none") === "none") window.reached.set(each, getComputedStyle(each).outlineStyle);
};
document.addEventListener("focusin", ({ target }) => see(target));
document.addEventListener("keyup", () => window.reached.has(document.activeElement) && see(document.activeElement));
return window.controls.length + 8 * document.querySelectorAll("input[type^=date], input[type=time]").length + 5;"#;

/// What had no turn, or was not seen to have it. Of radio buttons one has it for all.
const AFTER: &str = r#"
const reached = [...window.reached.keys()];
const has = (each) => reached.some((other) => other === each || (other.type === "radio" && other.name === each.name));
return [
  ...window.controls.filter((each) => each.isConnected && !has(each)).map((each) => `Tab does not lead to ${each.outerHTML}`),
  ...reached.filter((each) => window.reached.get(each) === "none").map((each) => `nobody sees the focus of ${each.outerHTML}`),
];"#;

impl Window {
    /// What Tab does not lead to, or where nobody sees that it did.
    pub(super) async fn beyond_the_keyboard(&self) -> Vec<String> {
        let presses = self.evaluate(BEFORE).await.as_u64().and_then(|presses| usize::try_from(presses).ok());
        self.type_in(TAB.repeat(presses.unwrap_or_default())).await;
        let found = self.evaluate(AFTER).await;
        found.as_array().into_iter().flatten().filter_map(|line| line.as_str().map(str::to_owned)).collect()
    }

    /// Presses keys, wherever the focus is.
    async fn type_in(&self, keys: impl Into<thirtyfour::TypingData>) {
        let typed = self.driver.action_chain().send_keys(keys).perform().await;
        self.done("the keys", typed).await;
    }

    /// Moves by Tab until something has the focus that a selector finds; whatever has it on the way must be seen to have it.
    async fn tab_to(&self, selector: &str) {
        for _ in 0..STOPS {
            self.type_in(Key::Tab).await;
            let script = format!(
                "const at = document.activeElement; return [at.matches({selector:?}), getComputedStyle(at).outlineStyle, at.outerHTML];"
            );
            let found = self.evaluate(&script).await;
            if found[1] == "none" && found[2].as_str().is_some_and(|html| !html.starts_with("<body")) {
                self.fail(&format!("nobody sees that this has the focus: {}", found[2])).await;
            }
            if found[0] == true {
                return;
            }
        }
        self.fail(&format!("Tab does not lead to {selector}")).await;
    }

    /// Presses Enter, and waits for the next page.
    async fn enter(&self) {
        self.turn("Enter", async || self.driver.action_chain().send_keys(Key::Enter).perform().await).await;
    }
}

#[rstest]
#[case::with_scripts(USUAL)]
#[case::without_scripts(WITHOUT_SCRIPTS)]
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_a_key_and_a_top_up(#[case] person: Person) {
    let (server, chromium) = (Server::start(), Chromium::start());
    let window = chromium.window(person, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;

    window.open("/dashboard").await;
    window.tab_to(r#"nav a[href="/tenants"]"#).await;
    window.enter().await;
    window.tab_to(r#"main a[href="/tenants/new"]"#).await;
    window.enter().await;
    window.tab_to("main [name=name]").await;
    window.type_in("acme").await;
    window.enter().await;
    window.see("acme").await;
    let tenant = window.path().await;

    window.tab_to(r#"main a[href^="/top-ups/new"]"#).await;
    window.enter().await;
    window.tab_to("main [name=amount]").await;
    window.type_in("5.00").await;
    window.tab_to("main [name=reference]").await;
    window.type_in("invoice 1").await;
    window.enter().await;
    window.tab_to(r#"main form[action="/top-ups"] button"#).await;
    window.enter().await;
    window.see("invoice 1").await;

    window.open(&tenant).await;
    window.tab_to(r#"main a[href^="/keys/new"]"#).await;
    window.enter().await;
    window.tab_to("main [name=name]").await;
    window.type_in("of the shop").await;
    window.tab_to("main button:not([type=button])").await;
    window.enter().await;
    let key = window.shown_key().await;
    assert_eq!(server.get("/v1/balance", &key).await.json["posted"], "5.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_letters_that_move() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let window = chromium.window(USUAL, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    window.open("/dashboard").await;
    window.type_in("g").await;
    window.turn("g t", async || window.driver.action_chain().send_keys("t").perform().await).await;
    assert_eq!(window.path().await, "/tenants");
    window.type_in("/").await;
    assert_eq!(window.evaluate("return document.activeElement.name").await, "q");
    // In a field they are letters.
    window.type_in("gt/").await;
    assert_eq!(window.evaluate("return document.activeElement.value").await, "gt/");
    window.type_in(Key::Escape).await;
    assert_eq!(window.evaluate("return document.activeElement.tagName").await, "BODY");
}
