//! Long tables: their headings stay in sight, with the page where a table fits it, in a window of their own where it does not.

use serde_json::Value;

use super::chromium::{Chromium, NARROW, Person, USUAL, WITHOUT_SCRIPTS};
use super::window::Window;
use crate::support::Server;

/// Goes to the end of the table, and gives what was found wrong there.
const AT_THE_END: &str = r#"
const table = document.querySelector("main .scroll > table");
const [head, last] = [table.querySelector("thead th"), table.querySelector("tbody tr:last-child")];
last.scrollIntoView({ block: "end" });
const [top, row] = [head.getBoundingClientRect(), last.getBoundingClientRect()];
return [
  ...(table.offsetHeight < 1.5 * innerHeight ? [`the table is not long: ${table.offsetHeight} px`] : []),
  ...(row.bottom > innerHeight + 1 ? [`its last row is at ${row.bottom} of ${innerHeight} px`] : []),
  ...(top.top < 0 || top.bottom > row.top ? [`its headings are at ${top.top} px, its last row at ${row.top} px`] : []),
];"#;

/// Goes to the right end of the last row, and gives what was found wrong there.
const AT_THE_RIGHT: &str = r#"
const cell = document.querySelector("main .scroll > table tbody tr:last-child").lastElementChild;
cell.scrollIntoView({ block: "nearest", inline: "end" });
const [right, page] = [cell.getBoundingClientRect().right, document.scrollingElement.scrollWidth];
return [
  ...(right > innerWidth + 1 ? [`the last column ends at ${right} of ${innerWidth} px`] : []),
  ...(page > innerWidth ? [`the page is ${page} of ${innerWidth} px wide`] : []),
];"#;

impl Window {
    async fn is_well(&self, script: &str) {
        self.expect("the table", self.evaluate(script).await, Value::Array(Vec::new())).await;
    }

    /// With an owner's account: the page of a batch of 60 codes.
    async fn open_a_long_table(&self) {
        self.go("/codes").await;
        self.make_codes("spring", "60").await;
        self.press(r#"main .secret a[href^="/codes/"]"#).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn their_headings_stay_in_sight() {
    let (server, chromium) = (Server::start(), Chromium::start());
    for (person, email) in [(USUAL, "one@example.com"), (WITHOUT_SCRIPTS, "two@example.com")] {
        let window = chromium.window(person, &server.address("admin", "")).await;
        window.begin_as(&server, email, "owner").await;
        if window.person.scripts {
            window.open_a_long_table().await;
            // It fits, so it scrolls with the page alone.
            window.find("main .scroll.fits").await;
        } else {
            window.open("/codes/1").await;
        }
        window.is_well(AT_THE_END).await;
        window.be_wide(NARROW, 740).await;
        window.find("main .scroll:not(.fits)").await;
        window.is_well(AT_THE_END).await;
        window.is_well(AT_THE_RIGHT).await;
        window.inspect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_folded_away_is_measured_when_it_is_seen() {
    let (server, chromium) = (Server::start(), Chromium::start());
    let window = chromium.window(Person { width: NARROW, ..USUAL }, &server.address("admin", "")).await;
    window.begin_as(&server, "owner@example.com", "owner").await;
    window.open("/dashboard?live=off").await;
    let opened = window.find("main .chart summary").await.click().await;
    window.done("the chart's table", opened).await;
    window.be_wide(120, 740).await;
    window.find("main .chart details[open] .scroll:not(.fits)").await;
    window.be_wide(1280, 900).await;
    window.find("main .chart details[open] .scroll.fits").await;
}
