//! A window of the browser, used as a person uses it: addresses, fields, buttons, keys. Every step fails the test with the page on which it
//! went wrong.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::error::WebDriverResult;
use thirtyfour::{By, WebDriver, WebElement};

use super::chromium::{PATIENCE, Person};

/// How often the page is looked at while something is waited for.
const GLANCE: Duration = Duration::from_millis(30);
/// How much of a page is shown when a step fails on it.
const LONGEST_SHOWN: usize = 10_000;

/// A window with a profile of its own. It is gone with its [`Chromium`](super::chromium::Chromium).
pub(super) struct Window {
    pub(super) driver: WebDriver,
    pub(super) person: Person,
    root: String,
}

impl Window {
    pub(super) async fn new(driver: WebDriver, person: Person, root: &str) -> Self {
        let window = Self { driver, person, root: root.to_owned() };
        window.be_wide(person.width, 900).await;
        window.prefer("light").await;
        window
    }

    /// Makes the page so large, in CSS pixels, without making the window larger.
    pub(super) async fn be_wide(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Prefers light or dark pages, and none that move: a colour on its way to another is neither.
    pub(super) async fn prefer(&self, scheme: &str) {
        let features = [("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")];
        let features = features.map(|(name, value)| json!({"name": name, "value": value}));
        self.tell("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    async fn tell(&self, order: &str, parameters: Value) {
        let told = self.driver.cdp().send_raw(order, parameters).await;
        self.done(order, told).await;
    }

    /// Goes to an address below the root, or to a whole one.
    pub(super) async fn open(&self, path: &str) {
        let url = if path.starts_with('/') { format!("{}{path}", self.root) } else { path.to_owned() };
        let gone = self.driver.goto(url).await;
        self.done(path, gone).await;
    }

    /// Path and query of the page.
    pub(super) async fn path(&self) -> String {
        let url = self.driver.current_url().await;
        let url = self.done("the address", url).await;
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// What a person reads on it.
    pub(super) async fn text(&self) -> String {
        self.evaluate("return document.body?.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// All text of it, letter for letter, also what is folded away, and the values of its fields.
    pub(super) async fn body(&self) -> String {
        let script = "const values = [...document.querySelectorAll('input, textarea')].map((field) => field.value);
            return [document.body.textContent, ...values].join('\\n');";
        self.evaluate(script).await.as_str().unwrap_or_default().to_owned()
    }

    /// The page as HTML, as the browser has it now.
    pub(super) async fn html(&self) -> String {
        let html = self.driver.source().await;
        self.done("the source", html).await
    }

    /// The first element that a CSS selector finds, once it is there.
    pub(super) async fn find(&self, selector: &str) -> WebElement {
        let begun = Instant::now();
        loop {
            match self.driver.find(By::Css(selector)).await {
                Ok(element) => return element,
                Err(error) if begun.elapsed() > PATIENCE => self.fail(&format!("no {selector}: {error}")).await,
                Err(_) => tokio::time::sleep(GLANCE).await,
            }
        }
    }

    /// All elements that it finds now.
    pub(super) async fn find_all(&self, selector: &str) -> Vec<WebElement> {
        let found = self.driver.find_all(By::Css(selector)).await;
        self.done(selector, found).await
    }

    /// Whether it finds any now.
    pub(super) async fn has(&self, selector: &str) -> bool {
        !self.find_all(selector).await.is_empty()
    }

    /// The text of the first element that a selector finds.
    pub(super) async fn read(&self, selector: &str) -> String {
        let text = self.find(selector).await.text().await;
        self.done(selector, text).await
    }

    /// An attribute of it.
    pub(super) async fn attribute(&self, selector: &str, name: &str) -> String {
        let value = self.find(selector).await.attr(name).await;
        match self.done(selector, value).await {
            Some(value) => value,
            None => self.fail(&format!("{selector} has no {name}")).await,
        }
    }

    /// Waits until the page says this.
    pub(super) async fn see(&self, text: &str) {
        let begun = Instant::now();
        while !self.text().await.contains(text) {
            if begun.elapsed() > PATIENCE {
                self.fail(&format!("{text:?} is not to be seen")).await;
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Types into a field, in place of what stood there.
    pub(super) async fn fill(&self, selector: &str, value: &str) {
        let field = self.find(selector).await;
        let cleared = field.clear().await;
        self.done(selector, cleared).await;
        if value.chars().all(|character| u32::from(character) < 0x1_0000) {
            let typed = field.send_keys(value).await;
            self.done(selector, typed).await;
        } else {
            // WebDriver has no keys for an emoji; a person has a way to enter them.
            let focused = field.click().await;
            self.done(selector, focused).await;
            self.tell("Input.insertText", json!({"text": value})).await;
        }
    }

    /// Takes one of the choices of a `select`, or a radio button or check box with this value.
    pub(super) async fn choose(&self, name: &str, value: &str) {
        let option = format!(r#"select[name="{name}"] option[value="{value}"], input[name="{name}"][value="{value}"]"#);
        let option = self.find(&option).await;
        if !self.done(name, option.is_selected().await).await {
            let chosen = option.click().await;
            self.done(name, chosen).await;
        }
    }

    /// Presses a button or follows a link, and waits for the next page.
    pub(super) async fn press(&self, selector: &str) {
        let button = self.find(selector).await;
        let clicked = async || button.click().await;
        self.turn(selector, clicked).await;
    }

    /// Follows the first link of the page itself whose address begins with `path` and which says `text`.
    pub(super) async fn follow(&self, path: &str, text: &str) {
        let link = format!("//main//a[starts-with(@href, '{path}')][contains(., '{text}')]");
        let link = self.driver.find(By::XPath(link)).await;
        let link = self.done(text, link).await;
        self.turn(text, async || link.click().await).await;
    }

    /// Sends the form that has a field of this name, by its first button.
    pub(super) async fn send(&self, field: &str) {
        self.press(&format!(r#"main form:has([name="{field}"]) button:not([type="button"])"#)).await;
    }

    /// Loads the page again, as F5 does: a form is sent again.
    pub(super) async fn reload(&self) {
        self.turn("reload", async || self.driver.refresh().await).await;
    }

    /// Does something that leads to another page, and waits until that is there.
    pub(super) async fn turn(&self, what: &str, step: impl AsyncFnOnce() -> WebDriverResult<()>) {
        let before = self.find("html").await.element_id();
        let done = step().await;
        self.done(what, done).await;
        let begun = Instant::now();
        // Each document has elements of its own.
        while self.driver.find(By::Css("html")).await.is_ok_and(|html| html.element_id() == before) {
            if begun.elapsed() > PATIENCE {
                self.fail(&format!("{what} led to no other page")).await;
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Evaluates JavaScript in the page. That is done from outside, so neither the page's rules nor a switch for scripts apply.
    pub(super) async fn evaluate(&self, script: &str) -> Value {
        let value = self.driver.execute(script, Vec::new()).await;
        self.done(script, value).await.json().clone()
    }

    /// The value, or the end of the test.
    pub(super) async fn done<T>(&self, what: &str, result: WebDriverResult<T>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => self.fail(&format!("{what}: {error}")).await,
        }
    }

    /// Ends the test with what is to be seen.
    pub(super) async fn fail(&self, why: &str) -> ! {
        let address = self.driver.current_url().await.map_or_else(|_| "nowhere".to_owned(), |url| url.to_string());
        let html: String = self.driver.source().await.unwrap_or_default().chars().take(LONGEST_SHOWN).collect();
        self.shoot("failed").await;
        panic!("{why}\non {address}:\n{html}");
    }

    /// The same unless two things are equal.
    pub(super) async fn expect<T: PartialEq + Debug>(&self, what: &str, found: T, expected: T) {
        if found != expected {
            self.fail(&format!("{what}: {found:?}, expected {expected:?}")).await;
        }
    }

    /// Keeps a picture of the page in the folder that `XIAOYI_SCREENSHOTS` names, if it names one.
    pub(super) async fn shoot(&self, name: &str) {
        let Some(folder) = std::env::var_os("XIAOYI_SCREENSHOTS") else { return };
        let Ok(picture) = self.driver.screenshot_as_png().await else { return };
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(&path, picture).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Its `Chromium` ends it; without this the session itself would, on a thread with a runtime of its own.
        let _ = self.driver.clone().leak();
    }
}
