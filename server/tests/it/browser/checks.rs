//! What must be true of every page, whatever is on it.

use serde_json::Value;
use thirtyfour::BrowserLogEntry;

use super::chromium::NARROW;
use super::window::Window;

/// axe-core 4.14.1 (https://github.com/dequelabs/axe-core), under the licences beside it. For tests only.
const AXE: &str = include_str!("vendor/axe.min.js");

/// Runs it, and gives what is serious or critical, in words.
const RUN_AXE: &str = r#"
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(
  (found) => done(
    found.violations
      .filter((each) => each.impact === "serious" || each.impact === "critical")
      .flatMap((each) => each.nodes.map((node) => `${each.impact} ${each.id}: ${node.html}: ${node.failureSummary}`))
  ),
  (error) => done([`axe: ${error}`])
);"#;

/// Whether the page can be scrolled to the right, and because of what.
const BEYOND_THE_EDGE: &str = r#"
const [page, width] = [document.scrollingElement, window.innerWidth];
if (page.scrollWidth <= width) return [];
const wide = [...document.querySelectorAll("body *")]
  .filter((each) => each.getBoundingClientRect().right > width)
  .filter((each) => !each.parentElement.closest(".scroll, pre"))
  .map((each) => `${Math.round(each.getBoundingClientRect().right)} px: ${each.outerHTML.slice(0, 120)}`);
return [`${page.scrollWidth} px`, ...wide];"#;

/// What a hostile text would have left behind, had it been more than text.
const EXECUTED: &str = r#"
return [
  ...("xss" in window ? ["window.xss is set"] : []),
  ...[...document.querySelectorAll("[onerror], [onload], [onclick], [onmouseover], [onfocus], [data-hostile], script:not([src])")]
    .map((each) => each.outerHTML.slice(0, 200)),
];"#;

impl Window {
    /// Fails the test if any page-independent rule is broken.
    pub(super) async fn inspect(&self) {
        let mut complaints = self.markup_of_texts().await;
        complaints.extend(self.beyond_the_edge().await);
        if self.person.scripts {
            complaints.extend(self.inaccessible().await);
        }
        complaints.extend(self.logged().await);
        if !complaints.is_empty() {
            self.fail(&complaints.join("\n")).await;
        }
    }

    /// What axe-core finds serious or critical, in light and in dark.
    pub(super) async fn inaccessible(&self) -> Vec<String> {
        let loaded = self.driver.execute(AXE, Vec::new()).await;
        self.done("axe", loaded).await;
        let mut found = Vec::new();
        for scheme in ["light", "dark"] {
            self.prefer(scheme).await;
            let violations = self.driver.execute_async(RUN_AXE, Vec::new()).await;
            let violations = self.done("axe", violations).await;
            found.extend(lines(violations.json()).map(|line| format!("{scheme}: {line}")));
        }
        self.prefer("light").await;
        found
    }

    /// What lies beyond the right edge at the width of a phone.
    pub(super) async fn beyond_the_edge(&self) -> Vec<String> {
        self.be_wide(NARROW, 740).await;
        let beyond = self.evaluate(BEYOND_THE_EDGE).await;
        self.be_wide(self.person.width, 900).await;
        lines(&beyond).map(|line| format!("too wide for a phone: {line}")).collect()
    }

    /// Texts that became markup, and whatever they executed.
    pub(super) async fn markup_of_texts(&self) -> Vec<String> {
        let executed = self.evaluate(EXECUTED).await;
        lines(&executed).map(|line| format!("text became markup: {line}")).collect()
    }

    /// What the browser complained of since this was asked last: errors of scripts, breaches of the content security policy, what could not
    /// be loaded.
    pub(super) async fn logged(&self) -> Vec<String> {
        let log = self.driver.browser_log().await;
        let log = self.done("the log", log).await;
        log.iter().filter(|entry| is_a_complaint(entry)).map(|entry| entry.message.clone()).collect()
    }
}

fn lines(found: &Value) -> impl Iterator<Item = &str> {
    found.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Errors and warnings, but for a page that says what was wrong, such as a form that is shown again: Chromium logs its status too.
fn is_a_complaint(entry: &BrowserLogEntry) -> bool {
    let is_file = entry.message.contains("/assets/") || entry.message.contains("favicon");
    let is_page = !is_file && entry.message.contains("responded with a status of 4");
    !is_page && matches!(entry.level.as_str(), "SEVERE" | "WARNING")
}
